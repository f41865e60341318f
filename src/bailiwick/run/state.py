"""The state of a run: the fold of its events, and nothing else."""

from typing import Any

import msgspec

from bailiwick.base import Digest, Instant
from bailiwick.budget import Allotment
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.states import CallState, Phase, Status, StepStatus, WaitKind

CONTEXT = "$context"
PLAN = "$plan"
END = "$end"
EDITION = 3
"""By which facts a run is decided, written when it begins. 0: policy saw less at submissions and starts, and no paths but
those of a patch. 1: it sees all. 2: each step works on a line of its own; before, all steps of a run wrote one workspace.
3: the brief that a workflow's own text makes is on record.
A replay decides a run by the facts of its time; what goes on with an older one sees all facts, and keeps its one line."""
_LINES = 2


class Wait(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named wait. `until` is an instant (0: no end of its own); `ref` names what it waits for."""

    kind: WaitKind
    until: Instant = Instant(0)
    ref: str = ""


class Trail(msgspec.Struct, frozen=True):
    """What a step instance has done and learned, over all of its attempts, since a person last let it go on.

    `seen` holds marks of outcomes and of writes, `stale` counts (workspace, action) pairs since something new
    was seen; `turns` and `tokens` are its models', `calls` all other answered actions, `worked` microseconds
    in workers' hands.
    """

    seen: tuple[str, ...] = ()
    stale: dict[str, int] = {}
    turns: int = 0
    tokens: int = 0
    calls: int = 0
    worked: int = 0


class Step(msgspec.Struct, frozen=True):
    """One step instance.

    `output_seq` is the event whose payload holds the output (0: none); `tree_before` the workspace that
    its attempt began with (None until somebody claimed it), `tree_after` the last one that it made;
    `claims` counts claims since something was last recorded; `iteration` is the current turn of a repeat
    (0: not one); `feedback` says why the attempt before this one failed; `aside` is what its compensation may cost,
    in micro-USD, until that begins. In a run with lines, `tree_before` is known as soon as it may begin and `tree_after`
    is where its line has come to ("" while that is `tree_before`); `joined` names whose workspaces were merged for it.
    `refused` counts what its holders asked for and was no action; `seq` is the event that moved it last.
    `standing` says why it is blocked, for logic; `reason` says the same to people.
    """

    name: str
    status: StepStatus
    attempt: int = 1
    epoch: int = 0
    claims: int = 0
    session: str = ""
    wait: Wait | None = None
    category: ErrorCategory | None = None
    reason: str = ""
    output_seq: int = 0
    output_digest: str = ""
    input_digest: str = ""
    tree_before: str | None = None
    tree_after: str = ""
    iteration: int = 0
    fallback: bool = False
    since: Instant = Instant(0)
    call: str = ""
    feedback: str = ""
    trail: Trail = Trail()
    aside: int = 0
    joined: tuple[str, ...] = ()
    refused: int = 0
    seq: int = 0
    standing: Standing | None = None

    @property
    def stands(self) -> Standing | None:
        """Why it stands, blocked or waiting; None while it does not."""
        if self.standing is not None or self.wait is None:
            return self.standing
        return Standing(StandingKind(self.wait.kind), self.wait.ref)


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """The journal entry of one action: decided, and perhaps executed.

    `key` = H(tenant, run, step instance, digest, n); `n` counts the digest's occurrences in the step
    instance in call order. `action_seq` and `outcome_seq` are the events whose payloads hold the stored
    bytes. Money in micro-USD; `cost` is the sum over all tries and attempts. `tree` is the workspace after
    the call, "" when it changed nothing, and `base` the one that it was dispatched on (None for a call that
    changes no workspace); `dispatched_at` the instant of its last dispatch, `quarantine_until`
    the one from which on a write that was not seen to arrive cannot arrive any more (0: it never was a write).
    `approval` is the request to people, "" for none; `terms` the digest of all that an answer to it would cover;
    `escalated` names the groups that it was escalated to.
    `served` names what served, where that is another than `capability` and `contract`, or than `model`: a later contract
    (name and digest), or the model as its provider calls it.
    `judged` is the version of the run that policy saw (0: the one before the event); `generated_prompt` what it
    was told of a model call's instructions; `tokens` what a model used in its last try.
    `doubts` counts the tries of an effect before the present one whose outcome nobody knows, the first of them
    dispatched at `doubted_since`; `again_at` is set when the last one is over as well: the instant from which the
    same key may be sent again.
    `probe` is the tool that can be asked whether it was applied, `probed` how often it was; `answer` is what it said
    last, in the event `answer_seq`.
    """

    key: str
    step: str
    attempt: int
    n: int
    digest: Digest
    capability: str
    contract: Digest
    effect: EffectClass
    state: CallState
    policies: tuple[str, ...] = ()
    policy_version: str = ""
    model: str = ""
    subject: str = ""
    reserved: int = 0
    cost: int = 0
    estimated: bool = False
    approval: str = ""
    terms: str = ""
    tries: int = 0
    epoch: int = 0
    category: ErrorCategory | None = None
    reason: str = ""
    action_seq: int = 0
    outcome_seq: int = 0
    outcome_digest: str = ""
    tree: str = ""
    dispatched_at: Instant = Instant(0)
    judged: int = 0
    generated_prompt: bool = False
    tokens: int = 0
    quarantine_until: Instant = Instant(0)
    escalated: tuple[str, ...] = ()
    base: str | None = None
    doubts: int = 0
    doubted_since: Instant = Instant(0)
    again_at: Instant = Instant(0)
    probe: str = ""
    probed: int = 0
    answer: str = ""
    answer_seq: int = 0
    served: str = ""

    @property
    def unanswered(self) -> bool:
        """Whether it is done and nobody knows what it answered: a person said so without the answer."""
        return self.state is CallState.DONE and not self.outcome_digest


class Tally(msgspec.Struct, frozen=True):
    """What of a run is counted as it is folded, so that no event costs a walk over all steps.

    `active`, `blocked` and `waiting` count steps that speak for the run's state, `unfinished` all that have
    not ended; `failed` names the first step of the top level that did not pass; `open_calls` are the keys of
    actions that are held, granted, on their way or unknown.
    """

    active: int = 0
    blocked: int = 0
    waiting: int = 0
    unfinished: int = 0
    failed: str = ""
    open_calls: tuple[str, ...] = ()


class Fund(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run took from a shared budget on a UTC day (days since 1970; 0: a total), and gave back; micro-USD.

    Below zero, `returned` is what the run cost beyond its allotment.
    """

    budget: str
    day: int
    taken: int
    returned: int = 0


class Admission(msgspec.Struct, frozen=True, omit_defaults=True):
    """As whom policy knew the requester, and the policies that let the intent in."""

    principal: str
    role: str = ""
    groups: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


class Run(msgspec.Struct, frozen=True):
    """One execution of an intent. `version` counts its events; money in micro-USD.

    `catalogue` is the digest of the contracts that it met, `pins` name what it holds on to; all are kept by digest;
    `quarantine` says why nothing of the run moves.
    A rollback opens a closed run again: `closed` is then empty until it is rolled back.
    """

    id: str
    tenant: str
    app: str
    workflow: str
    title: str
    requested_by: str
    feature: str
    team: str
    trace: str
    plan: Digest
    policy_version: str
    created_at: Instant
    deadline: Instant
    allotment: Allotment
    version: int = 0
    status: Status = Status.CREATED
    steps: dict[str, Step] = {}
    calls: dict[str, Call] = {}
    tree: str = ""
    base_tree: str = ""
    reviewed: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    catalogue: str = ""
    pins: dict[str, Any] = {}
    cancel_requested: str = ""
    expired: bool = False
    quarantine: str = ""
    closed: Status | None = None
    category: ErrorCategory | None = None
    reason: str = ""
    updated_at: Instant = Instant(0)
    tally: Tally = Tally()
    funds: tuple[Fund, ...] = ()
    phase: Phase = Phase.FORWARD
    rollback_requested: str = ""
    admission: Admission | None = None
    edition: int = 0
    priority: int = 0

    @property
    def requester(self) -> str:
        """The identity on whose behalf it acts; "" where a name alone was recorded.

        What a key of an earlier time was recorded as is the identity that the key has become: the migration of the
        keys gives it this id.
        """
        known = self.admission.principal if self.admission is not None else ""
        return f"idn_{known.removeprefix('key_')}" if known.startswith("key_") else known

    @property
    def lines(self) -> bool:
        """Whether each step works on a line of its own."""
        return self.edition >= _LINES

    @property
    def ending(self) -> bool:
        """Whether the run is asked to end before its plan is done; a rollback goes to its own end."""
        return self.phase is Phase.FORWARD and (bool(self.cancel_requested) or self.expired)
