"""Floor 6: the stores, all SQL and all migrations, and the blobs on disk."""

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.folders import make_folder, sync_folder
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
    SqliteInspector,
    SqliteStore,
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
    "SchemaTooNew",
    "SqliteInspector",
    "SqliteStore",
    "StoreBroken",
    "StoreBusy",
    "StoreClosed",
    "StoreFull",
    "make_folder",
    "open_inspector",
    "open_store",
    "sync_folder",
]
