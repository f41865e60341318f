"""Repeating: an effect whose answer was lost goes out again with its key, where its class and the time allow it."""

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.plan import Plan
from bailiwick.ports import Outcome
from bailiwick.run import Call, CallState, Run, doomed, doubt_delay, in_doubt, repeatable
from bailiwick.service.core.rows import timeout_of
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.gate import Gate

_MICROSECONDS = 1_000_000
_NEVER = Instant(0)


def is_over(call: Call, outcome: Outcome) -> bool:
    """Whether a report is about a try that is over: it came twice, or after the next one was sent."""
    if call.state is not CallState.INTENDED or call.epoch != outcome.epoch:
        return False
    return call.again_at > 0 or 0 < outcome.attempt_of_effect < call.tries


def of_all_tries(call: Call, outcome: Outcome) -> Outcome:
    """Say what the outcome of one try is for its effect: after a try in doubt nothing but "done" is proof."""
    if not call.doubts or outcome.state == CallState.DONE:
        return outcome
    return replace(outcome, state=CallState.UNKNOWN.value)


async def again_at(runs: Runs, gate: Gate, run: Run, plan: Plan, call: Call, outcome: Outcome) -> Instant:
    """Tell when an effect whose outcome nobody knows is sent again with its key; 0: never by itself.

    Not while a halt stops it, and not beyond the time that the step's attempt has.
    """
    step = run.steps[call.step]
    if outcome.state != CallState.UNKNOWN or gate.halted(run, plan, step, call.capability):
        return _NEVER
    pause = doubt_delay(in_doubt(call), runs.world.spread(), outcome.retry_after)
    at = Instant(runs.world.now() + int(pause * _MICROSECONDS))
    contract = (await runs.pinned(run)).contracts.get(call.capability)
    late = at >= step.since + timeout_of(plan, step) * _MICROSECONDS
    return _NEVER if late or doomed(run) or not repeatable(call, contract, at) else at


def given_up(call: Call, reason: str) -> str:
    """Say that an effect was sent again, and to no avail."""
    return f"{reason}; sent {call.tries} times with the same key" if call.doubts else reason
