"""The store: one data directory opened by one process, with all that the ports ask of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.clock import Glance, Ticks, machine_time
from bailiwick.stores.folders import make_folder, sync_folder
from bailiwick.stores.lock import DirectoryLock
from bailiwick.stores.refusals import StoreBroken, StoreFull
from bailiwick.stores.sqlite.auditlog import SqliteAuditLog
from bailiwick.stores.sqlite.connect import Clock, open_reader, open_writer
from bailiwick.stores.sqlite.feed import SqliteFeed
from bailiwick.stores.sqlite.fingerprints import SqliteFingerprints
from bailiwick.stores.sqlite.ledger import SqliteLedger
from bailiwick.stores.sqlite.migrate import migrate
from bailiwick.stores.sqlite.queue import SqliteQueue
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.threads import ReaderThread, WriterThread
from bailiwick.stores.sqlite.views import SqliteViews
from bailiwick.stores.sqlite.writer import Writer
from bailiwick.stores.store import Topic


class SqliteStore:
    """An open data directory: `ledger`, `queue`, `views`, `feed`, `audit`, `blobs`, and the `writer` with its
    counters. Use it from one event loop at a time.
    """

    def __init__(self, path: Path, lock: DirectoryLock, blobs: DiskBlobs, clock: Clock) -> None:
        self._lock = lock
        self.node = lock.node
        self.writer = Writer(_prepared(path, clock))
        self._thread = WriterThread(self.writer)
        self._reads = Reads(open_reader(path, clock), ReaderThread(open_reader(path, clock)))
        self.blobs = blobs
        self.ledger = SqliteLedger(self._thread, self._reads, blobs)
        self.queue = SqliteQueue(self._thread, self._reads)
        self.views = SqliteViews(self._reads)
        self.feed = SqliteFeed(self._thread, self._reads, blobs)
        self.audit = SqliteAuditLog(self._thread, self._reads, blobs)
        self.fingerprints = SqliteFingerprints(self._thread, self._reads)

    async def begin(self, workers: Sequence[str]) -> None:
        """End every session: nobody else can have one while this process holds the directory."""
        await self.queue.end_sessions()

    async def retire(self, workers: Sequence[str]) -> None:
        """End every session, as the next start does."""
        await self.queue.end_sessions()

    def listen(self, hear: Callable[[Topic], None]) -> None:
        """Hear nothing: no other process writes here."""

    async def end(self) -> None:
        """Commit what waits, then close; a second call does nothing."""
        self.close()

    async def glance(self, ticks: Ticks) -> Glance:
        """Look at the machine's clock: no other process has to agree."""
        return Glance(ticks(), machine_time(), ticks())

    @property
    def trouble(self) -> str:
        """Why nothing could be written the last time; empty when it was."""
        return self.writer.trouble

    async def depths(self) -> dict[str, int]:
        """Count the queued tasks that are due, by pool; what a scrape of the metrics asks for."""
        return dict(await self._reads.scan("select_depths", (), tuple))

    def close(self) -> None:
        """Commit what waits, close the database and let the next process in; a second call does nothing."""
        self._reads.close()
        self._thread.close()
        self._lock.release()


def open_store(data_dir: Path, *, clock: Clock | None = None, blob_key: bytes = b"") -> SqliteStore:
    """Open a data directory, make it when absent, and bring its schema up to date.

    Args:
        data_dir: The directory; readable by its owner alone.
        clock: The database's clock, microseconds since 1970; the machine's when None.
        blob_key: See `DiskBlobs`.

    Raises:
        DataDirInUse: Another process holds the directory.
        LibraryTooOld: The SQLite library is not safe.
        SchemaTooNew: A later program wrote it.
        StoreFull, StoreBroken: The disk is full, or fails; nothing was lost that was there.
    """
    make_folder(data_dir)
    lock = DirectoryLock(data_dir)
    try:
        blobs = DiskBlobs(data_dir / "blobs", blob_key)
        blobs.sweep()
        return _named(SqliteStore(data_dir / "ledger.db", lock, blobs, clock or machine_time), data_dir)
    except apsw.FullError as error:
        lock.release()
        raise StoreFull(str(error)) from error
    except apsw.IOError as error:
        lock.release()
        raise StoreBroken(f"{type(error).__name__}: {error}") from error
    except BaseException:
        lock.release()
        raise


def _named(store: SqliteStore, data_dir: Path) -> SqliteStore:
    """Make the names of the store's files durable: SQLite does so, too, but goes on when it fails."""
    try:
        sync_folder(data_dir)
    except OSError as error:
        store.close()
        raise StoreBroken(f"the data directory could not be synced: {error}") from error
    return store


def _prepared(path: Path, clock: Clock) -> apsw.Connection:
    connection = open_writer(path, clock)
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection
