"""The writer: a batch of waiting units becomes one transaction, and a unit that must fail fails alone."""

from collections.abc import Callable, Sequence
from typing import Final

import apsw
import msgspec

from bailiwick.base import Digest, Refusal
from bailiwick.ports import Draft, Fenced, GuardFailed
from bailiwick.stores.refusals import StoreBroken, StoreBusy, StoreFull
from bailiwick.stores.rows import Row
from bailiwick.stores.sealing import Head, Job, Sealed, Sealer, StreamKey
from bailiwick.stores.sqlite.connect import BUSY_MS, CHECKPOINT_PAGES
from bailiwick.stores.sqlite.statements import SQL

Chore = Callable[[apsw.Connection], object]
"""A write beside the units (a session, the feed, a log's head); a Refusal that it raises undoes it alone."""

Entry = Job | Chore

Outcome = object
"""What an entry came to: an exception that its caller gets, or the answer (None for a unit)."""


def fold(_connection: apsw.Connection) -> None:
    """Ask that no erased byte be left in the log: a chore that changes nothing; `Writer.tend` acts on it."""


class Write(msgspec.Struct, frozen=True):
    """A statement of a unit, in the order in which they run.

    `guard` names what a taken id is an id of, `id` is the place of that id in the row. With `counted`,
    each row must change exactly one row of the table.
    """

    query: str
    guard: str
    id: int = 0
    counted: bool = False


_FENCE: Final = "task lease"
_FOLD_MS: Final = 100
_WRITES: Final = (
    Write("insert_log", "log"),
    Write("insert_stream", "stream"),
    Write("insert_event", "event"),
    Write("insert_payload", "payload"),
    Write("upsert_run", "run", id=0),
    Write("insert_task", "task", id=0),
    Write("insert_approval", "approval", id=0),
    Write("insert_posting", "posting", id=0),
    Write("insert_submission", "submission", id=1),
    Write("upsert_halt", "halt", id=0, counted=True),
    Write("upsert_tenant", "tenant", id=0, counted=True),
    Write("upsert_identity", "identity", id=2),
    Write("upsert_key", "key", id=0),
    Write("insert_identity_change", "identity change", id=0),
    Write("upsert_budget", "budget", id=0),
    Write("take_budget", "budget", id=3, counted=True),
    Write("return_budget", "budget", id=2),
    Write("move_task", _FENCE, id=12, counted=True),
    Write("finish_task", _FENCE, id=1, counted=True),
    Write("move_approval", "approval", id=15, counted=True),
    Write("insert_removal", "payload", id=1),
    Write("erase_payload", "payload", id=1, counted=True),
)
_TAKEN: Final = (
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_ROWID,
)
_ILL_FORMED: Final = (ValueError, TypeError, OverflowError, AttributeError)


class _Tables:
    """Implements `sealing.Ground` over the writing connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def head(self, key: StreamKey) -> Head | None:
        found = self._connection.execute(SQL["select_stream_head"], key).get
        if found is None:
            return None
        stream, log, seq, leaf = found
        return Head(stream, log, seq, leaf.hex() if leaf is not None else "")

    def log(self, name: str) -> int | None:
        number: int | None = self._connection.execute(SQL["select_log"], (name,)).get
        return number

    def event_row(self, pos: int, head: Head, header: bytes, leaf: bytes) -> Row:
        return (pos, head.stream, head.seq, head.log, header, leaf)

    def payload_row(self, pos: int, head: Head, draft: Draft, blob: Digest | None) -> Row:
        return (pos, draft.salt, draft.payload if blob is None else None, blob)


class Writer:
    """Owns the writing connection. Not safe for threads: one thread (or a simulator) steps it.

    Attributes:
        commits: Transactions that held at least one unit.
        rows: Rows that units wrote.
        units: Units that were committed.
        chores: Transactions that held chores only.
        redone: Batches that were done again unit by unit, because a guard did not hold.
        fenced: Units that were refused for a superseded epoch.
        unfolded: Whether the log may hold bytes that were erased: then `tend` empties it, when `fold` has asked.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sealer = Sealer(_Tables(connection), connection.execute(SQL["select_counters"]).get)
        self._broken = ""
        self._full = ""
        self._wal_pages = 0
        self.commits = 0
        self.rows = 0
        self.units = 0
        self.chores = 0
        self.redone = 0
        self.fenced = 0
        self.unfolded = True  # a process that died may have left them there
        self._fold = False
        connection.set_wal_hook(self._on_wal)

    def step(self, batch: Sequence[Entry]) -> list[Outcome]:
        """Commit a batch in one transaction and tell what each entry came to, in the same order.

        Refused entries leave nothing behind. When it returns, all else survives a power cut. After a
        failure of the disk every entry is answered with an error, and so are all later ones unless the
        disk was merely full.
        """
        if self._broken:
            return [StoreBroken(self._broken) for _ in batch]
        try:
            outcomes = self._transact(batch)
        except apsw.FullError as error:
            self._undo()
            self._full = str(error)
            return [StoreFull(str(error)) for _ in batch]
        except apsw.BusyError as error:
            self._undo()
            return [StoreBusy(str(error)) for _ in batch]
        except apsw.Error as error:
            # After a failed write or sync nobody knows what the disk holds; trying again could lie.
            self._broken = f"{type(error).__name__}: {error}"
            self._undo()
            return [StoreBroken(self._broken) for _ in batch]
        except BaseException:
            self._undo()
            raise
        self._full = ""
        self._count(batch, outcomes)
        self._fold = self._fold or (self.unfolded and any(entry is fold for entry in batch))
        return outcomes

    @property
    def trouble(self) -> str:
        """Why nothing could be written the last time; empty when it was."""
        return self._broken or self._full

    def tend(self) -> None:
        """Checkpoint when the log has grown; called between batches, when nobody waits."""
        if self._fold and not self._broken:
            self._fold = False
            self._empty()
        if self._wal_pages < CHECKPOINT_PAGES or self._broken:
            return
        self._wal_pages = 0
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.BusyError, apsw.FullError):
            return  # the log keeps what was committed; the next batch asks again
        except apsw.Error as error:
            self._broken = f"{type(error).__name__}: {error}"

    def _empty(self) -> None:
        """Empty the log, so that no erased byte is left in it; readers are waited for only shortly."""
        self._connection.set_busy_timeout(_FOLD_MS)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.BusyError, apsw.FullError):
            return  # somebody reads from it; whoever sweeps asks again
        except apsw.Error as error:
            self._broken = f"{type(error).__name__}: {error}"
            return
        finally:
            self._connection.set_busy_timeout(BUSY_MS)
        self._wal_pages = 0
        self.unfolded = False

    def close(self) -> None:
        """Close the connection; the last one to go folds the log into the database."""
        self._connection.close()

    def _transact(self, batch: Sequence[Entry]) -> list[Outcome]:
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = self._together(batch)
        if outcomes is None:
            self.redone += 1
            self._undo()
            self._connection.execute("BEGIN IMMEDIATE")
            # Somebody else may have written rows: their numbers are taken, and nobody must wait for a restart.
            self._sealer.recount(self._connection.execute(SQL["select_counters"]).get)
            outcomes = [self._job_alone(entry) if isinstance(entry, Job) else None for entry in batch]
        for index, entry in enumerate(batch):
            if not isinstance(entry, Job):
                outcomes[index] = self._chore_alone(entry)
        self._connection.execute("COMMIT")
        return outcomes

    def _together(self, batch: Sequence[Entry]) -> list[Outcome] | None:
        """Write all units statement by statement; None when a guard did not hold and it must be undone."""
        sealer = self._sealer
        outcomes: list[Outcome] = [None] * len(batch)
        for index, entry in enumerate(batch):
            if isinstance(entry, Job):
                try:
                    sealer.accept(sealer.seal(entry))
                except (Refusal, *_ILL_FORMED) as refusal:
                    outcomes[index] = refusal
        rows = sealer.batch.rows
        if _meet(rows.get("finish_task"), rows.get("move_task")):
            return None
        try:
            for write in _WRITES:
                if write.query in rows and not self._write(write, rows[write.query]):
                    return None
        except (apsw.ConstraintError, *_ILL_FORMED):
            return None
        return outcomes

    def _write(self, write: Write, rows: list[Row]) -> bool:
        connection = self._connection
        before = connection.total_changes() if write.counted else 0
        connection.executemany(SQL[write.query], rows)
        return not write.counted or connection.total_changes() - before == len(rows)

    def _job_alone(self, job: Job) -> Outcome:
        self._connection.execute("SAVEPOINT unit")
        try:
            sealed = self._sealer.seal(job)
            self._write_alone(sealed)
        except (Refusal, *_ILL_FORMED) as refusal:
            self._connection.execute("ROLLBACK TO unit")
            return refusal
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE unit")
        self._sealer.accept(sealed)
        return None

    def _write_alone(self, sealed: Sealed) -> None:
        """Write one unit row by row, so that the row whose guard does not hold can be named."""
        for write in _WRITES:
            for row in sealed.rows.get(write.query, ()):
                try:
                    held = self._write(write, [row])
                except apsw.ConstraintError as error:
                    if error.extendedresult in _TAKEN:  # type: ignore[attr-defined]  # its stub forgets it
                        raise GuardFailed(guard=write.guard, id=str(row[write.id])) from error
                    raise ValueError(f"the unit does not fit its table: {error}") from error
                if not held and write.guard == _FENCE:
                    raise Fenced(task=row[write.id], epoch=row[-1])
                if not held:
                    raise GuardFailed(guard=write.guard, id=row[write.id])

    def _chore_alone(self, chore: Chore) -> Outcome:
        self._connection.execute("SAVEPOINT chore")
        try:
            return chore(self._connection)
        except (Refusal, apsw.ConstraintError, *_ILL_FORMED) as refusal:
            self._connection.execute("ROLLBACK TO chore")
            return refusal
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE chore")

    def _undo(self) -> None:
        self._sealer.drop()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _count(self, batch: Sequence[Entry], outcomes: list[Outcome]) -> None:
        units = 0
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(entry, Job):
                units += outcome is None
                self.fenced += isinstance(outcome, Fenced)
        self.units += units
        self.rows += sum(map(len, self._sealer.batch.rows.values()))
        self.unfolded = self.unfolded or "erase_payload" in self._sealer.batch.rows
        if units:
            self.commits += 1
        elif len(batch) > 0:
            self.chores += 1
        self._sealer.keep()

    def _on_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def _meet(ended: list[Row] | None, moved: list[Row] | None) -> bool:
    """Say whether one task is both ended and moved: then the order of the units decides, not of statements."""
    if not ended or not moved:
        return False
    return not {row[:2] for row in ended}.isdisjoint([row[11:13] for row in moved])
