"""Decisions about actions: the journal of what was held, dispatched, refused and settled."""

import hashlib

from msgspec.structs import replace

from bailiwick.base import Digest
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.plan import Plan
from bailiwick.run.commands import Fail, Grant, Reject, Resolve, Settle
from bailiwick.run.events import CallMoved, Event, Move
from bailiwick.run.refusals import LeaseLost, NoSuchAction, NotAllowed
from bailiwick.run.sight import Sight
from bailiwick.run.state import Call, Run, Step, Wait
from bailiwick.run.states import ANSWERED, CallState, StepStatus, WaitKind
from bailiwick.run.steps import blocked_unknown, failure, held_step


def effect_key(*, tenant: str, run: str, step: str, digest: Digest, n: int) -> str:
    """Name an effect: stable over resume and retry, different for each occurrence in a step instance.

    Args:
        tenant: The owner.
        run: The run's id.
        step: The step instance.
        digest: The action's digest.
        n: The occurrence of this digest in the step instance, in call order, from 1.
    """
    text = "\0".join((tenant, run, step, digest, str(n)))
    return "eff_" + hashlib.sha256(text.encode()).hexdigest()[:40]


def recorded(run: Run, step: Step, key: str) -> Call | None:
    """Find the answer that a repeated call gets without running again.

    Within an attempt every recorded outcome is replayed, refusals too. In a later attempt a write that
    was done is replayed; models, reads and failed writes run anew.
    """
    call = run.calls.get(key)
    if call is None or call.state not in ANSWERED:
        return None
    if call.attempt == step.attempt:
        return call
    writes = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
    return call if call.effect in writes and call.state is CallState.DONE else None


def journal(run: Run, call: Call, sight: Sight) -> tuple[Event, ...]:
    """Record what the gate decided about an action of the step that the caller holds."""
    step = held_step(run, call.step, call.epoch)
    before = run.calls.get(call.key)
    call = replace(call, cost=before.cost if before is not None else 0)
    seq = run.version + 1
    match call.state:
        case CallState.INTENDED:
            _check_dispatch(run, before, call)
            fresh = before is None or before.action_seq == 0 or before.attempt != call.attempt
            call = replace(call, tries=(before.tries if before is not None else 0) + 1)
            call = replace(call, action_seq=seq) if fresh else replace(call, action_seq=_action_seq(before))
            aside = before.reserved if before is not None and before.state is CallState.INTENDED else 0
            replace(run.allotment, reserved=run.allotment.reserved - aside).reserve(call.reserved)
            return (CallMoved(sight.at, call),)
        case CallState.HELD:
            wait = Wait(WaitKind.APPROVAL, ref=call.approval)
            move = Move(step.name, StepStatus.WAITING, attempt=step.attempt, wait=wait)
            return (CallMoved(sight.at, replace(call, action_seq=seq), (move,)),)
        case CallState.REFUSED if before is not None and step.call == call.key:
            voided = replace(call, action_seq=before.action_seq, outcome_seq=seq)
            move = Move(step.name, StepStatus.READY, attempt=step.attempt, reason="the grant is void")
            return (CallMoved(sight.at, voided, (move,)),)
        case CallState.UNKNOWN if before is not None:
            return (
                CallMoved(sight.at, replace(call, action_seq=before.action_seq), (blocked_unknown(step),)),
            )
        case CallState.REFUSED | CallState.DONE | CallState.FAILED | CallState.CANCELED:
            return (CallMoved(sight.at, replace(call, action_seq=seq, outcome_seq=seq)),)
        case _:
            raise NotAllowed(command="journal", state=call.state, run=run.id, of=call.key)


def _action_seq(before: Call | None) -> int:
    assert before is not None, "a repeat has an earlier entry"
    return before.action_seq


def _check_dispatch(run: Run, before: Call | None, call: Call) -> None:
    if before is None or before.state in (CallState.LOST, CallState.GRANTED, CallState.INTENDED):
        return
    if (
        before.state in (CallState.FAILED, CallState.CANCELED, CallState.REFUSED)
        and before.attempt < call.attempt
    ):
        return
    if (
        before.state is CallState.DONE
        and before.attempt < call.attempt
        and before.effect is EffectClass.METERED
    ):
        return
    raise NotAllowed(command="dispatch", state=before.state, run=run.id, of=call.key)


def settle(run: Run, command: Settle, sight: Sight) -> tuple[Event, ...]:
    """Record an outcome. A granted action that was executed for a parked step lets the step go on."""
    call = run.calls.get(command.key)
    if call is None:
        raise NoSuchAction(run=run.id, key=command.key)
    step = run.steps[call.step]
    if call.state is not CallState.INTENDED or call.epoch != command.epoch or step.epoch != command.epoch:
        raise LeaseLost(step=call.step, epoch=command.epoch, held=step.epoch)
    settled = replace(
        call,
        state=command.state,
        cost=call.cost + command.cost,
        estimated=call.estimated or command.estimated,
        outcome_seq=run.version + 1,
        outcome_digest=command.outcome_digest,
        tree=command.tree,
        category=command.category,
        reason=command.reason,
    )
    if command.state is CallState.UNKNOWN:
        return (CallMoved(sight.at, replace(settled, cost=call.cost), (blocked_unknown(step),)),)
    if step.call == call.key:
        move = Move(step.name, StepStatus.READY, attempt=step.attempt, reason="the held action was executed")
        return (CallMoved(sight.at, settled, (move,)),)
    return (CallMoved(sight.at, settled),)


def grant(run: Run, command: Grant, sight: Sight) -> tuple[Event, ...]:
    """Humans allowed the action: its stored bytes become a task of their own."""
    call, step = _held(run, command.key, "approve")
    move = Move(
        step.name, StepStatus.READY, attempt=step.attempt, call=call.key, reason=f"approved by {command.by}"
    )
    return (CallMoved(sight.at, replace(call, state=CallState.GRANTED), (move,)),)


def reject(run: Run, plan: Plan, command: Reject, sight: Sight) -> tuple[Event, ...]:
    """Humans refused the action: the step fails with category `rejected`."""
    call, step = _held(run, command.key, "reject")
    refused = replace(
        call,
        state=CallState.REFUSED,
        category=ErrorCategory.REJECTED,
        reason=command.reason,
        outcome_seq=run.version + 1,
    )
    cause = Fail(step.name, step.epoch, ErrorCategory.REJECTED, command.reason)
    return (CallMoved(sight.at, refused, (failure(run, plan, step, cause, sight),)),)


def _held(run: Run, key: str, command: str) -> tuple[Call, Step]:
    call = run.calls.get(key)
    if call is None:
        raise NoSuchAction(run=run.id, key=key)
    if call.state is not CallState.HELD:
        raise NotAllowed(command=command, state=call.state, run=run.id, of=key)
    return call, run.steps[call.step]


def resolve(run: Run, command: Resolve, sight: Sight) -> tuple[Event, ...]:
    """A person says what became of an action; the step goes on with that as its outcome."""
    call = run.calls.get(command.key)
    if call is None:
        raise NoSuchAction(run=run.id, key=command.key)
    if call.state is not CallState.UNKNOWN or command.state not in (CallState.DONE, CallState.FAILED):
        raise NotAllowed(command="resolve", state=call.state, run=run.id, of=command.key)
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
    others = any(
        other.step == step.name and other.state is CallState.UNKNOWN and other.key != call.key
        for other in run.calls.values()
    )
    if others:
        return (CallMoved(sight.at, resolved),)
    move = Move(step.name, StepStatus.READY, attempt=step.attempt, reason=f"resolved by {command.by}")
    return (CallMoved(sight.at, resolved, (move,)),)
