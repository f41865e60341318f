"""Floor 6: the stores, all SQL and all migrations, and the blobs on disk."""

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.queries import STORES, statements_of
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
from bailiwick.stores.sqlite import DirectoryLock, SqliteStore, open_store

__all__ = [
    "STORES",
    "BlobDamaged",
    "BlobTooLarge",
    "DataDirInUse",
    "DirectoryLock",
    "DiskBlobs",
    "EventDamaged",
    "LibraryTooOld",
    "PayloadDamaged",
    "SchemaTooNew",
    "SqliteStore",
    "StoreBroken",
    "StoreBusy",
    "StoreClosed",
    "StoreFull",
    "open_store",
    "statements_of",
]
