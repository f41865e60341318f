"""Floor 6: the stores, all SQL and all migrations, and the blobs on disk."""

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.refusals import (
    BlobDamaged,
    BlobTooLarge,
    DataDirInUse,
    EventDamaged,
    LibraryTooOld,
    PayloadDamaged,
    SchemaTooNew,
    StoreBroken,
    StoreBusy,
    StoreClosed,
    StoreFull,
)
from bailiwick.stores.sqlite import (
    DirectoryLock,
    NoLedger,
    Scheduler,
    SqliteInspector,
    SqliteStore,
    SteppedDatabase,
    SteppedStore,
    open_inspector,
    open_store,
)

__all__ = [
    "BlobDamaged",
    "BlobTooLarge",
    "DataDirInUse",
    "DirectoryLock",
    "DiskBlobs",
    "EventDamaged",
    "LibraryTooOld",
    "NoLedger",
    "PayloadDamaged",
    "Scheduler",
    "SchemaTooNew",
    "SqliteInspector",
    "SqliteStore",
    "SteppedDatabase",
    "SteppedStore",
    "StoreBroken",
    "StoreBusy",
    "StoreClosed",
    "StoreFull",
    "open_inspector",
    "open_store",
]
