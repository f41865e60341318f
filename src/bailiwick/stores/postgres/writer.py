"""The writer: a batch of waiting units becomes one transaction, and a unit that must fail fails alone."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import asyncpg
import msgspec

from bailiwick.base import Digest, Refusal
from bailiwick.ports import Draft, Fenced, GuardFailed, TaskState
from bailiwick.stores.postgres.connect import COLLIDED, LOST, Connection
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.postgres.weaving import woven
from bailiwick.stores.refusals import StoreBusy
from bailiwick.stores.rows import Row
from bailiwick.stores.sealing import PLATFORM, Head, Job, Sealed, Sealer, StreamKey
from bailiwick.stores.store import Topic

Outcome = object
"""What a unit came to: an exception that its caller gets, or None."""

NUMBERS: Final = 65_536
"""The step of the sequence `numbers`: how many streams a process may open before it asks again."""


class Write(msgspec.Struct, frozen=True):
    """A statement of a unit; of one that is written alone, in the order in which they run.

    `guard` names what a taken id is an id of, `id` is its place in the row, and `key` are the places of what the
    rows are sorted by: two processes that write the same rows wait for each other in one order. With `counted`,
    as many rows must change as are given. With `replaces`, the last of several rows with one key stands. With
    `apart`, it is not woven with the others, for it rests on what they write; with `singly`, each row is a
    statement of its own besides, for several may change one row of the table.
    """

    query: str
    guard: str
    key: tuple[int, ...]
    id: int = 0
    counted: bool = False
    replaces: bool = False
    apart: bool = False
    singly: bool = False


_FENCE: Final = "task lease"
_MOVED: Final = frozenset({"log", "stream", "event"})
_WRITES: Final = (
    Write("insert_log", "log", (1,)),
    Write("insert_stream", "stream", (1, 2)),
    Write("insert_event", "event", (0, 1)),
    Write("insert_payload", "payload", (0, 1)),
    Write("upsert_run", "run", (1, 0), replaces=True),
    Write("insert_task", "task", (1, 0)),
    Write("insert_approval", "approval", (1, 0)),
    Write("insert_posting", "posting", (1, 3, 0)),
    Write("insert_submission", "submission", (0, 1), id=1),
    Write("upsert_halt", "halt", (1, 0), counted=True),
    Write("upsert_tenant", "tenant", (0,), counted=True),
    Write("upsert_identity", "identity", (1, 0), id=2, replaces=True),
    Write("upsert_key", "key", (1, 0), replaces=True),
    Write("insert_identity_change", "identity change", (1, 2, 0)),
    Write("upsert_budget", "budget", (1, 0), replaces=True),
    Write("move_task", _FENCE, (11, 12), id=12, counted=True),
    Write("finish_task", _FENCE, (0, 1), id=1, counted=True),
    Write("move_approval", "approval", (14, 15), id=15, counted=True),
    Write("take_budget", "budget", (2, 3), id=3, counted=True, apart=True, singly=True),
    Write("return_budget", "budget", (1, 2), id=2, apart=True, singly=True),
    Write("insert_removal", "payload", (0, 1, 2), id=1, apart=True),
    Write("erase_payload", "payload", (0, 1, 2), id=1, counted=True, apart=True),
)
_WOVEN: Final = tuple(write for write in _WRITES if not write.apart)
_APART: Final = tuple(write for write in _WRITES if write.apart)
_ATTEMPTS: Final = 5
_UNFIT: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,  # two units of a batch write one row
)
_ILL_FORMED: Final = (ValueError, TypeError, OverflowError, AttributeError)


class InDoubtError(Exception):
    """The line was lost in COMMIT: the transaction `xid` may have been committed, with these outcomes.

    `event` is the row of an event that it wrote; None when it wrote none.
    """

    def __init__(self, xid: str, outcomes: list[Outcome], event: Row | None) -> None:
        super().__init__(xid)
        self.xid = xid
        self.outcomes = outcomes
        self.event = event


class _MovedError(Exception):
    """Another process wrote to a stream of the unit meanwhile: what it continues must be read again."""


class _Tables:
    """Implements `sealing.Ground` over what was read before the units are sealed."""

    def __init__(self) -> None:
        self.heads: dict[StreamKey, Head] = {}
        self.logs: dict[str, int] = {}

    def head(self, key: StreamKey) -> Head | None:
        return self.heads.get(key)

    def log(self, name: str) -> int | None:
        return self.logs.get(name)

    def event_row(self, pos: int, head: Head, header: bytes, leaf: bytes) -> Row:
        return (head.stream, head.seq, head.log, header, leaf)

    def payload_row(self, pos: int, head: Head, draft: Draft, blob: Digest | None) -> Row:
        return (head.stream, head.seq, draft.salt, draft.payload if blob is None else None, blob)


class Writer:
    """Steps batches over a connection that its owner hands in, one at a time.

    A run's stream is guarded by its expected version and the unique key of its events: what this process remembers
    of it is only a guess that the key refutes. Streams without expected version are held by a row lock, in order.

    Attributes:
        commits: Transactions that held at least one unit.
        rows: Rows that units wrote.
        units: Units that were committed.
        redone: Batches that were done again unit by unit, because a guard did not hold.
        fenced: Units that were refused for a superseded epoch.
    """

    def __init__(self) -> None:
        self._tables = _Tables()
        self._sealer = Sealer(self._tables)
        self._numbers_left = 0
        self._xid = ""
        self.commits = 0
        self.rows = 0
        self.units = 0
        self.redone = 0
        self.fenced = 0

    async def step(self, connection: Connection, batch: Sequence[Job]) -> list[Outcome]:
        """Commit a batch in one transaction and tell what each unit came to, in the same order.

        Call `settle` or `drop` afterwards.

        Raises:
            InDoubtError: The line was lost in COMMIT.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Nothing was written.
        """
        await connection.execute("BEGIN")
        outcomes = await self._together(connection, batch)
        if outcomes is None:
            self.redone += 1
            await connection.execute("ROLLBACK")
            self.drop()
            await connection.execute("BEGIN")
            self._xid = await connection.fetchval(SQL["select_transaction"])
            outcomes = [await self._job_alone(connection, job) for job in batch]
        if all(outcome is not None for outcome in outcomes):
            await connection.execute("ROLLBACK")
            return outcomes
        try:
            done = await connection.execute("COMMIT")
        except LOST as error:
            written = self._sealer.batch.rows.get("insert_event")
            raise InDoubtError(self._xid, outcomes, written[-1] if written else None) from error
        assert done == "COMMIT", done
        return outcomes

    def settle(self, outcomes: Sequence[Outcome]) -> set[Topic]:
        """Remember that the batch was committed; tell what others should hear of it."""
        rows = self._sealer.batch.rows
        self.units += sum(outcome is None for outcome in outcomes)
        self.fenced += sum(isinstance(outcome, Fenced) for outcome in outcomes)
        self.rows += sum(map(len, rows.values()))
        self.commits += any(outcome is None for outcome in outcomes)
        topics = set(_topics(rows))
        self._sealer.keep()
        return topics

    def drop(self) -> None:
        """Forget the batch, and all that was remembered: it was not committed, or another process was faster."""
        self._sealer.drop()
        self._sealer.forget()

    async def _together(self, connection: Connection, batch: Sequence[Job]) -> list[Outcome] | None:
        """Write all units at once; None when a guard did not hold and it must be undone."""
        try:
            await self._look(connection, batch, hold_all=False)
            outcomes: list[Outcome] = [None] * len(batch)
            for index, job in enumerate(batch):
                try:
                    self._sealer.accept(self._sealer.seal(job))
                except (Refusal, *_ILL_FORMED) as refusal:
                    if isinstance(refusal, Refusal):
                        return None  # what is remembered may be old: read again before it is refused
                    outcomes[index] = refusal
            rows = self._sealer.batch.rows
            if _meet(rows.get("finish_task"), rows.get("move_task")):
                return None
            if not await self._write_woven(connection, rows):
                return None
            for write in _APART:
                if write.query in rows and not await _write(connection, write, rows[write.query]):
                    return None
        except (*_UNFIT, *COLLIDED, *_ILL_FORMED):
            return None
        return outcomes

    async def _write_woven(self, connection: Connection, rows: dict[str, list[Row]]) -> bool:
        """Write what does not rest on what else is written, in one round trip; tell whether each guard held."""
        writes = [write for write in _WOVEN if write.query in rows]
        given = [_ordered(write, rows[write.query]) for write in writes]
        values = [column for part in given for column in _columns(part)]
        query = woven(tuple(SQL[write.query] for write in writes))
        self._xid, *written = await connection.fetchrow(query, *values)
        return not any(
            write.counted and count != len(part)
            for write, part, count in zip(writes, given, written, strict=True)
        )

    async def _job_alone(self, connection: Connection, job: Job) -> Outcome:
        for _ in range(_ATTEMPTS):
            await connection.execute("SAVEPOINT unit")
            try:
                await self._look(connection, [job], hold_all=True)
                sealed = self._sealer.seal(job)
                await _write_alone(connection, sealed)
            except (_MovedError, *COLLIDED):
                await connection.execute("ROLLBACK TO unit; RELEASE unit")
            except (Refusal, *_ILL_FORMED) as refusal:
                await connection.execute("ROLLBACK TO unit; RELEASE unit")
                return refusal
            else:
                await connection.execute("RELEASE unit")
                self._sealer.accept(sealed)
                return None
        return StoreBusy("other processes wrote to the same rows again and again")

    async def _look(self, connection: Connection, batch: Sequence[Job], *, hold_all: bool) -> None:
        """Read where the streams of units stand that must be known or held before they are continued."""
        held: dict[StreamKey, None] = {}
        read: dict[StreamKey, None] = {}
        for unit in (job.unit for job in batch):
            key = (unit.tenant, unit.run)
            if unit.run and (hold_all or not unit.drafts):
                held[key] = None
            elif unit.run and unit.expected and not self._sealer.knows(key):
                read[key] = None
            held.update(((_owner(unit.tenant, name), name), None) for name, _ in unit.others)
        streams = sorted(key for key in held if key not in self._sealer.batch.heads)
        self._sealer.unlearn(streams)
        if streams:
            # A statement of its own: the next one must see what the holder before has written.
            await connection.execute(SQL["lock_streams"], *_columns(streams))
        await self._read(connection, [*streams, *read])
        tenants = {*(job.unit.tenant for job in batch), *(tenant for tenant, _ in held)}
        await self._read_logs(connection, tenants)
        if self._numbers_left < len(held) + len(batch):
            first = await connection.fetchval(SQL["take_numbers"])
            self._sealer.renumber(first, first)
            self._numbers_left = NUMBERS - 1
        self._numbers_left -= len(held) + len(batch)

    async def _read(self, connection: Connection, keys: list[StreamKey]) -> None:
        self._tables.heads.clear()
        if not keys:
            return
        for tenant, name, stream, log, seq, leaf in await connection.fetch(
            SQL["select_stream_heads"], *_columns(keys)
        ):
            self._tables.heads[tenant, name] = Head(stream, log, seq, leaf.hex() if leaf is not None else "")

    async def _read_logs(self, connection: Connection, tenants: Iterable[str]) -> None:
        names = [f"tenant:{tenant}" if tenant else PLATFORM for tenant in sorted(tenants)]
        unknown = [name for name in names if not self._sealer.knows_log(name)]
        if unknown:
            self._tables.logs = dict(map(tuple, await connection.fetch(SQL["select_logs"], unknown)))


def _owner(tenant: str, name: str) -> str:
    """Name the tenant of a stream; a stream that the unit may not write to is refused when it is sealed."""
    return "" if name == PLATFORM else name.partition(":")[2] or tenant


async def _write(connection: Connection, write: Write, rows: list[Row]) -> bool:
    rows = _ordered(write, rows)
    changed = 0
    for part in [[row] for row in rows] if write.singly else [rows] if rows else []:
        done = await connection.execute(SQL[write.query], *_columns(part))
        changed += int(done.rpartition(" ")[2])
    return not write.counted or changed == len(rows)


def _ordered(write: Write, rows: list[Row]) -> list[Row]:
    """Sort rows by what they are rows of, and keep the last of those that replace one another."""
    if write.replaces:
        rows = list({tuple(row[at] for at in write.key): row for row in rows}.values())
    return sorted(rows, key=lambda row: [row[at] for at in write.key]) if len(rows) > 1 else rows


async def _write_alone(connection: Connection, sealed: Sealed) -> None:
    """Write one unit row by row, so that the row whose guard does not hold can be named."""
    for write in _WRITES:
        for row in sealed.rows.get(write.query, ()):
            try:
                held = await _write(connection, write, [row])
            except asyncpg.UniqueViolationError as error:
                if write.guard in _MOVED:
                    raise _MovedError from error
                raise GuardFailed(guard=write.guard, id=str(row[write.id])) from error
            except _UNFIT as error:
                raise ValueError(f"the unit does not fit its table: {error}") from error
            if not held and write.guard == _FENCE:
                raise Fenced(task=row[write.id], epoch=row[-1])
            if not held:
                raise GuardFailed(guard=write.guard, id=row[write.id])


def _columns(rows: Sequence[Row]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _topics(rows: dict[str, list[Row]]) -> Iterator[Topic]:
    queued = [row[8] for row in rows.get("insert_task", ())] + [row[5] for row in rows.get("move_task", ())]
    if TaskState.QUEUED in queued:
        yield Topic.WORK
    if "upsert_halt" in rows:
        yield Topic.HALTS
    if not rows.keys().isdisjoint(("upsert_tenant", "upsert_identity", "upsert_key")):
        yield Topic.KEYS


def _meet(ended: list[Row] | None, moved: list[Row] | None) -> bool:
    """Say whether one task is both ended and moved: then the order of the units decides, not of statements."""
    if not ended or not moved:
        return False
    return not {row[:2] for row in ended}.isdisjoint([row[11:13] for row in moved])
