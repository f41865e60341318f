"""A database in memory whose writer its owner steps: what a simulation runs the platform on, with no threads."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import apsw

from bailiwick.ports import Blobs
from bailiwick.stores.rows import Row
from bailiwick.stores.sqlite.auditlog import SqliteAuditLog
from bailiwick.stores.sqlite.connect import Clock, open_memory
from bailiwick.stores.sqlite.feed import SqliteFeed
from bailiwick.stores.sqlite.ledger import SqliteLedger
from bailiwick.stores.sqlite.migrate import migrate
from bailiwick.stores.sqlite.queue import SqliteQueue
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.threads import Submits
from bailiwick.stores.sqlite.views import SqliteViews
from bailiwick.stores.sqlite.writer import Entry, Outcome, Writer

T = TypeVar("T")


class Scheduler(Submits, Protocol):
    """Decides when an entry is written and when a scan is answered."""

    async def scan(self, query: Callable[[], T]) -> T:
        """Answer a query now or later."""
        ...


class SteppedStore:
    """The faces of a store as one process sees them: `ledger`, `queue`, `views`, `feed`, `audit`, `blobs`."""

    def __init__(self, database: "SteppedDatabase", scheduler: Scheduler, blobs: Blobs) -> None:
        reads = Reads(database.connection, _Scans(database.connection, scheduler))
        self.blobs = blobs
        self.ledger = SqliteLedger(scheduler, reads, blobs)
        self.queue = SqliteQueue(scheduler, reads)
        self.views = SqliteViews(reads)
        self.feed = SqliteFeed(scheduler, reads, blobs)
        self.audit = SqliteAuditLog(scheduler, reads, blobs)


class SteppedDatabase:
    """One database in memory with its one writer; any number of processes may see it through a `SteppedStore`.

    Args:
        clock: The database's clock, microseconds since 1970.
    """

    def __init__(self, clock: Clock) -> None:
        self.connection = open_memory(clock)
        migrate(self.connection)
        self.writer = Writer(self.connection)

    def step(self, batch: Sequence[Entry]) -> list[Outcome]:
        """Commit a batch; see `Writer.step`."""
        return self.writer.step(batch)

    def rows(self, table: str, columns: str, after: int = -1) -> list[Row]:
        """Read columns of a whole table, or its rows above a row number; for whoever checks what lies there."""
        condition = " WHERE pos > ?" if after >= 0 else ""
        query = f"SELECT {columns} FROM {table}{condition}"  # noqa: S608  # the names are its caller's own
        return self.connection.execute(query, (after,) if after >= 0 else ()).fetchall()

    def close(self) -> None:
        """Drop the database."""
        self.connection.close()


class _Scans:
    def __init__(self, connection: apsw.Connection, scheduler: Scheduler) -> None:
        self._connection = connection
        self._scheduler = scheduler

    async def ask(self, query: Callable[[apsw.Connection], Any]) -> Any:
        return await self._scheduler.scan(lambda: query(self._connection))

    def close(self) -> None:
        """There is nothing to stop: the database outlives the processes that see it."""
