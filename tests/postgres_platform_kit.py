"""The real platform of the tests over a PostgreSQL."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bailiwick.policy import Bundle
from bailiwick.ports import Inspector
from bailiwick.stores import Address, PostgresStore, inspect_postgres, open_postgres
from bailiwick.wiring.keys import DeploymentKeys
from platform_kit import System
from shop_kit import Shop


class PostgresSystem(System):
    """A platform over a database at a URL; its clock moves the world's only, for the database has its own."""

    def __init__(self, url: str, folder: Path, bundle: Bundle, *shops: Shop, **more: Any) -> None:
        super().__init__(folder, bundle, *shops, **more)
        self._address = Address(url)

    def open_ledger(self) -> PostgresStore:
        keys = DeploymentKeys(self.folder / "keys")
        return open_postgres(self._address, self.folder / "data", blob_key=keys.blob_key)

    @contextlib.asynccontextmanager
    async def inspected(self) -> AsyncIterator[Inspector]:
        async with inspect_postgres(self._address) as inspector:
            yield inspector
