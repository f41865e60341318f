"""Outcomes of actions: settled by the holder, granted, rejected or resolved by people."""

import hashlib

from msgspec.structs import replace

from bailiwick.base import Digest, LeaseLost
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.run.commands import Escalate, Fail, Grant, Reconsider, Reject, Resolve, Settle
from bailiwick.run.compensating import by_hand
from bailiwick.run.events import CallMoved, Escalated, Event, Move, StepsMoved
from bailiwick.run.failing import end_attempt
from bailiwick.run.hanging import blocked_unknown, goes_on, repeatable
from bailiwick.run.lines import outdated, tree_of
from bailiwick.run.naming import is_undo
from bailiwick.run.refusals import InQuarantine, NoSuchAction, NotAllowed, Outdated
from bailiwick.run.sight import Sight
from bailiwick.run.state import Call, Run, Step, Wait
from bailiwick.run.states import ANSWERED, CallState, StepStatus, WaitKind
from bailiwick.run.status import doomed

_OUTCOMES = (CallState.DONE, CallState.FAILED, CallState.CANCELED, CallState.LOST, CallState.UNKNOWN)


def effect_key(*, tenant: str, run: str, step: str, digest: Digest, n: int) -> str:
    """Name an effect: stable over resume and retry, different for each occurrence in a step instance.

    Args:
        tenant: The owner.
        run: The run's id.
        step: The step instance.
        digest: The action's digest.
        n: The occurrence of this digest in the step instance, in call order, from 1.
    """
    parts = (tenant, run, step, digest, str(n))
    return "eff_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def settle(run: Run, command: Settle, sight: Sight) -> tuple[Event, ...]:
    """Record an outcome. A granted action that was executed for a parked step lets the step go on.

    Of an effect with a try in doubt nothing but "done" is proof: what failed now may still arrive from before.

    Raises:
        NoSuchAction: The journal has no such entry.
        LeaseLost: It is not on its way under the caller's epoch.
        NotAllowed: The state is no outcome.
        Outdated: It names a workspace, and its line has come to another than the call began with.
        Misbooked: The cost is negative.
    """
    call = _found(run, command.key)
    step = run.steps[call.step]
    gone = call.state is not CallState.INTENDED or call.again_at > 0
    if gone or call.epoch != command.epoch or step.epoch != command.epoch:
        raise LeaseLost(step=call.step, epoch=command.epoch, held=step.epoch)
    if command.state not in _OUTCOMES:
        raise NotAllowed(command=f"settling as {command.state}", state=call.state, run=run.id, of=call.key)
    if command.tree and outdated(run, step, call, command.tree):
        raise Outdated(run=run.id, step=step.name, base=call.base or "", tree=tree_of(run, step))
    in_doubt = command.state is CallState.UNKNOWN or (call.doubts > 0 and command.state is not CallState.DONE)
    if in_doubt and _goes_again(run, call, command, sight):
        return (_again(step, call, command, sight),)
    settled = replace(
        call,
        state=CallState.UNKNOWN if in_doubt else command.state,
        outcome_seq=run.version + 1,
        outcome_digest=command.outcome_digest,
        tree=command.tree if command.state in ANSWERED else "",
        category=command.category,
        reason=command.reason,
        tokens=command.tokens,
    )
    if in_doubt:
        return (CallMoved(sight.at, replace(settled, tree=""), (blocked_unknown(step),)),)
    run.allotment.settle(call.reserved, command.cost)
    estimated = call.estimated or command.estimated
    settled = replace(settled, cost=call.cost + command.cost, estimated=estimated)
    moves: tuple[Move, ...] = ()
    if step.call == call.key and step.status in (StepStatus.RUNNING, StepStatus.READY):
        moves = (goes_on(run, step, f"the held action is {settled.state}", newer=settled),)
    return (CallMoved(sight.at, settled, moves),)


def _goes_again(run: Run, call: Call, command: Settle, sight: Sight) -> bool:
    contract = sight.contracts.get(call.capability)
    return command.again_at > 0 and not doomed(run) and repeatable(call, contract, command.again_at)


def _again(step: Step, call: Call, command: Settle, sight: Sight) -> CallMoved:
    """Keep an effect on its way for one more try with its key: by its holder, or by whoever takes the granted action."""
    doubted = replace(
        call,
        doubts=call.doubts + 1,
        doubted_since=call.doubted_since or call.dispatched_at,
        again_at=command.again_at,
        category=command.category,
        reason=command.reason,
    )
    if step.call != call.key or step.status is not StepStatus.RUNNING:
        return CallMoved(sight.at, doubted)
    wait = Wait(WaitKind.RETRY, until=command.again_at)
    move = Move(step.name, StepStatus.WAITING, attempt=step.attempt, wait=wait, call=step.call)
    return CallMoved(sight.at, doubted, (move,))


def grant(run: Run, command: Grant, sight: Sight) -> tuple[Event, ...]:
    """Humans allowed the action: its stored bytes become a task of their own.

    A step that is blocked by an unknown outcome stays so, and takes up the granted action when it goes on.
    """
    call, step = _held(run, command.key, "approve")
    granted = replace(call, state=CallState.GRANTED)
    move = goes_on(run, step, f"approved by {command.by}", newer=granted)
    return (CallMoved(sight.at, granted, (move,)),)


def reject(run: Run, plan: Plan, command: Reject, sight: Sight) -> tuple[Event, ...]:
    """Humans refused the action: the step fails with category `rejected`.

    A step that is blocked by an unknown outcome stays so; the refusal answers it when it goes on.
    """
    call, step = _held(run, command.key, "reject")
    refused = replace(
        call,
        state=CallState.REFUSED,
        category=ErrorCategory.REJECTED,
        reason=command.reason,
        outcome_seq=run.version + 1,
    )
    cause = Fail(step.name, step.epoch, ErrorCategory.REJECTED, command.reason)
    lost, move = end_attempt(run, plan, step, cause, sight)
    if not lost:
        return (CallMoved(sight.at, refused, (move,)),)
    return (CallMoved(sight.at, refused), *lost, StepsMoved(sight.at, (move,)))


def escalate(run: Run, command: Escalate, sight: Sight) -> tuple[Event, ...]:
    """More people may answer about an action that still waits; nothing moves, and each group is told of once.

    Raises:
        NoSuchAction, NotAllowed: Nobody waits for an answer about it.
    """
    call, _ = _held(run, command.key, "escalate")
    to = tuple(group for group in command.to if group not in call.escalated)
    return (Escalated(sight.at, call.key, call.approval, to),) if to else ()


def reconsider(run: Run, command: Reconsider, sight: Sight) -> tuple[Event, ...]:
    """Policy was asked again about an action that waits for people; the entry says what it answered.

    Held: people are asked as before, or by a new request. Granted: it needs no answer any more, and its stored
    bytes become a task. Refused: the denial is the outcome, and answers the step when it goes on.

    Raises:
        NoSuchAction, NotAllowed: Nobody waits for it, the entry is about another action, or answers otherwise.
    """
    before, step = _held(run, command.call.key, "reconsider")
    call = command.call
    call = replace(call, escalated=before.escalated if call.approval == before.approval else ())
    same = (before.step, before.digest, before.contract, before.effect, before.attempt)
    bound = bool(call.approval) == (call.state is not CallState.GRANTED)
    if same != (call.step, call.digest, call.contract, call.effect, call.attempt) or not bound:
        raise NotAllowed(command="reconsider", state=before.state, run=run.id, of=call.key)
    match call.state:
        case CallState.HELD if call.approval == before.approval:
            return (CallMoved(sight.at, call),)
        case CallState.HELD | CallState.GRANTED:
            reason = "policy was asked again"
        case CallState.REFUSED:
            call = replace(call, outcome_seq=run.version + 1)
            reason = "policy no longer allows it"
        case _:
            raise NotAllowed(command="reconsider", state=call.state, run=run.id, of=call.key)
    return (CallMoved(sight.at, call, (goes_on(run, step, reason, newer=call),)),)


def resolve(run: Run, command: Resolve, sight: Sight) -> tuple[Event, ...]:
    """A person says what became of an action; the step goes on with that as its outcome.

    What one that is done answered can be said later as well; a step that was nothing else has its output then.

    Raises:
        NotAllowed: Its outcome is known: somebody was faster.
        InQuarantine: It may still happen, so nobody can know that it never will.
    """
    if is_undo(command.key):
        return by_hand(run, command, sight)
    call = _found(run, command.key)
    if call.unanswered and command.state is CallState.DONE and command.outcome_digest:
        return (_answered(run, call, command, sight),)
    if call.state is not CallState.UNKNOWN or command.state not in (CallState.DONE, CallState.FAILED):
        raise NotAllowed(command="resolve", state=call.state, run=run.id, of=command.key)
    if command.state is CallState.FAILED and sight.at < call.quarantine_until and not command.despite:
        raise InQuarantine(run=run.id, key=call.key, until=call.quarantine_until)
    step = run.steps[call.step]
    resolved = replace(
        call,
        state=command.state,
        cost=call.cost + call.reserved,
        estimated=True,
        outcome_seq=run.version + 1,
        outcome_digest=command.outcome_digest,
        category=None if command.state is CallState.DONE else ErrorCategory.TOOL_FAILED,
        reason=command.reason,
    )
    move = goes_on(run, step, f"resolved by {command.by}", newer=resolved)
    return (CallMoved(sight.at, resolved, (move,)),)


def _answered(run: Run, call: Call, command: Resolve, sight: Sight) -> CallMoved:
    answered = replace(
        call, outcome_seq=run.version + 1, outcome_digest=command.outcome_digest, reason=command.reason
    )
    step = run.steps[call.step]
    if step.status is not StepStatus.SUCCEEDED or step.output_seq:
        return CallMoved(sight.at, answered)
    digest = command.outcome_digest
    move = Move(step.name, StepStatus.SUCCEEDED, attempt=step.attempt, output=True, output_digest=digest)
    return CallMoved(sight.at, answered, (move,))


def _found(run: Run, key: str) -> Call:
    call = run.calls.get(key)
    if call is None:
        raise NoSuchAction(run=run.id, key=key)
    return call


def _held(run: Run, key: str, command: str) -> tuple[Call, Step]:
    call = _found(run, key)
    if call.state is not CallState.HELD:
        raise NotAllowed(command=command, state=call.state, run=run.id, of=key)
    return call, run.steps[call.step]
