"""What may be asked of a run. Instants, ids and results of the outside arrive inside."""

import msgspec

from bailiwick.base import Instant
from bailiwick.contract import ErrorCategory
from bailiwick.policy import VerdictKind
from bailiwick.run.standing import Bar, Standing
from bailiwick.run.state import Call, Fund
from bailiwick.run.states import CallState


class Claim(msgspec.Struct, frozen=True):
    """A worker's session takes a ready step under the next epoch."""

    step: str
    epoch: int
    session: str
    served: str = ""


class Succeed(msgspec.Struct, frozen=True):
    """The holder reports a step's output; the payload of the event is {"output"}. No digest: nobody knows the output.

    `attests` is what a passed review stands for; `rules` are the architect rules that were run, with no finding.
    """

    step: str
    epoch: int
    output_digest: str
    attests: str = ""
    rules: tuple[str, ...] = ()


class Fail(msgspec.Struct, frozen=True):
    """The holder (or the keeper, for a timeout) reports that the attempt failed.

    `spread` in [0, 1) jitters the retry; `retry_after` is what the other side asked for, in seconds.
    """

    step: str
    epoch: int
    category: ErrorCategory
    reason: str
    spread: float = 0.0
    retry_after: float | None = None
    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


class Release(msgspec.Struct, frozen=True):
    """The lease of a step ended without a report; it goes on in the same attempt under a higher epoch."""

    step: str
    epoch: int
    reason: str


class Park(msgspec.Struct, frozen=True):
    """The step cannot go on: a halt, no money left, something that is gone. Somebody must act."""

    step: str
    epoch: int
    reason: str
    standing: Standing | None = None


class Propose(msgspec.Struct, frozen=True, omit_defaults=True):
    """An action is brought before the run, with all that was found out about it; nothing is ruled yet.

    Attributes:
        call: The entry of the action as it would be written; its `state` says nothing.
        verdict: What policy says of it, for the `reasons`.
        bar: What bars it, whatever policy says: a halt, no room, nothing that serves it.
        fault: Why the grant that it comes with does not cover it; `category` says what kind of refusal that is.
        covered: Whether people were asked under exactly the rules that hold it now.
        request: The request to people that it becomes if it is held; `terms` names all that an answer would cover.
        reads: How many free reads of its step are on their way, which stand in no journal.
    """

    call: Call
    verdict: VerdictKind = VerdictKind.ALLOW
    reasons: tuple[str, ...] = ()
    bar: Bar | None = None
    fault: str = ""
    category: ErrorCategory | None = None
    covered: bool = False
    request: str = ""
    terms: str = ""
    reads: int = 0


class Journal(msgspec.Struct, frozen=True):
    """An action is recorded as it was ruled: held, intended (dispatched), refused, or done (a free read, recorded whole).

    `answer` is what a probe says of the action that it was asked about; see `ProbeAnswer`. `decided_by` are the
    policies by which that decides, and `output_digest` names what it says that the action answered.
    """

    call: Call
    answer: str = ""
    decided_by: str = ""
    output_digest: str = ""


class Note(msgspec.Struct, frozen=True):
    """The holder of a step asked for something that became no action; `code` says why.

    `count` attempts stand behind it, of which `capability` and `digest` name the latest; `last`: the step is about to
    leave its holder, and these were only counted so far.
    """

    step: str
    epoch: int
    code: str
    capability: str = ""
    digest: str = ""
    count: int = 1
    last: bool = False


class Settle(msgspec.Struct, frozen=True):
    """The holder reports the outcome of a dispatched action. Money in micro-USD; `tokens` of a model, all in all.

    `again_at` is when an effect of unknown outcome would be sent again with its key; 0: it is not to be.
    """

    key: str
    epoch: int
    state: CallState
    outcome_digest: str = ""
    cost: int = 0
    estimated: bool = False
    tree: str = ""
    category: ErrorCategory | None = None
    reason: str = ""
    tokens: int = 0
    again_at: Instant = Instant(0)


class Grant(msgspec.Struct, frozen=True):
    """Humans allowed a held action, once."""

    key: str
    by: str


class Reject(msgspec.Struct, frozen=True):
    """Humans refused a held action, or nobody answered in time."""

    key: str
    by: str
    reason: str


class Escalate(msgspec.Struct, frozen=True):
    """Nobody answered about a held action in time, and from now on these groups may answer as well."""

    key: str
    to: tuple[str, ...]


class Reconsider(msgspec.Struct, frozen=True):
    """Policy was asked again about a held action: still held, let go without a grant, or refused."""

    call: Call


class Cancel(msgspec.Struct, frozen=True):
    """Ask the run to end."""

    by: str
    reason: str = ""


class PassDeadline(msgspec.Struct, frozen=True):
    """The run's deadline has passed, by the database's clock."""


class Resume(msgspec.Struct, frozen=True):
    """A person lets a blocked step (or all of them, when empty) go on, with more money if given (micro-USD).

    `funds` are the shared budgets that the money is taken from.
    """

    by: str
    step: str = ""
    add: int = 0
    funds: tuple[Fund, ...] = ()


class Quarantine(msgspec.Struct, frozen=True):
    """The log and the projection of the run disagree; nothing of it moves until a person resumes it."""

    reason: str


class Resolve(msgspec.Struct, frozen=True):
    """A person says what became of an action whose outcome is unknown: done, or failed (it never happened).

    That it never happened can be known after its quarantine alone; `despite` says so before, knowingly.
    `key` may also name a blocked compensation by its step, which was then done by hand.
    """

    key: str
    by: str
    state: CallState
    outcome_digest: str = ""
    reason: str = ""
    despite: bool = False


class Choose(msgspec.Struct, frozen=True):
    """A person chooses in the conflict of a joining step, one of two ways.

    `take` names the step whose content holds at each path that it is a party to; `tree` is a whole stored workspace.
    """

    step: str
    by: str
    tree: str = ""
    take: str = ""


class Rollback(msgspec.Struct, frozen=True):
    """A person asks that what the run did be undone."""

    by: str
    reason: str = ""


Command = (
    Claim
    | Succeed
    | Fail
    | Release
    | Park
    | Propose
    | Journal
    | Note
    | Settle
    | Grant
    | Reject
    | Escalate
    | Reconsider
    | Cancel
    | PassDeadline
    | Resume
    | Resolve
    | Choose
    | Quarantine
    | Rollback
)


def kind_of(command: Command) -> str:
    """Name the kind of a command, as the first event that it leads to says it."""
    return type(command).__name__.lower()
