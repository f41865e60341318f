"""Fingerprints of the deployment's keys on SQLite."""

from collections.abc import Mapping

import apsw

from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Submits


class SqliteFingerprints:
    """Implements `ports.Fingerprints`."""

    def __init__(self, writer: Submits, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    async def read(self) -> dict[str, str]:
        """Read what is recorded, by the key's name."""
        return dict(self._reads.few("select_fingerprints", ()))

    async def adopt(self, values: Mapping[str, str]) -> None:
        """Record those of keys that have none yet."""
        await self._write("insert_fingerprint", [(name, value) for name, value in values.items()])

    async def replace(self, values: Mapping[str, str]) -> None:
        """Record that other keys have taken their places."""
        await self._write("update_fingerprint", [(value, name) for name, value in values.items()])

    async def _write(self, statement: str, rows: list[tuple[str, str]]) -> None:
        def write(connection: apsw.Connection) -> None:
            connection.executemany(SQL[statement], rows)

        await self._writer.submit(write)
