"""The embedded store: SQLite in one data directory, one process, one writing connection."""

from bailiwick.stores.sqlite.connect import Clock, require_library
from bailiwick.stores.sqlite.inspector import NoLedger, SqliteInspector, open_inspector
from bailiwick.stores.sqlite.stepped import Scheduler, SteppedDatabase, SteppedStore
from bailiwick.stores.sqlite.store import SqliteStore, open_store
from bailiwick.stores.sqlite.writer import Writer

__all__ = [
    "Clock",
    "NoLedger",
    "Scheduler",
    "SqliteInspector",
    "SqliteStore",
    "SteppedDatabase",
    "SteppedStore",
    "Writer",
    "open_inspector",
    "open_store",
    "require_library",
]
