"""The inspector on PostgreSQL: the invariants, asked of one snapshot in a transaction that cannot write."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from bailiwick.ports import Checked, LargePayload, RunHead, StoredEvent, Violation
from bailiwick.stores.postgres.address import Address
from bailiwick.stores.postgres.connect import LOST, Connection, Lines
from bailiwick.stores.postgres.migrate import found, newest
from bailiwick.stores.postgres.statements import INVARIANTS, SQL
from bailiwick.stores.refusals import NoLedger, SchemaTooNew, StoreUnreachable
from bailiwick.stores.rows import to_run

_TABLES: Final = tuple(sorted({invariant.over for invariant in INVARIANTS.values()}))
_PATIENCE_SECONDS: Final = 3600.0


class PostgresInspector:
    """Implements `ports.Inspector`. One transaction sees one state, so writers beside it make no difference.

    Args:
        connection: A connection inside a transaction at REPEATABLE READ; `inspect_postgres` opens one.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def violations(self) -> Sequence[Violation]:
        """Ask every invariant that the tables alone can answer; empty when all hold."""
        return [
            Violation(name, str(tenant), str(id), str(detail))
            for name, invariant in INVARIANTS.items()
            for tenant, id, detail in await self._connection.fetch(invariant.sql)
        ]

    async def checked(self) -> Sequence[Checked]:
        """Name these invariants, with how many rows each is asked over."""
        counts = await self.tables()
        return [
            Checked(name, invariant.says, invariant.over, counts[invariant.over])
            for name, invariant in INVARIANTS.items()
        ]

    async def heads(self, after: tuple[str, str], limit: int) -> Sequence[RunHead]:
        """List the heads of all tenants' runs whose (tenant, id) follows `after`."""
        return [
            to_run(tuple(row)) for row in await self._connection.fetch(SQL["select_heads"], *after, limit)
        ]

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read a stream as it lies there; payloads that lie in the blobs are left out."""
        rows = await self._connection.fetch(SQL["select_events"], tenant, stream, after, limit)
        return [
            StoredEvent(stream, seq, header, leaf, body, salt if salt is not None else b"", position)
            for seq, header, leaf, salt, body, _, position in rows
        ]

    async def large_payloads(self, after: int, limit: int) -> Sequence[LargePayload]:
        """List the payloads that lie in the blobs, with position > `after`; unplaced events follow the feed."""
        rows = await self._connection.fetch(SQL["select_large_payloads"], after, limit)
        return [LargePayload(*row) for row in rows]

    async def fingerprints(self) -> Mapping[str, str]:
        """Read the fingerprints of the deployment's keys."""
        if await self._connection.fetchval("SELECT to_regclass('fingerprints')") is None:
            return {}  # no server of this release has opened it yet
        return dict(await self._connection.fetch(SQL["select_fingerprints"]))

    async def tables(self) -> Mapping[str, int]:
        """Count the rows of each table that an invariant is asked over."""
        return {
            table: int(await self._connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - our own names
            for table in _TABLES
        }


@contextlib.asynccontextmanager
async def inspect_postgres(address: Address) -> AsyncIterator[PostgresInspector]:
    """Look at the ledger in a database, whoever works on it.

    Raises:
        NoLedger: There is none.
        SchemaTooNew: A later program wrote it.
        StoreUnreachable: There is no database there now, or the line was lost meanwhile.
    """
    connection = await Lines(address).connect(_PATIENCE_SECONDS)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # A whole ledger may take longer than the limits that keep a server's own statements short.
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            number = await found(connection)
            if number == 0:
                raise NoLedger(address.shown)
            if number > newest():
                raise SchemaTooNew(found=number, known=newest())
            yield PostgresInspector(connection)
    except LOST as error:
        raise StoreUnreachable(address.shown, type(error).__name__) from None
    finally:
        connection.terminate()
