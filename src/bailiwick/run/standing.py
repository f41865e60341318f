"""Standing: why a step stands, as a kind and what it is about; prose is written beside it, and no logic reads that."""

from enum import StrEnum

import msgspec

from bailiwick.contract import ErrorCategory


class StandingKind(StrEnum):
    """What a step stands for. The first six are waits with a named end; of all others somebody must act.

    HALT: a stop of operators. MONEY: the allotment is used up. PROGRESS: it learns nothing more, or a limit is reached.
    ROOM: no more bytes may be stored. CAPABILITY: what it needs is gone. QUESTION: the plan asks a person, or a
    compensation must be done by hand. CONFLICT: workspaces do not join. OUTCOME: what an action did is not known.
    DIVERGENCE: log and projection disagree.
    """

    APPROVAL = "approval"
    SIGNAL = "signal"
    TIMER = "timer"
    CHILD = "child"
    RETRY = "retry"
    PROBE = "probe"
    HALT = "halt"
    MONEY = "money"
    PROGRESS = "progress"
    ROOM = "room"
    CAPABILITY = "capability"
    QUESTION = "question"
    CONFLICT = "conflict"
    OUTCOME = "outcome"
    DIVERGENCE = "divergence"


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a step stands; `ref` names what it is about: a halt, an approval, a capability; "" where there is one thing."""

    kind: StandingKind
    ref: str = ""


class Bar(msgspec.Struct, frozen=True):
    """What bars an action or a step now, whatever policy says: the sentence for people, and what it is for the machine."""

    reason: str
    standing: Standing


_HALTED = "halted: "
_BEGINS = {
    "budget exhausted": StandingKind.MONEY,
    "no progress: ": StandingKind.PROGRESS,
    "limit reached: ": StandingKind.PROGRESS,
    "outcome unknown": StandingKind.OUTCOME,
    "divergence: ": StandingKind.DIVERGENCE,
    "a person must decide: ": StandingKind.QUESTION,
    "the compensation failed: ": StandingKind.QUESTION,
    "the plan names no compensation": StandingKind.QUESTION,
}
_HOLDS = {
    "the artifacts of this tenant take ": StandingKind.ROOM,
    " is gone: ": StandingKind.CAPABILITY,
    " is not kept": StandingKind.CAPABILITY,
    "offer it again": StandingKind.CAPABILITY,
}


def read_standing(reason: str, category: ErrorCategory | None) -> Standing:
    """Read why a step was blocked out of the prose of an event that says nothing else: those of older logs."""
    if category is ErrorCategory.CONFLICT:
        return Standing(StandingKind.CONFLICT)
    if reason.startswith(_HALTED):
        return Standing(StandingKind.HALT, reason.removeprefix(_HALTED).partition(" ")[0])
    kind = next((kind for begin, kind in _BEGINS.items() if reason.startswith(begin)), None)
    kind = kind or next((kind for part, kind in _HOLDS.items() if part in reason), None)
    return Standing(kind or StandingKind.QUESTION)
