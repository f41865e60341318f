"""Sealing: a unit's drafts get stream, seq, previous hash and commitment, and the whole unit becomes rows."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Final, Protocol

import msgspec

from bailiwick.audit import commitment, leaf_hash, seal
from bailiwick.base import Digest
from bailiwick.ports import Draft, StaleVersion, TaskState, Unit
from bailiwick.stores import rows as lay
from bailiwick.stores.rows import Row

PLATFORM: Final = "platform"
"""The platform's stream and log; it belongs to no tenant (the empty one)."""

_HEADS_KEPT: Final = 20_000

StreamKey = tuple[str, str]
"""A tenant and the name of a stream of it."""


class Job(msgspec.Struct, frozen=True, gc=False):
    """A unit on its way to the writer; `blobs` names, in draft order, the payloads that lie in the blobs."""

    unit: Unit
    blobs: tuple[Digest | None, ...] = ()


class Head(msgspec.Struct, frozen=True, gc=False):
    """Where a stream stands: its number, its log's number, its last seq and that event's leaf in hex."""

    stream: int
    log: int
    seq: int
    leaf: str


class Sealed:
    """What one unit, or one batch of units, will change: rows by statement, heads, and the numbers used up."""

    __slots__ = ("heads", "log", "logs", "pos", "rows", "stream")

    def __init__(self, pos: int, stream: int, log: int) -> None:
        self.pos = pos
        self.stream = stream
        self.log = log
        self.rows: dict[str, list[Row]] = {}
        self.heads: dict[StreamKey, Head] = {}
        self.logs: dict[str, int] = {}

    def add(self, statement: str, rows: list[Row]) -> None:
        """Add rows for a statement."""
        if statement in self.rows:
            self.rows[statement].extend(rows)
        else:
            self.rows[statement] = rows


class Ground(Protocol):
    """What lies in the database, as the open transaction sees it, and how its tables lay out an event."""

    def head(self, key: StreamKey) -> Head | None:
        """Find where a stream stands; None when there is none."""
        ...

    def log(self, name: str) -> int | None:
        """Find a log's number; None when there is none."""
        ...

    def event_row(self, pos: int, head: Head, header: bytes, leaf: bytes) -> Row:
        """Lay out `insert_event`; `head` is the stream as the event leaves it."""
        ...

    def payload_row(self, pos: int, head: Head, draft: Draft, blob: Digest | None) -> Row:
        """Lay out `insert_payload`: the body, or the digest of its blob."""
        ...


class Sealer:
    """Knows where every stream stands, as committed and as the open transaction has it.

    It only trusts what was committed: `keep` after COMMIT makes the open transaction's heads permanent,
    `drop` after ROLLBACK forgets them.
    """

    def __init__(
        self, ground: Ground, numbers: tuple[int, int, int] = (0, 0, 0), heads_kept: int = _HEADS_KEPT
    ) -> None:
        self._ground = ground
        self._heads_kept = heads_kept
        self._heads: OrderedDict[StreamKey, Head] = OrderedDict()
        self._logs: dict[str, int] = {}
        self._committed = numbers
        self.batch = Sealed(*numbers)

    def seal(self, job: Job) -> Sealed:
        """Turn a unit into rows that continue what was accepted so far; nothing is remembered of it yet.

        Raises:
            StaleVersion: The run is not at the expected version.
            ValueError, TypeError: The unit is not well-formed (a bug of the caller).
        """
        unit = job.unit
        batch = self.batch
        sealed = Sealed(batch.pos, batch.stream, batch.log)
        blobs = job.blobs
        if unit.run:
            key = (unit.tenant, unit.run)
            head = self._find(key)
            actual = head.seq if head is not None else 0
            if actual != unit.expected:
                raise StaleVersion(run=unit.run, expected=unit.expected, actual=actual)
            if unit.drafts:
                self._extend(sealed, key, head, unit.drafts, blobs[: len(unit.drafts)])
        elif unit.drafts:
            raise ValueError("drafts need a run")
        for index, (name, draft) in enumerate(unit.others, len(unit.drafts)):
            key = (owner_of(unit, name), name)
            head = sealed.heads.get(key) or self._find(key)
            self._extend(sealed, key, head, (draft,), blobs[index : index + 1])
        _side_rows(sealed, unit)
        return sealed

    def accept(self, sealed: Sealed) -> None:
        """Let a unit's rows stand in the open transaction, so that the next unit continues from them."""
        batch = self.batch
        batch.pos, batch.stream, batch.log = sealed.pos, sealed.stream, sealed.log
        batch.heads.update(sealed.heads)
        batch.logs.update(sealed.logs)
        for statement, rows in sealed.rows.items():
            batch.add(statement, rows)

    def keep(self) -> None:
        """Remember the open transaction's heads: it was committed."""
        batch = self.batch
        heads = self._heads
        for key, head in batch.heads.items():
            heads[key] = head
            heads.move_to_end(key)
        while len(heads) > self._heads_kept:
            heads.popitem(last=False)
        self._logs.update(batch.logs)
        self._committed = (batch.pos, batch.stream, batch.log)
        self.batch = Sealed(*self._committed)

    def drop(self) -> None:
        """Forget the open transaction: it was rolled back."""
        self.batch = Sealed(*self._committed)

    def recount(self, numbers: tuple[int, int, int]) -> None:
        """Count on from the last numbers of event, stream and log that are taken; nothing may be open."""
        self._committed = numbers
        self.batch = Sealed(*numbers)

    def renumber(self, stream: int, log: int) -> None:
        """Give new streams and logs numbers above these."""
        self._committed = (0, stream, log)
        self.batch.stream, self.batch.log = stream, log

    def knows(self, key: StreamKey) -> bool:
        """Whether a committed head of the stream is remembered."""
        return key in self._heads

    def knows_log(self, name: str) -> bool:
        """Whether a log's number is remembered."""
        return name in self.batch.logs or name in self._logs

    def unlearn(self, keys: Iterable[StreamKey]) -> None:
        """Remember nothing of some streams: they are read again."""
        for key in keys:
            self._heads.pop(key, None)

    def forget(self) -> None:
        """Remember nothing of what was read or committed: another process has written since."""
        self._heads.clear()
        self._logs.clear()

    def _find(self, key: StreamKey) -> Head | None:
        head = self.batch.heads.get(key) or self._heads.get(key)
        if head is None:
            head = self._ground.head(key)
            if head is not None:
                # Read inside the transaction, but of rows that no unit of it has touched: safe to keep.
                self._heads[key] = head
        return head

    def _extend(
        self,
        sealed: Sealed,
        key: StreamKey,
        head: Head | None,
        drafts: Sequence[Draft],
        blobs: Sequence[Digest | None],
    ) -> None:
        if head is None:
            head = self._open(sealed, key)
        name = key[1]
        ground, pos = self._ground, sealed.pos
        events: list[Row] = []
        payloads: list[Row] = []
        for draft, blob in zip(drafts, blobs or repeat(None), strict=False):
            pos += 1
            mark = None if draft.payload is None else commitment(draft.salt, draft.payload)
            header = seal(draft.fields, stream=name, seq=head.seq + 1, prev=head.leaf, payload=mark)
            leaf = leaf_hash(header)
            head = Head(head.stream, head.log, head.seq + 1, leaf.hex())
            events.append(ground.event_row(pos, head, header, leaf))
            if mark is not None:
                payloads.append(ground.payload_row(pos, head, draft, blob))
        sealed.pos = pos
        sealed.heads[key] = head
        sealed.add("insert_event", events)
        if payloads:
            sealed.add("insert_payload", payloads)

    def _open(self, sealed: Sealed, key: StreamKey) -> Head:
        tenant, name = key
        log_name = f"tenant:{tenant}" if tenant else PLATFORM
        log = sealed.logs.get(log_name) or self._find_log(log_name)
        if log is None:
            sealed.log += 1
            log = sealed.logs[log_name] = sealed.log
            sealed.add("insert_log", [(log, log_name)])
        sealed.stream += 1
        sealed.add("insert_stream", [(sealed.stream, tenant, name, log)])
        return Head(sealed.stream, log, 0, "")

    def _find_log(self, name: str) -> int | None:
        log = self.batch.logs.get(name) or self._logs.get(name)
        if log is None:
            log = self._ground.log(name)
            if log is not None:
                self._logs[name] = log
        return log


def owner_of(unit: Unit, name: str) -> str:
    """Name the tenant whose stream this is; the platform may write to any, a tenant to its own."""
    if name == PLATFORM:
        return ""
    kind, _, tenant = name.partition(":")
    if kind != "tenant" or not tenant or unit.tenant not in ("", tenant):
        raise ValueError(f"a unit of tenant {unit.tenant!r} cannot write to the stream {name!r}")
    return tenant


def _side_rows(sealed: Sealed, unit: Unit) -> None:
    tenant = unit.tenant
    if unit.head is not None:
        _own(tenant, unit.head.tenant)
        sealed.add("upsert_run", [lay.as_row(unit.head)])
    for task in unit.new_tasks:
        _own(tenant, task.tenant)
        if task.state is TaskState.DONE:
            raise ValueError(f"the new task {task.id} is done; there is nothing to queue")
        sealed.add("insert_task", [lay.as_row(task)])
    for move in unit.moved_tasks:
        _own(tenant, move.task.tenant)
        if move.task.state is TaskState.DONE:
            sealed.add("finish_task", [lay.task_end(move)])
        else:
            sealed.add("move_task", [lay.task_move(move)])
    for posting in unit.postings:
        _own(tenant, posting.tenant)
        sealed.add("insert_posting", [lay.as_row(posting)])
    for approval in unit.new_approvals:
        _own(tenant, approval.tenant)
        sealed.add("insert_approval", [lay.approval_row(approval)])
    for change in unit.moved_approvals:
        _own(tenant, change.approval.tenant)
        sealed.add("move_approval", [lay.approval_move(change)])
    if unit.submission is not None:
        _own(tenant, unit.submission.tenant)
        sealed.add("insert_submission", [lay.as_row(unit.submission)])
    if unit.halts:
        sealed.add("upsert_halt", [lay.as_row(halt) for halt in unit.halts])
    if unit.erased:
        gone: list[Row] = [(tenant, stream, seq) for stream, seq in unit.erased]
        sealed.add("insert_removal", list(gone))
        sealed.add("erase_payload", gone)
    _identity_rows(sealed, unit)
    _budget_rows(sealed, unit)


def _identity_rows(sealed: Sealed, unit: Unit) -> None:
    if unit.tenants:
        sealed.add("upsert_tenant", [lay.as_row(tenant) for tenant in unit.tenants])
    for identity in unit.identities:
        _own(unit.tenant, identity.tenant)
        sealed.add("upsert_identity", [lay.identity_row(identity)])
    for key in unit.keys:
        _own(unit.tenant, key.tenant)
        sealed.add("upsert_key", [lay.as_row(key)])
    for change in unit.identity_changes:
        _own(unit.tenant, change.tenant)
        sealed.add("insert_identity_change", [lay.identity_change_row(change)])


def _budget_rows(sealed: Sealed, unit: Unit) -> None:
    for budget in unit.budgets:
        _own(unit.tenant, budget.tenant)
        sealed.add("upsert_budget", [lay.as_row(budget)])
    for taking in unit.taken:
        _own(unit.tenant, taking.tenant)
        sealed.add("take_budget", [lay.taking_row(taking)])
    for taking in unit.returned:
        _own(unit.tenant, taking.tenant)
        sealed.add("return_budget", [lay.returning_row(taking)])


def _own(tenant: str, row_tenant: str) -> None:
    if tenant != row_tenant:
        raise ValueError(f"a unit of tenant {tenant!r} holds a row of tenant {row_tenant!r}")
