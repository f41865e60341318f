"""The worker's side of the control plane: seven methods, arguments and results plain data.

A worker in another process needs no other design: every struct here goes through JSON unchanged.
"""

from enum import StrEnum
from typing import Any, Protocol

import msgspec

from bailiwick.base import Category, Digest, Instant, Refusal
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.ports.calls import ToolSpec, Usage


class SessionLost(Refusal, code="session_lost", category=Category.CONFLICT):
    """The worker's session has expired or was ended; all its tasks are gone."""

    session: str
    says = "session {session} is over"
    remedy = "open a new session"


class Hello(msgspec.Struct, frozen=True):
    """A worker introduces itself. `capabilities` are queue keys, `name@major`."""

    worker: str
    capabilities: tuple[str, ...]


class Session(msgspec.Struct, frozen=True):
    """A worker's leased session; all its tasks live as long as it is renewed."""

    id: str
    lease_seconds: float
    heartbeat_seconds: float


class Notice(msgspec.Struct, frozen=True):
    """Something that concerns a task in hand. what: cancel, halt, timeout or lost."""

    task: str
    epoch: int
    what: str
    reason: str


class Dispatch(msgspec.Struct, frozen=True, tag="dispatch"):
    """The gate lets an action through: execute exactly these bytes, by exactly this contract.

    `body` is the canonical JSON text that `digest` names, `contract` the digest of the contract that serves it,
    `served` its name where that is another than `capability`: whoever executes holds all to what it has. `tree` names the workspace to work on;
    `spend_limit_micro_usd` bounds a model call (its reservation).
    """

    key: str
    tenant: str
    run: str
    step: str
    epoch: int
    capability: str
    effect: EffectClass
    digest: Digest
    contract: Digest
    body: str
    timeout_seconds: float
    tree: str = ""
    spend_limit_micro_usd: int = 0
    attempt_of_effect: int = 1
    served: str = ""


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """The action was answered before, or the gate answers it: done, failed, canceled, refused or lost.

    With `unanswered` it is done, and nobody knows what it answered.
    `intended` says that its last try is in doubt: whoever holds it asks again in `pause_seconds`.
    `soft_limit` says that by then so much of the run's allotment was spent that the agent should finish.
    """

    key: str
    state: str
    outcome: Any = None
    category: ErrorCategory | None = None
    reason: str = ""
    tree: str = ""
    unanswered: bool = False
    soft_limit: bool = False
    pause_seconds: float = 0.0


class Parked(msgspec.Struct, frozen=True, tag="parked"):
    """The step waits (approval) or is blocked (halt, money); leave it and take other work.

    With `canceled` it is neither: the run is ending, and the holder reports the step as canceled.
    """

    reason: str
    canceled: bool = False


class Proposal(msgspec.Struct, frozen=True):
    """An action that the step's code wants: `n` is the occurrence of these arguments in the attempt, from 1.

    For a model call `capability` is `model:NAME` and `arguments` are {model, parameters, previous, messages},
    `input_tokens` the worker's estimate of the whole request. `ask` names this asking: whoever got no answer asks
    again under the same name, and gets the dispatch that was issued for it. `unread` says why an agent's arguments could
    not even be read; `arguments` then hold its text as `text`, and the proposal is answered and noted.
    """

    tenant: str
    run: str
    step: str
    epoch: int
    capability: str
    arguments: dict[str, Any]
    n: int
    key: str = ""
    input_tokens: int = 0
    ask: str = ""
    unread: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a dispatched action. Milliseconds.

    state: done, failed, canceled, unknown, or lost (a read or model call that was stopped and may be repeated).
    `tries` 0 says that nothing was ever sent; `attempt_of_effect` is the dispatch's (0: not told). `base` is the
    workspace that the dispatch named: one that is not the line's any more makes the outcome lost. `gone` (with lost)
    says that what should have done the work is not there: the step is blocked when it asks again.
    """

    key: str
    tenant: str
    run: str
    step: str
    epoch: int
    state: str
    outcome: Any = None
    category: ErrorCategory | None = None
    reason: str = ""
    tree: str = ""
    usage: Usage | None = None
    served_model: str = ""
    duration_ms: int = 0
    first_token_ms: int = 0
    tries: int = 1
    interruptions: tuple[str, ...] = ()
    retry_after: float | None = None
    base: str | None = None
    attempt_of_effect: int = 0
    gone: bool = False


FEEDBACK = "\n\nAn earlier attempt was not accepted: "
"""What stands between a mandate's prompt and why the attempt before was not accepted."""


class Mandate(msgspec.Struct, frozen=True):
    """What a platform-run agent works by, as its run pinned it; `tools` are those it may call, with their schemas.

    `names` are the tools as the agent declares them, in the same order.
    """

    prompt: str
    model: str
    max_turns: int
    max_output_tokens: int
    tools: tuple[ToolSpec, ...] = ()
    names: tuple[str, ...] = ()


class AssignmentKind(StrEnum):
    """What an assignment asks for; a planner's answer is a brief, all other agents' is held to `output` alone."""

    AGENT = "agent"
    PLAN = "plan"
    TOOL = "tool"
    CONTEXT = "context"
    ACTION = "action"
    PROBE = "probe"


class Assignment(msgspec.Struct, frozen=True):
    """A step's attempt (or a granted action: then `dispatch` is set) that this session now holds.

    `feedback` says why the attempt before this one failed.
    `checks` are (rule, constraint) pairs to run before finishing; `tree_before` is what they compare with,
    the workspace that the run began with. `phrases` are the constraints that a brief may name, each with its rule.
    `output` is the schema of an agent's answer; `mandate` is a platform-run agent's, None for all others.
    """

    task: str
    tenant: str
    app: str
    run: str
    step: str
    attempt: int
    epoch: int
    kind: AssignmentKind
    capability: str
    input: dict[str, Any]
    timeout_seconds: float
    tree: str = ""
    tree_before: str = ""
    traceparent: str = ""
    feedback: str = ""
    checks: tuple[tuple[str, str], ...] = ()
    reviews: str = ""
    constraints: tuple[str, ...] = ()
    phrases: tuple[tuple[str, str], ...] = ()
    output: dict[str, Any] = {}
    mandate: Mandate | None = None
    dispatch: Dispatch | None = None


class Report(msgspec.Struct, frozen=True):
    """The end of an attempt: an output, or a category and a reason.

    With `unanswered` it has neither: the one action that the step is was done, and its answer is not known.
    """

    task: str
    tenant: str
    run: str
    step: str
    epoch: int
    output: dict[str, Any] | None = None
    category: ErrorCategory | None = None
    reason: str = ""
    retry_after: float | None = None
    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    attests: str = ""
    unanswered: bool = False


class Frame(msgspec.Struct, frozen=True):
    """A piece of live output, addressed by run, step, epoch and effect; never an event."""

    run: str
    step: str
    epoch: int
    key: str
    at: Instant
    body: dict[str, Any]


class WorkerPort(Protocol):
    """What a worker may ask of the control plane."""

    async def hello(self, hello: Hello) -> Session:
        """Open a session; an earlier one of the same worker ends."""
        ...

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """Renew the lease; answer at once when something concerns the session, else after the wait.

        Raises:
            SessionLost: The session has expired or was ended; all its tasks are gone.
        """
        ...

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """Take up to `limit` tasks; wait for work up to `wait_seconds`."""
        ...

    async def act(self, session: str, proposal: Proposal) -> Dispatch | Recorded | Parked:
        """Bring an action before the gate."""
        ...

    async def settle(self, session: str, outcome: Outcome) -> Recorded:
        """Report what became of a dispatch; answers what is now on record."""
        ...

    async def frames(self, session: str, frames: tuple[Frame, ...]) -> None:
        """Hand in live output; may be dropped."""
        ...

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """Report the end of an attempt; may answer with the run's next step for the same session."""
        ...

    async def leave(self, session: str) -> int:
        """Take nothing more, and give what is in hand and in no call now to others; answers how much that was.

        To be asked again, for what was in a call then.
        """
        ...
