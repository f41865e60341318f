"""Failing: what becomes of an attempt that did not succeed, and of the actions that it leaves."""

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.plan import Plan
from bailiwick.run.commands import Fail
from bailiwick.run.events import Event, Move
from bailiwick.run.hanging import blocked_unknown, lose_calls, open_calls
from bailiwick.run.lease import DEFAULT_RETRY, may_retry, retry_delay
from bailiwick.run.naming import node_id
from bailiwick.run.opening import routed
from bailiwick.run.sight import Sight
from bailiwick.run.state import Run, Step, Wait
from bailiwick.run.states import ENDED, CallState, StepStatus, WaitKind
from bailiwick.run.status import doomed

_MICROSECONDS = 1_000_000


def end_attempt(run: Run, plan: Plan, step: Step, told: Fail, sight: Sight) -> tuple[tuple[Event, ...], Move]:
    """End a failed attempt: block if an action's outcome is unknown, else retry, fall back, ask, or fail.

    Returns:
        What became of its actions, and the step's move.
    """
    move = failure(run, plan, step, told, sight)
    over = move.to in ENDED or move.fallback
    lost, unknown = lose_calls(run, step, sight, over=over)
    return lost, blocked_unknown(step) if unknown else move


def failure(run: Run, plan: Plan, step: Step, told: Fail, sight: Sight) -> Move:
    """Route a failed attempt by its category and the step's policy."""
    failed = Move(
        step.name,
        StepStatus.FAILED,
        attempt=step.attempt,
        category=told.category,
        reason=told.reason,
        fallback=step.fallback,
        rules=told.rules,
        findings=told.findings,
    )
    if doomed(run):
        return replace(failed, to=StepStatus.CANCELED)
    node = None if step.name.startswith("$") else plan.node(node_id(step.name))
    retry = (node.retry if node is not None else None) or DEFAULT_RETRY
    if may_retry(retry, step.attempt, told.category):
        delay = retry_delay(retry, step.attempt, told.spread, told.retry_after)
        wait = Wait(WaitKind.RETRY, until=Instant(sight.at + int(delay * _MICROSECONDS)))
        granted = [call.key for call in open_calls(run, step.name) if call.state is CallState.GRANTED]
        again = replace(failed, to=StepStatus.WAITING, attempt=step.attempt + 1, wait=wait)
        return replace(again, call=granted[0]) if granted else again
    if node is None:
        return failed
    move = routed(run, plan, node, failed, sight)
    fell_back = move.to is StepStatus.READY
    return replace(move, attempt=step.attempt + 1) if fell_back else move
