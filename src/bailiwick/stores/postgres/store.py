"""The store: one PostgreSQL shared by processes, each with a data directory of its own."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.clock import Glance, Ticks
from bailiwick.stores.folders import make_folder
from bailiwick.stores.lock import DirectoryLock
from bailiwick.stores.postgres.address import Address
from bailiwick.stores.postgres.auditlog import PostgresAuditLog
from bailiwick.stores.postgres.connect import Lines
from bailiwick.stores.postgres.feed import PostgresFeed
from bailiwick.stores.postgres.fingerprints import PostgresFingerprints
from bailiwick.stores.postgres.ledger import PostgresLedger
from bailiwick.stores.postgres.migrate import found, migrate, newest
from bailiwick.stores.postgres.pump import Pump
from bailiwick.stores.postgres.queue import PostgresQueue
from bailiwick.stores.postgres.reading import Reads
from bailiwick.stores.postgres.signals import Signals
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.postgres.views import PostgresViews
from bailiwick.stores.postgres.writer import Writer
from bailiwick.stores.store import Topic


class PostgresStore:
    """An open database: `ledger`, `queue`, `views`, `feed`, `audit`, `blobs`, the `writer` with its counters and
    the `pump` with its own. Use it from one event loop; the first use connects.
    """

    def __init__(self, address: Address, lock: DirectoryLock, blobs: DiskBlobs) -> None:
        self._lock = lock
        self._lines = Lines(address)
        self._signals = Signals(self._lines, lock.node)
        self.writer = Writer()
        self.pump = Pump(self._lines, self.writer, self._signals)
        reads = self._reads = Reads(self._lines)
        self.node = lock.node
        self.blobs = blobs
        self.ledger = PostgresLedger(self.pump, reads, blobs, self._lines)
        self.queue = PostgresQueue(self._lines, reads)
        self.views = PostgresViews(reads)
        self.feed = PostgresFeed(self._lines, reads, blobs, self._signals)
        self.audit = PostgresAuditLog(self._lines, reads, blobs)
        self.fingerprints = PostgresFingerprints(self._lines, reads)

    async def begin(self, workers: Sequence[str]) -> None:
        """Connect, bring the schema up to date, and end the sessions that these workers held before.

        Those of other processes go on: their leases are theirs.

        Raises:
            StoreUnreachable: There is no database there now.
            SchemaTooNew: A later program wrote it.
        """
        await self._lines.begin()
        await self.queue.end_sessions_of(workers)

    async def retire(self, workers: Sequence[str]) -> None:
        """End the sessions of these workers: what they still hold is for others at once, and not after a lease.

        Raises:
            StoreUnreachable: There is no database there now.
        """
        await self.queue.end_sessions_of(workers)

    def listen(self, hear: Callable[[Topic], None]) -> asyncio.Task[None] | None:
        """Hear what other processes commit, until the store is closed; see `Signals.listen`."""
        return self._signals.listen(hear)

    async def glance(self, ticks: Ticks) -> Glance:
        """Look at the database's clock; what it takes to get a connection is no part of the look.

        Raises:
            StoreUnreachable: There is no database there now.
        """
        async with self._lines.borrowed() as connection:
            before = ticks()
            there = await connection.fetchval(SQL["select_now"])
            return Glance(before, int(there), ticks())

    @property
    def trouble(self) -> str:
        """Why nothing could be written the last time; empty when it was."""
        return self.pump.trouble

    async def depths(self) -> dict[str, int]:
        """Count the queued tasks that are due, by pool; what a scrape of the metrics asks for."""
        return dict(await self._reads.scan("select_depths", (), tuple))

    async def end(self) -> None:
        """Commit what waits, then close; a second call does nothing."""
        await self.pump.drain()
        self.close()

    def close(self) -> None:
        """Close at once: what waits is refused, as if the process had ended; a second call does nothing."""
        self._signals.close()
        self.pump.close()
        self._lines.close()
        self._lock.release()


async def schema_status(address: Address) -> tuple[int, int]:
    """Tell which schema a database has (0: none), and the newest that this program knows.

    Raises:
        StoreUnreachable: There is no database there now.
    """
    connection = await Lines(address).connect()
    try:
        return await found(connection), newest()
    finally:
        await connection.close()


async def migrate_schema(address: Address) -> int:
    """Bring a database up to date; answer the schema's number.

    Raises:
        StoreUnreachable: There is no database there now.
        SchemaTooNew: A later program wrote it; nothing was changed.
    """
    connection = await Lines(address).connect()
    try:
        return await migrate(connection)
    finally:
        await connection.close()


def open_postgres(
    address: Address, data_dir: Path, *, blob_key: bytes = b"", shared_dir: Path | None = None
) -> PostgresStore:
    """Open a database beside a data directory, which is made when absent; the first use connects.

    Args:
        address: Where the database is.
        data_dir: This process's own; readable by its owner alone. It holds the lock.
        blob_key: See `DiskBlobs`; the same in every process.
        shared_dir: Where the processes of a deployment keep their blobs together; None: in the data directory.

    Raises:
        DataDirInUse: Another process holds the directory.
    """
    make_folder(data_dir)
    lock = DirectoryLock(data_dir)
    try:
        root = data_dir if shared_dir is None else shared_dir
        blobs = DiskBlobs(root / "blobs", blob_key, owner=lock.node)
        blobs.sweep()
        return PostgresStore(address, lock, blobs)
    except BaseException:
        lock.release()
        raise
