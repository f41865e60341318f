"""Floor 3: the run's machine: commands in, events out, the state as their fold."""

from bailiwick.run.calls import effect_key
from bailiwick.run.commands import (
    Cancel,
    Claim,
    Command,
    Fail,
    Grant,
    Journal,
    Park,
    PassDeadline,
    Reject,
    Release,
    Resolve,
    Resume,
    Settle,
    Succeed,
)
from bailiwick.run.decide import Offer, capability_of, create, decide, queue_key
from bailiwick.run.events import (
    AllotmentRaised,
    CallMoved,
    CancelRequested,
    Closed,
    Created,
    DeadlinePassed,
    Event,
    Move,
    StepsMoved,
    decode_event,
)
from bailiwick.run.evolve import evolve, fold
from bailiwick.run.journal import held_step, recorded
from bailiwick.run.lease import HEARTBEAT_SECONDS, LEASE_SECONDS, MAX_CLAIMS
from bailiwick.run.naming import node_id
from bailiwick.run.opening import input_of
from bailiwick.run.refusals import InQuarantine, LeaseLost, NoSuchAction, NotAllowed, OutcomeUnknown
from bailiwick.run.sight import ContentNeeded, Sight, Start
from bailiwick.run.state import CONTEXT, PLAN, Call, Run, Step, Wait
from bailiwick.run.states import (
    ANSWERED,
    ENDED,
    PASSED,
    TERMINAL,
    UNSETTLED,
    CallState,
    Status,
    StepStatus,
    WaitKind,
)
from bailiwick.run.status import is_container
from bailiwick.run.steps import claimable
from bailiwick.run.table import state_table
from bailiwick.run.values import INTENT_SEQ, brief_of, output_of, values_for
from bailiwick.run.walk import SYSTEM_CONTEXT, doomed, unsettled

__all__ = [
    "ANSWERED",
    "CONTEXT",
    "ENDED",
    "HEARTBEAT_SECONDS",
    "INTENT_SEQ",
    "LEASE_SECONDS",
    "MAX_CLAIMS",
    "PASSED",
    "PLAN",
    "SYSTEM_CONTEXT",
    "TERMINAL",
    "UNSETTLED",
    "AllotmentRaised",
    "Call",
    "CallMoved",
    "CallState",
    "Cancel",
    "CancelRequested",
    "Claim",
    "Closed",
    "Command",
    "ContentNeeded",
    "Created",
    "DeadlinePassed",
    "Event",
    "Fail",
    "Grant",
    "InQuarantine",
    "Journal",
    "LeaseLost",
    "Move",
    "NoSuchAction",
    "NotAllowed",
    "Offer",
    "OutcomeUnknown",
    "Park",
    "PassDeadline",
    "Reject",
    "Release",
    "Resolve",
    "Resume",
    "Run",
    "Settle",
    "Sight",
    "Start",
    "Status",
    "Step",
    "StepStatus",
    "StepsMoved",
    "Succeed",
    "Wait",
    "WaitKind",
    "brief_of",
    "capability_of",
    "claimable",
    "create",
    "decide",
    "decode_event",
    "doomed",
    "effect_key",
    "evolve",
    "fold",
    "held_step",
    "input_of",
    "is_container",
    "node_id",
    "output_of",
    "queue_key",
    "recorded",
    "state_table",
    "unsettled",
    "values_for",
]
