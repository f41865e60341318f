"""What a store refuses: to start on unsafe ground, to go on after a failed write, to hand out what was edited."""

from bailiwick.base import Category, Refusal
from bailiwick.ports import StoreUnavailable


class DataDirInUse(Refusal, code="data_dir_in_use", category=Category.CONFLICT):
    """Another process holds the data directory; two would corrupt each other's leases."""

    path: str
    holder: str
    says = "the data directory {path} is held by {holder}"
    remedy = "use that process (its API or the CLI), stop it, or choose another directory"


class LibraryTooOld(Refusal, code="sqlite_too_old", category=Category.UNAVAILABLE):
    """The SQLite library can corrupt a WAL database."""

    found: str
    needed: str
    says = "SQLite {found} can corrupt a database in WAL mode; {needed} or later is needed"
    remedy = "install the apsw wheel named in constraints.txt, it carries its own library"


class SchemaTooNew(Refusal, code="schema_too_new", category=Category.UNAVAILABLE):
    """A later version of the program wrote this database."""

    found: int
    known: int
    says = "the database has schema {found}, this program knows {known}"
    remedy = "start the version that wrote it, or a later one; a schema is never taken back"


class NoLedger(Refusal, code="no_ledger", category=Category.ABSENT):
    """A data directory, or a database, holds no ledger."""

    place: str
    says = "there is no ledger in {place}"
    remedy = "name a server's data directory with --data-dir, or its database with --store"


class PayloadDamaged(Refusal, code="payload_damaged", category=Category.UNAVAILABLE):
    """A stored payload is not the one that its event committed to."""

    stream: str
    seq: int
    says = "the payload of {stream}.{seq} does not match its commitment"
    remedy = "restore it from a backup; `bailiwick audit verify` tells what else was changed"


class EventDamaged(Refusal, code="event_damaged", category=Category.UNAVAILABLE):
    """A stored header is not the one that was hashed at commit."""

    stream: str
    seq: int
    says = "the header of {stream}.{seq} does not match its leaf"
    remedy = "restore it from a backup; `bailiwick audit verify` tells what else was changed"


class BlobDamaged(Refusal, code="blob_damaged", category=Category.UNAVAILABLE):
    """A stored blob no longer has the content that its name says."""

    digest: str
    says = "the stored blob {digest} has other content than its name says"
    remedy = "restore it from a backup, or store the original content again"


class BlobTooLarge(Refusal, code="blob_too_large", category=Category.TOO_LARGE):
    """A blob is over the size that this store takes; nothing was written."""

    size: int
    limit: int
    says = "{size} bytes are over the limit of {limit} for one blob"
    remedy = "store the content in parts"


class StoreClosed(StoreUnavailable, code="store_closed"):
    """The store is shut; nothing was written."""

    says = "the store is closed; nothing was written"
    remedy = "repeat after the restart"


class StoreFull(StoreUnavailable, code="store_full"):
    """The disk is full; nothing was written, and writing goes on by itself once there is room."""

    reason: str
    says = "the disk of the data directory is full ({reason}); nothing was written"
    remedy = "free space on that disk and repeat"


class StoreBusy(StoreUnavailable, code="store_busy"):
    """A foreign program holds the database's write lock; nothing was written."""

    reason: str
    says = "another program holds the database's write lock ({reason}); nothing was written"
    remedy = "end that program (a shell, a backup tool) and repeat"


class StoreBroken(StoreUnavailable, code="store_broken"):
    """A write or sync failed; whether the last units survived is only known after a restart."""

    reason: str
    says = "the store stopped writing after a failure: {reason}"
    remedy = "restart the process; it recovers what was committed and resumes the rest"


class StoreUnreachable(StoreUnavailable, code="store_unreachable"):
    """The database cannot be reached; nothing was written."""

    store: str
    reason: str
    says = "the database {store} cannot be reached ({reason}); nothing was written"
    remedy = "repeat; if it lasts, see whether the database runs and accepts connections"


class OutcomeUnknown(StoreUnavailable, code="store_outcome_unknown"):
    """The line to the database was lost in a commit; whether the unit was kept was not found out in time."""

    reason: str
    says = "the line to the database was lost in a commit and its outcome is not known yet: {reason}"
    remedy = "repeat with the same idempotency key, or read again what it should have changed"
