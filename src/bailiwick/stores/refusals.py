"""What a store refuses: to start on unsafe ground, to go on after a failed write, to hand out what was edited."""

from typing import ClassVar

from bailiwick.base import Category, Refusal
from bailiwick.ports import StoreUnavailable


class DataDirInUse(Refusal):
    """Another process holds the data directory; two would corrupt each other's leases."""

    code: ClassVar[str] = "data_dir_in_use"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, path: str, holder: str) -> None:
        super().__init__(
            f"the data directory {path} is held by {holder}",
            remedy="use that process (its API or the CLI), stop it, or choose another directory",
            path=path,
            holder=holder,
        )


class LibraryTooOld(Refusal):
    """The SQLite library can corrupt a WAL database."""

    code: ClassVar[str] = "sqlite_too_old"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, *, found: str, needed: str) -> None:
        super().__init__(
            f"SQLite {found} can corrupt a database in WAL mode; {needed} or later is needed",
            remedy="install the apsw wheel named in constraints.txt, it carries its own library",
            found=found,
            needed=needed,
        )


class SchemaTooNew(Refusal):
    """A later version of the program wrote this database."""

    code: ClassVar[str] = "schema_too_new"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(
            f"the database has schema {found}, this program knows {known}",
            remedy="start the version that wrote it, or a later one; a schema is never taken back",
            found=found,
            known=known,
        )


class NoLedger(Refusal):
    """A data directory, or a database, holds no ledger."""

    code: ClassVar[str] = "no_ledger"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, place: str) -> None:
        super().__init__(
            f"there is no ledger in {place}",
            remedy="name a server's data directory with --data-dir, or its database with --store",
            place=place,
        )


class PayloadDamaged(Refusal):
    """A stored payload is not the one that its event committed to."""

    code: ClassVar[str] = "payload_damaged"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, *, stream: str, seq: int) -> None:
        super().__init__(
            f"the payload of {stream}.{seq} does not match its commitment",
            remedy="restore it from a backup; `bailiwick audit verify` tells what else was changed",
            stream=stream,
            seq=seq,
        )


class EventDamaged(Refusal):
    """A stored header is not the one that was hashed at commit."""

    code: ClassVar[str] = "event_damaged"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, *, stream: str, seq: int) -> None:
        super().__init__(
            f"the header of {stream}.{seq} does not match its leaf",
            remedy="restore it from a backup; `bailiwick audit verify` tells what else was changed",
            stream=stream,
            seq=seq,
        )


class BlobDamaged(Refusal):
    """A stored blob no longer has the content that its name says."""

    code: ClassVar[str] = "blob_damaged"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, *, digest: str) -> None:
        super().__init__(
            f"the stored blob {digest} has other content than its name says",
            remedy="restore it from a backup, or store the original content again",
            digest=digest,
        )


class BlobTooLarge(Refusal):
    """A blob is over the size that this store takes; nothing was written."""

    code: ClassVar[str] = "blob_too_large"
    category: ClassVar[Category] = Category.TOO_LARGE

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(
            f"{size} bytes are over the limit of {limit} for one blob",
            remedy="store the content in parts",
            size=size,
            limit=limit,
        )


class StoreClosed(StoreUnavailable):
    """The store is shut; nothing was written."""

    code: ClassVar[str] = "store_closed"

    def __init__(self) -> None:
        super().__init__("the store is closed; nothing was written", remedy="repeat after the restart")


class StoreFull(StoreUnavailable):
    """The disk is full; nothing was written, and writing goes on by itself once there is room."""

    code: ClassVar[str] = "store_full"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the disk of the data directory is full ({reason}); nothing was written",
            remedy="free space on that disk and repeat",
            reason=reason,
        )


class StoreBusy(StoreUnavailable):
    """A foreign program holds the database's write lock; nothing was written."""

    code: ClassVar[str] = "store_busy"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"another program holds the database's write lock ({reason}); nothing was written",
            remedy="end that program (a shell, a backup tool) and repeat",
            reason=reason,
        )


class StoreBroken(StoreUnavailable):
    """A write or sync failed; whether the last units survived is only known after a restart."""

    code: ClassVar[str] = "store_broken"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the store stopped writing after a failure: {reason}",
            remedy="restart the process; it recovers what was committed and resumes the rest",
            reason=reason,
        )


class StoreUnreachable(StoreUnavailable):
    """The database cannot be reached; nothing was written."""

    code: ClassVar[str] = "store_unreachable"

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(
            f"the database {store} cannot be reached ({reason}); nothing was written",
            remedy="repeat; if it lasts, see whether the database runs and accepts connections",
            store=store,
            reason=reason,
        )


class OutcomeUnknown(StoreUnavailable):
    """The line to the database was lost in a commit; whether the unit was kept was not found out in time."""

    code: ClassVar[str] = "store_outcome_unknown"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the line to the database was lost in a commit and its outcome is not known yet: {reason}",
            remedy="repeat with the same idempotency key, or read again what it should have changed",
            reason=reason,
        )
