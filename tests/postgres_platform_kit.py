"""The real platform of the tests over a PostgreSQL."""

import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bailiwick.policy import Bundle
from bailiwick.ports import Inspector
from bailiwick.stores import Address, PostgresStore, inspect_postgres, open_postgres
from bailiwick.wiring.keys import DeploymentKeys
from platform_kit import System
from postgres_kit import cluster, shift_clock
from shop_kit import Shop


class PostgresSystem(System):
    """A platform over a lent database at a URL; its clock moves the database's with the world's."""

    def __init__(self, url: str, folder: Path, bundle: Bundle, *shops: Shop, **more: Any) -> None:
        super().__init__(folder, bundle, *shops, **more)
        self._address = Address(url)
        self.clock.followers.append(functools.partial(shift_clock, url))

    def open_ledger(self) -> PostgresStore:
        keys = DeploymentKeys.made(self.folder / "keys")
        return open_postgres(self._address, self.folder / "data", blob_key=keys.blob_key)

    @contextlib.asynccontextmanager
    async def inspected(self) -> AsyncIterator[Inspector]:
        async with inspect_postgres(self._address) as inspector:
            yield inspector

    def edit(self, sql: str) -> int:
        counted = f"WITH done AS ({sql} RETURNING 1) SELECT count(*) FROM done"
        return int(cluster().sql(counted, self._address.url))

    def payload_of(self, stream: str, seq: int) -> str:
        return f"(stream, seq) = ((SELECT id FROM streams WHERE name = '{stream}'), {seq})"

    def literal(self, body: bytes) -> str:
        return f"'\\x{body.hex()}'::bytea"
