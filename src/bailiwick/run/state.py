"""The state of a run: the fold of its events, and nothing else."""

import msgspec

from bailiwick.base import Digest, Instant
from bailiwick.budget import Allotment
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run.states import CallState, Status, StepStatus, WaitKind

CONTEXT = "$context"
PLAN = "$plan"


class Wait(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named wait. `until` is an instant (0: no end of its own); `ref` names what it waits for."""

    kind: WaitKind
    until: Instant = Instant(0)
    ref: str = ""


class Step(msgspec.Struct, frozen=True):
    """One step instance.

    `output_seq` is the event whose payload holds the output (0: none); `tree_before` the workspace that
    its attempt began with; `claims` counts claims since something was last recorded; `iteration` is the
    current turn of a repeat (0: not one).
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
    tree_before: str = ""
    iteration: int = 0
    fallback: bool = False
    since: Instant = Instant(0)
    call: str = ""


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """The journal entry of one action: decided, and perhaps executed.

    `key` = H(tenant, run, step instance, digest, n); `n` counts the digest's occurrences in the step
    instance in call order. `action_seq` and `outcome_seq` are the events whose payloads hold the stored
    bytes. Money in micro-USD. `tree` is the workspace after the call, "" when it changed nothing.
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
    tries: int = 0
    epoch: int = 0
    category: ErrorCategory | None = None
    reason: str = ""
    action_seq: int = 0
    outcome_seq: int = 0
    outcome_digest: str = ""
    tree: str = ""


class Run(msgspec.Struct, frozen=True):
    """One execution of an intent. `version` counts its events; money in micro-USD."""

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
    untrusted: bool = False
    cancel_requested: str = ""
    expired: bool = False
    closed: Status | None = None
    category: ErrorCategory | None = None
    reason: str = ""
    updated_at: Instant = Instant(0)

    @property
    def ending(self) -> bool:
        """Whether the run is asked to end before its plan is done."""
        return bool(self.cancel_requested) or self.expired
