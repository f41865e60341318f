"""Fingerprints of the deployment's keys on PostgreSQL."""

from collections.abc import Mapping

from bailiwick.stores.postgres.connect import Lines
from bailiwick.stores.postgres.reading import Reads
from bailiwick.stores.postgres.statements import SQL


class PostgresFingerprints:
    """Implements `ports.Fingerprints`."""

    def __init__(self, lines: Lines, reads: Reads) -> None:
        self._lines = lines
        self._reads = reads

    async def read(self) -> dict[str, str]:
        """Read what is recorded, by the key's name."""
        return dict(await self._reads.few("select_fingerprints", ()))

    async def adopt(self, values: Mapping[str, str]) -> None:
        """Record those of keys that have none yet; of two processes that do it at once, one's stand."""
        await self._write("insert_fingerprint", sorted(values.items()))

    async def replace(self, values: Mapping[str, str]) -> None:
        """Record that other keys have taken their places."""
        await self._write("update_fingerprint", [(value, name) for name, value in sorted(values.items())])

    async def _write(self, statement: str, rows: list[tuple[str, str]]) -> None:
        async with self._lines.borrowed() as connection, connection.transaction():
            for row in rows:
                await connection.execute(SQL[statement], *row)
