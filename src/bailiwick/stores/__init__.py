"""Floor 6: the stores, all SQL and all migrations, and the blobs on disk."""

from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.folders import make_folder, sync_folder
from bailiwick.stores.lock import DirectoryLock
from bailiwick.stores.postgres import (
    Address,
    PostgresInspector,
    PostgresStore,
    inspect_postgres,
    is_postgres,
    migrate_schema,
    open_postgres,
    schema_status,
)
from bailiwick.stores.queries import STORES, statements_of
from bailiwick.stores.refusals import (
    BlobDamaged,
    BlobTooLarge,
    DataDirInUse,
    EventDamaged,
    LibraryTooOld,
    NoLedger,
    OutcomeUnknown,
    PayloadDamaged,
    SchemaTooNew,
    StoreBroken,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreUnreachable,
)
from bailiwick.stores.sqlite import (
    Scheduler,
    SqliteInspector,
    SqliteStore,
    SteppedDatabase,
    SteppedStore,
    open_inspector,
    open_store,
)
from bailiwick.stores.store import Store, Topic

__all__ = [
    "STORES",
    "Address",
    "BlobDamaged",
    "BlobTooLarge",
    "DataDirInUse",
    "DirectoryLock",
    "DiskBlobs",
    "EventDamaged",
    "LibraryTooOld",
    "NoLedger",
    "OutcomeUnknown",
    "PayloadDamaged",
    "PostgresInspector",
    "PostgresStore",
    "Scheduler",
    "SchemaTooNew",
    "SqliteInspector",
    "SqliteStore",
    "SteppedDatabase",
    "SteppedStore",
    "Store",
    "StoreBroken",
    "StoreBusy",
    "StoreClosed",
    "StoreFull",
    "StoreUnreachable",
    "Topic",
    "inspect_postgres",
    "is_postgres",
    "make_folder",
    "migrate_schema",
    "open_inspector",
    "open_postgres",
    "open_store",
    "schema_status",
    "statements_of",
    "sync_folder",
]
