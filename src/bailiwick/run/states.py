"""The words of the machine: what a run, a step, a wait and a call can be."""

from enum import StrEnum


class Status(StrEnum):
    """The ten states of a run. All but the last four are derived from its steps."""

    CREATED = "created"
    CONTEXT_LOADED = "context-loaded"
    PLANNING = "planning"
    WAITING_FOR_APPROVAL = "waiting-for-approval"
    EXECUTING = "executing"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    ROLLED_BACK = "rolled-back"


class Phase(StrEnum):
    """Which way a run goes: on by its plan, or back over what it did."""

    FORWARD = "forward"
    COMPENSATING = "compensating"


TERMINAL = (Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.ROLLED_BACK)


class StepStatus(StrEnum):
    """Where one step instance is."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    BLOCKED = "blocked"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    COMPENSATED = "compensated"


ENDED = (
    StepStatus.SUCCEEDED,
    StepStatus.FAILED,
    StepStatus.SKIPPED,
    StepStatus.CANCELED,
    StepStatus.COMPENSATED,
)
PASSED = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


class WaitKind(StrEnum):
    """What a waiting step waits for."""

    APPROVAL = "approval"
    SIGNAL = "signal"
    TIMER = "timer"
    CHILD = "child"
    RETRY = "retry"
    PROBE = "probe"


class CallState(StrEnum):
    """Where the journal entry of one action is. `lost`: a metered try that died unrecorded; it may be repeated."""

    HELD = "held"
    GRANTED = "granted"
    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    LOST = "lost"


UNSETTLED = (CallState.INTENDED, CallState.UNKNOWN)
OPEN = (CallState.HELD, CallState.GRANTED, CallState.INTENDED, CallState.UNKNOWN)
ANSWERED = (CallState.DONE, CallState.FAILED, CallState.CANCELED, CallState.REFUSED)
