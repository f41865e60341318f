"""The ledger: one unit of work in, all of it committed together, or none of it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from bailiwick.base import Category, Digest, Instant, Refusal
from bailiwick.ports.identities import Able, ApiKey, Identity, IdentityChange, Rolls, Tenant


class StaleVersion(Refusal, code="stale_version", category=Category.CONFLICT):
    """The run moved on since it was read; the service reads it again and decides again."""

    run: str
    expected: int
    actual: int
    says = "run {run} is at version {actual}, not {expected}; nothing was written"
    remedy = "read the run again and repeat"


class Fenced(Refusal, code="fenced", category=Category.CONFLICT):
    """A write carried an epoch that is no longer the task's; its result is thrown away."""

    task: str
    epoch: int
    says = "epoch {epoch} of task {task} was superseded; nothing was written"
    remedy = "stop working on this task; its current holder goes on"


class GuardFailed(Refusal, code="guard_failed", category=Category.CONFLICT):
    """A condition on a side row did not hold at commit; the service reads the row and says why."""

    guard: str
    id: str
    says = "the {guard} {id} was changed by another; nothing was written"
    remedy = "read it again; somebody else was first"


class Draft(msgspec.Struct, frozen=True):
    """An event before it is sealed: `fields` is the header without stream, seq, prev and payload.

    The writer adds `stream`, `seq`, `prev` and, for a payload, `payload` = H(salt, body) in hex, and
    makes the canonical bytes. `payload` is a canonical JSON body; `salt` is 16 random bytes beside it.
    """

    fields: dict[str, Any]
    payload: bytes | None = None
    salt: bytes = b""


class TaskState(StrEnum):
    """Where a queue entry is."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"


class Task(msgspec.Struct, frozen=True):
    """The queue entry of one step's attempt, or of one granted action (`call` is then its effect key).

    `due_at`, `timeout_at` and `since` are instants; `timeout_at` 0 means none. `epoch` is raised by each claim.
    Of one tenant, app and priority what is due first goes first: a retry is due when it may begin, all else a while
    before its run began. `since` is when it became ready, or may begin.
    """

    id: str
    tenant: str
    run: str
    step: str
    call: str
    capability: str
    pool: str
    priority: int
    state: TaskState
    epoch: int
    session: str
    due_at: Instant
    timeout_at: Instant
    app: str = ""
    since: Instant = Instant(0)


class MoveTask(msgspec.Struct, frozen=True):
    """Replace a task's row, if it still is in that state and epoch; else the unit is fenced."""

    from_state: TaskState
    from_epoch: int
    task: Task


class ApprovalState(StrEnum):
    """Where a request to humans is. `consumed`: its grant dispatched its one action."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CONSUMED = "consumed"


class Approval(msgspec.Struct, frozen=True):
    """A request to humans for exactly one action digest.

    `seq` is the event of the run whose payload holds the action's bytes. `holds` are the hold rules that
    it answers: {id, group, text_digest, reason}, and where it escalates {escalate_to: a group, escalate_at: the
    instant, RFC 3339}. Instants in microseconds; money in micro-USD. `requester` is the identity on whose behalf
    the run acts, `decider` the one that answered, with `decider_key`; "" where it was asked or answered before
    identities were recorded. `able` says who had made the decider able to answer.
    """

    id: str
    tenant: str
    run: str
    step: str
    call: str
    capability: str
    digest: Digest
    seq: int
    groups: tuple[str, ...]
    holds: tuple[dict[str, str], ...]
    policy_version: str
    requested_by: str
    requested_at: Instant
    expires_at: Instant
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str = ""
    decided_at: Instant = Instant(0)
    reason: str = ""
    spent_micro_usd: int = 0
    evidence: tuple[str, ...] = ()
    requester: str = ""
    decider: str = ""
    decider_key: str = ""
    able: tuple[Able, ...] = ()


class MoveApproval(msgspec.Struct, frozen=True):
    """Replace an approval's row, if it still is in that state with that digest (and, if asked, unexpired
    by the database's clock, which must have come to `since`); else the unit fails with guard `approval`.
    """

    from_state: ApprovalState
    approval: Approval
    unexpired: bool
    since: Instant = Instant(0)


MAX_LINES = 500
"""Lines of the cost ledger that are read at once unless somebody says otherwise."""


class Posting(msgspec.Struct, frozen=True):
    """One line of the cost ledger: one call, settled. Money in micro-USD, durations in milliseconds.

    `usage_source`: reported, estimated, capped (the provider claimed `claimed_…` tokens, more than can have been
    used), or none (not a model). `ended`: completed, canceled or failed. `price` names the version of the price.
    """

    id: str
    tenant: str
    app: str
    run: str
    step: str
    role: str
    call: str
    capability: str
    at: Instant
    cost_micro_usd: int
    input_tokens: int
    output_tokens: int
    usage_source: str
    ended: str
    duration_ms: int
    first_token_ms: int
    tries: int
    interruptions: int
    feature: str
    team: str
    price: str = ""
    claimed_input_tokens: int = 0
    claimed_output_tokens: int = 0


class Spending(msgspec.Struct, frozen=True):
    """What one role of a run has used: its lines of the cost ledger in sum. Money in micro-USD."""

    role: str
    calls: int
    cost_micro_usd: int
    input_tokens: int
    output_tokens: int


class RunHead(msgspec.Struct, frozen=True):
    """The projection of a run that lists and searches read; rewritten in the unit that changes the run."""

    id: str
    tenant: str
    app: str
    workflow: str
    title: str
    status: str
    version: int
    requested_by: str
    feature: str
    team: str
    created_at: Instant
    updated_at: Instant
    deadline: Instant
    allotment_micro_usd: int
    reserved_micro_usd: int
    spent_micro_usd: int
    waiting_for: str


class Submission(msgspec.Struct, frozen=True):
    """An idempotency key and what was submitted under it; a taken key fails the unit with guard `submission`."""

    tenant: str
    key: str
    fingerprint: Digest
    run: str


class Halt(msgspec.Struct, frozen=True):
    """An entry of the kill switch. scope: platform, tenant, app, workflow, agent, tool, model or run."""

    id: str
    tenant: str
    scope: str
    target: str
    reason: str
    set_by: str
    set_at: Instant
    lifted_by: str = ""
    lifted_at: Instant = Instant(0)


class Budget(msgspec.Struct, frozen=True):
    """A limit that runs share. scope: tenant (no name), app or feature; period: day (UTC) or total.

    `id` is unique in the tenant. `taken_micro_usd` is what runs have taken on `day` (days since 1970; 0 for a
    total), less what they gave back.
    """

    id: str
    tenant: str
    scope: str
    name: str
    period: str
    limit_micro_usd: int
    set_by: str
    set_at: Instant
    day: int = 0
    taken_micro_usd: int = 0


class Taking(msgspec.Struct, frozen=True):
    """An amount that a run takes from a shared budget, or gives back to it; `day` as in `Budget`."""

    tenant: str
    budget: str
    day: int
    micro_usd: int


class Unit(msgspec.Struct, frozen=True):
    """What is committed together. `run` and `expected` guard the run's stream (expected 0 opens it).

    `others` are events for streams without expected version (`tenant:ID`, `platform`), in order. What is
    `taken` must be there, or the unit fails with guard `budget`; what is `returned` is booked in any case.
    `erased` names events of the tenant, (stream, seq), whose payloads go with this unit; one that is not there
    fails it with guard `payload`. One of the `tenants` that is not at the edition before fails it with guard `tenant`,
    a name that another identity has with guard `identity`.
    """

    tenant: str
    run: str = ""
    expected: int = 0
    drafts: tuple[Draft, ...] = ()
    others: tuple[tuple[str, Draft], ...] = ()
    head: RunHead | None = None
    new_tasks: tuple[Task, ...] = ()
    moved_tasks: tuple[MoveTask, ...] = ()
    new_approvals: tuple[Approval, ...] = ()
    moved_approvals: tuple[MoveApproval, ...] = ()
    postings: tuple[Posting, ...] = ()
    submission: Submission | None = None
    halts: tuple[Halt, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    identities: tuple[Identity, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    identity_changes: tuple[IdentityChange, ...] = ()
    budgets: tuple[Budget, ...] = ()
    taken: tuple[Taking, ...] = ()
    returned: tuple[Taking, ...] = ()
    erased: tuple[tuple[str, int], ...] = ()


class StoredEvent(msgspec.Struct, frozen=True):
    """A committed event: the exact header bytes, their leaf hash, and the payload beside them (None if erased
    or never there). `position` is its place in the feed, 0 while the relay has not placed it.
    """

    stream: str
    seq: int
    header: bytes
    leaf: bytes
    payload: bytes | None
    salt: bytes
    position: int = 0


class Ledger(Protocol):
    """Durable truth. Each call is one transaction and may be run again after a lost connection."""

    async def commit(self, unit: Unit) -> None:
        """Commit all of a unit or nothing; return once it survives a power cut.

        Raises:
            StaleVersion: The run is not at `expected`.
            Fenced: A moved task is no longer in that state and epoch.
            GuardFailed: An approval, submission or id was taken by another, or a shared budget holds too little.
        """
        ...

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read a stream in order, events with seq > `after`; empty for a foreign or absent stream."""
        ...

    async def owns(self, tenant: str, stream: str) -> bool:
        """Whether the stream is the tenant's by its own opening event, wherever it lies; also where there is none."""
        ...

    async def payloads(self, tenant: str, stream: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """Read payload bodies by seq; absent and erased ones are left out."""
        ...

    async def kept(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[int]:
        """Name the events of a stream with seq > `after` whose payload is there, in order, without reading it."""
        ...

    async def sweep(self) -> int:
        """Finish what erasures left to do: remove the blobs of erased payloads that no other payload of the tenant
        lies in, and fold the bytes out of the database's own files as far as it can.

        Returns:
            How many blobs were looked after. May be called any number of times, also after a crash.
        """
        ...

    async def submission(self, tenant: str, key: str) -> Submission | None:
        """Find what was submitted under an idempotency key."""
        ...

    async def halts(self) -> Sequence[Halt]:
        """List the halts that are not lifted."""
        ...


class Views(Rolls, Protocol):
    """What lists and pages read."""

    async def run(self, tenant: str, run: str) -> RunHead | None:
        """Find one run of a tenant."""
        ...

    async def runs(self, tenant: str, *, status: str, app: str, before: str, limit: int) -> Sequence[RunHead]:
        """List runs, newest id first, ids below `before` (empty: from the newest); empty filters match all."""
        ...

    async def count_unfinished(self, tenant: str, most: int, requested_by: str = "") -> int:
        """Count a tenant's runs that are not in a terminal state, up to `most`; those of one identity, if it is named."""
        ...

    async def late_runs(self, limit: int) -> Sequence[RunHead]:
        """List runs that are not in a terminal state and past their deadline, by the database's clock."""
        ...

    async def approval(self, tenant: str, approval: str) -> Approval | None:
        """Find one approval of a tenant."""
        ...

    async def approvals(
        self, tenant: str, *, state: str, run: str, limit: int, after: tuple[int, str] = (0, "")
    ) -> Sequence[Approval]:
        """List approvals, oldest first; tenant empty: of all tenants (for the keeper), from the first on.

        `after` is the instant of request and the id of the last one that is known.
        """
        ...

    async def outdated_approvals(self, version: str, *, after: str, limit: int) -> Sequence[Approval]:
        """List pending approvals of all tenants whose policy version is another, by id, ids above `after`."""
        ...

    async def postings(
        self, tenant: str, run: str, *, limit: int = MAX_LINES, after: tuple[int, str] = (0, "")
    ) -> Sequence[Posting]:
        """List the cost ledger of a run, oldest first; `after` is the instant and the id of the last line that is known."""
        ...

    async def costs(self, tenant: str, run: str) -> Sequence[Spending]:
        """Sum up the cost ledger of a run, by role."""
        ...

    async def budgets(self, tenant: str) -> Sequence[Budget]:
        """List a tenant's shared budgets, by id."""
        ...


class Feed(Protocol):
    """Every committed event once, in an order that never changes."""

    async def place(self, limit: int) -> int:
        """Give the next positions to events that have none, never ahead of a predecessor in their stream."""
        ...

    async def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read placed events with position > `after`."""
        ...
