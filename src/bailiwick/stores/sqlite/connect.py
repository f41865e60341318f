"""Connections: how the one writer and the readers of a database are opened, and with which library."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from bailiwick.stores.folders import FILE_MODE
from bailiwick.stores.refusals import LibraryTooOld

Clock = Callable[[], int]
"""The database's clock: microseconds since 1970, UTC. SQL sees it as `now_us()`."""

BUSY_MS: Final = 5_000
CHECKPOINT_PAGES: Final = 1_000
OLDEST_LIBRARY: Final = (3, 51, 3)
"""Earlier libraries can corrupt a WAL when a checkpoint meets its reset."""

_PAGE_BYTES: Final = 8_192
_WAL_KEPT_BYTES: Final = 64 * 1024 * 1024


def require_library(version: str) -> None:
    """Check the version of the SQLite library, for example `3.54.1`.

    Raises:
        LibraryTooOld: It has the WAL-reset fault.
    """
    if tuple(int(part) for part in version.split(".")) < OLDEST_LIBRARY:
        raise LibraryTooOld(found=version, needed=".".join(map(str, OLDEST_LIBRARY)))


def open_writer(path: Path, clock: Clock) -> apsw.Connection:
    """Open the connection that alone writes and checkpoints; it makes the file when there is none."""
    require_library(apsw.sqlite_lib_version())
    if not path.exists():
        # SQLite gives its other files the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MS)
    # Only an empty database takes a page size, and only before it becomes a WAL database.
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    mode = connection.execute("PRAGMA journal_mode = WAL").get
    if mode != "wal":
        raise LibraryTooOld(found=f"journal mode {mode}", needed="a file system with shared memory")
    connection.execute("PRAGMA synchronous = FULL")
    # What is erased is overwritten in the file, and is not only unlinked there.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
    # The writer checkpoints between batches, so that no unit waits for it.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    _settle(connection, clock, cache_kib=16_384)
    return connection


def open_reader(path: Path, clock: Clock) -> apsw.Connection:
    """Open a connection that cannot write; it sees all that was committed before each statement."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    _settle(connection, clock, cache_kib=8_192)
    return connection


def open_memory(clock: Clock) -> apsw.Connection:
    """Open a database in memory, for a simulation: nothing of it survives its connection."""
    require_library(apsw.sqlite_lib_version())
    connection = apsw.Connection(":memory:")
    _settle(connection, clock, cache_kib=16_384)
    return connection


def _settle(connection: apsw.Connection, clock: Clock, *, cache_kib: int) -> None:
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.create_scalar_function("now_us", lambda *_: clock(), 0)
