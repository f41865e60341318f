"""What hangs on a step: its actions that are not over, what becomes of them, and how the step goes on."""

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.contract import MAX_TRIES, Contract, EffectClass
from bailiwick.run.events import CallMoved, Event, Move
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import Call, Run, Step, Wait
from bailiwick.run.states import CallState, StepStatus, WaitKind
from bailiwick.run.status import doomed

WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
_MICROSECONDS = 1_000_000


def open_calls(run: Run, step: str, *, but: Call | None = None) -> list[Call]:
    """List the step's actions that are held, granted, on their way or unknown; `but` in its newer state."""
    calls = [run.calls[key] for key in run.tally.open_calls if but is None or key != but.key]
    return [call for call in (*calls, *([but] if but is not None else [])) if call.step == step]


def goes_on(run: Run, step: Step, reason: str, *, newer: Call | None = None, attempt: int = 0) -> Move:
    """Let a step go on; what its journal still waits for comes first.

    Args:
        run: The state.
        step: The step.
        reason: Why it may go on.
        newer: An action in the state that it comes into with the same fact.
        attempt: The attempt in which it goes on; the present one when 0.
    """
    attempt = attempt or step.attempt
    calls = open_calls(run, step.name, but=newer)
    if any(call.state is CallState.UNKNOWN for call in calls):
        return blocked_unknown(step)
    current = newer if newer is not None and newer.key == step.call else run.calls.get(step.call)
    if current is not None and current.state in (CallState.GRANTED, CallState.INTENDED, CallState.LOST):
        return Move(step.name, StepStatus.READY, attempt=attempt, reason=reason, call=step.call)
    for call in calls:
        if call.state is CallState.GRANTED:
            return Move(step.name, StepStatus.READY, attempt=attempt, reason=reason, call=call.key)
    for call in calls:
        if call.state is CallState.HELD:
            wait = Wait(WaitKind.APPROVAL, ref=call.approval)
            return Move(step.name, StepStatus.WAITING, attempt=attempt, reason=reason, wait=wait)
    return Move(step.name, StepStatus.READY, attempt=attempt, reason=reason)


def blocked_unknown(step: Step) -> Move:
    """The step waits for a person to say what happened."""
    return Move(
        step.name,
        StepStatus.BLOCKED,
        attempt=step.attempt,
        reason="outcome unknown: an operator must find out and resolve it",
        standing=Standing(StandingKind.OUTCOME),
    )


def lose_calls(run: Run, step: Step, sight: Sight, *, over: bool = False) -> tuple[tuple[Event, ...], bool]:
    """Say what becomes of a step's dispatched actions when nobody will report them.

    A metered try is charged at its estimate and may be repeated; an idempotent write stays intended, to
    be repeated with its key; an external action's outcome is unknown, and so is a write's that will not
    be repeated because the step is over.

    Returns:
        The facts, and whether an outcome is unknown now.
    """
    facts: list[Event] = []
    unknown = False
    for call in open_calls(run, step.name):
        unknown = unknown or call.state is CallState.UNKNOWN
        if call.state is not CallState.INTENDED:
            continue
        if call.effect not in WRITES:
            spent = replace(call, state=CallState.LOST, cost=call.cost + call.reserved, estimated=True)
            facts.append(CallMoved(sight.at, spent))
        elif over or not repeatable(call, sight.contracts.get(call.capability), sight.at):
            facts.append(CallMoved(sight.at, replace(call, state=CallState.UNKNOWN)))
            unknown = True
    return tuple(facts), unknown


def repeatable(call: Call, contract: Contract | None, at: Instant) -> bool:
    """Whether a write whose outcome nobody knows may be sent again at an instant, under the same key.

    The class decides, not the way in which the answer was lost: an idempotent write, at most three times, for as long
    as its tool surely knows the key that the first of these tries brought.
    """
    if call.effect is not EffectClass.IDEMPOTENT_WRITE or in_doubt(call) >= MAX_TRIES:
        return False
    if contract is None or contract.key_kept_seconds is None:
        return True
    first = call.doubted_since or call.dispatched_at
    return at - first <= contract.key_kept_seconds * _MICROSECONDS


def in_doubt(call: Call) -> int:
    """Count the tries of a dispatched effect that would be in doubt if nothing more were heard of it."""
    return call.doubts + (0 if call.again_at else 1)


def quarantined(call: Call, sight: Sight) -> Instant:
    """Tell until when a write that is dispatched now may take effect at the other side."""
    contract = sight.contracts.get(call.capability)
    if call.effect not in WRITES or contract is None:
        return Instant(0)
    return Instant(sight.at + contract.quarantine_seconds * _MICROSECONDS)


def abandoned(run: Run, sight: Sight) -> tuple[Event, ...]:
    """Close the actions of steps in nobody's hands when the run can only end: nobody will repeat them."""
    if not run.tally.open_calls or not doomed(run):
        return ()
    facts: list[Event] = []
    for step in run.steps.values():
        if step.status is StepStatus.RUNNING:
            continue
        lost, unknown = lose_calls(run, step, sight, over=True)
        if lost and unknown:
            last = lost[-1]
            assert isinstance(last, CallMoved), "actions are lost"
            lost = (*lost[:-1], replace(last, moves=(blocked_unknown(step),)))
        facts.extend(lost)
    return tuple(facts)
