"""The store: one data directory opened by one process, with all that the ports ask of it."""

import time
from pathlib import Path

import apsw

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.sqlite.auditlog import SqliteAuditLog
from bailiwick.stores.sqlite.connect import Clock, open_reader, open_writer
from bailiwick.stores.sqlite.feed import SqliteFeed
from bailiwick.stores.sqlite.ledger import SqliteLedger
from bailiwick.stores.sqlite.lock import DirectoryLock
from bailiwick.stores.sqlite.migrate import migrate
from bailiwick.stores.sqlite.queue import SqliteQueue
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.threads import ReaderThread, WriterThread
from bailiwick.stores.sqlite.views import SqliteViews
from bailiwick.stores.sqlite.writer import Writer


class SqliteStore:
    """An open data directory: `ledger`, `queue`, `views`, `feed`, `audit`, `blobs`, and the `writer` with its
    counters. Use it from one event loop at a time.
    """

    def __init__(self, path: Path, lock: DirectoryLock, blobs: DiskBlobs, clock: Clock) -> None:
        self._lock = lock
        self.writer = Writer(_prepared(path, clock))
        self._thread = WriterThread(self.writer)
        self._reads = Reads(open_reader(path, clock), ReaderThread(open_reader(path, clock)))
        self.blobs = blobs
        self.ledger = SqliteLedger(self._thread, self._reads, blobs)
        self.queue = SqliteQueue(self._thread, self._reads)
        self.views = SqliteViews(self._reads)
        self.feed = SqliteFeed(self._thread, self._reads, blobs)
        self.audit = SqliteAuditLog(self._thread, self._reads, blobs)

    async def depths(self) -> dict[str, int]:
        """Count the queued tasks that are due, by pool; what a scrape of the metrics asks for."""
        return dict(await self._reads.scan("select_depths", (), tuple))

    def close(self) -> None:
        """Commit what waits, close the database and let the next process in; a second call does nothing."""
        self._reads.close()
        self._thread.close()
        self._lock.release()


def open_store(data_dir: Path, *, clock: Clock | None = None, blob_key: bytes) -> SqliteStore:
    """Open a data directory, make it when absent, and bring its schema up to date.

    Args:
        data_dir: The directory; readable by its owner alone.
        clock: The database's clock, microseconds since 1970; the machine's when None.
        blob_key: At least 16 secret bytes of this deployment, the same at every start.

    Raises:
        DataDirInUse: Another process holds the directory.
        LibraryTooOld: The SQLite library is not safe.
        SchemaTooNew: A later program wrote it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = DirectoryLock(data_dir)
    try:
        blobs = DiskBlobs(data_dir / "blobs", blob_key)
        blobs.sweep()
        return SqliteStore(data_dir / "ledger.db", lock, blobs, clock or _machine_clock)
    except BaseException:
        lock.release()
        raise


def _prepared(path: Path, clock: Clock) -> apsw.Connection:
    connection = open_writer(path, clock)
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _machine_clock() -> int:
    return time.time_ns() // 1_000
