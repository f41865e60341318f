"""The journal of actions: what the gate decided about an action, written by whoever holds its step."""

from typing import Any

from msgspec.structs import replace

from bailiwick.base import Instant, LeaseLost
from bailiwick.contract import EffectClass
from bailiwick.run.commands import Journal
from bailiwick.run.events import CallMoved, Event, Move
from bailiwick.run.hanging import WRITES, blocked_unknown, goes_on, in_doubt, quarantined, repeatable
from bailiwick.run.lines import outdated, tree_of
from bailiwick.run.probing import concluded, is_probe, probe_of
from bailiwick.run.refusals import NotAllowed, Outdated
from bailiwick.run.sight import Sight
from bailiwick.run.state import Call, Run, Step, Wait
from bailiwick.run.states import ANSWERED, CallState, StepStatus, WaitKind
from bailiwick.run.status import doomed


def held_step(run: Run, name: str, epoch: int) -> Step:
    """Find the step that the caller says it holds.

    Raises:
        LeaseLost: It does not hold it; a block or a loop is held by nobody.
    """
    step = run.steps.get(name)
    if step is None or step.epoch != epoch or epoch < 1 or step.status is not StepStatus.RUNNING:
        raise LeaseLost(step=name, epoch=epoch, held=step.epoch if step else 0)
    return step


def recorded(run: Run, step: Step, key: str) -> Call | None:
    """Find the answer that a repeated call gets without running again.

    Within an attempt every recorded outcome is replayed, refusals too. In a later attempt a write that
    was done is replayed; models, reads and failed writes run anew.
    """
    call = run.calls.get(key)
    if call is None or call.state not in ANSWERED:
        return None
    return call if call.attempt == step.attempt or _stands(call) else None


def _stands(call: Call) -> bool:
    """Whether the outcome holds for all attempts: a write that was done is never done again."""
    return call.effect in WRITES and call.state is CallState.DONE


def journal(run: Run, command: Journal, sight: Sight) -> tuple[Event, ...]:
    """Record what the gate decided about an action of the step that the caller holds.

    Raises:
        LeaseLost: The caller does not hold the step.
        NotAllowed: The action's entry does not allow it, or the run can only end and begins nothing more.
        BudgetExhausted: More than remains would have to be reserved.
        Outdated: It was decided on a workspace that its line has left since.
    """
    call = command.call
    step = held_step(run, call.step, call.epoch)
    before = run.calls.get(call.key)
    if not _fits(run, step, call, sight):
        state = before.state if before is not None else run.status
        raise NotAllowed(command=f"recording {call.state}", state=state, run=run.id, of=call.key)
    if outdated(run, step, call, call.tree) and call.state in (CallState.INTENDED, CallState.DONE):
        raise Outdated(run=run.id, step=step.name, base=call.base or "", tree=tree_of(run, step))
    call = replace(call, attempt=step.attempt)
    if before is None:
        call = replace(call, cost=0, tries=0, action_seq=run.version + 1)
    else:
        again = before.attempt != step.attempt and step.call != call.key
        at = run.version + 1 if again else before.action_seq
        call = replace(call, cost=before.cost, tries=before.tries, action_seq=at)
    if is_probe(run, step, call):
        return (*_written(run, step, before, call, sight), *concluded(run, step, command, sight))
    return _written(run, step, before, call, sight)


def _fits(run: Run, step: Step, call: Call, sight: Sight) -> bool:
    """Whether an action's entry may come into the state that the gate decided on."""
    before = run.calls.get(call.key)
    if is_probe(run, step, call):
        return call.state in ANSWERED and call.reserved == 0 and _is_free(before, step)
    if step.call not in ("", call.key) or (before is not None and _differs(before, call)):
        return False
    begins = not doomed(run)
    granted = before is not None and before.state is CallState.GRANTED and step.call == call.key
    under_way = before is not None and before.state is CallState.INTENDED
    under_way = under_way and before is not None and (before.epoch < call.epoch or before.again_at > 0)
    match call.state:
        case CallState.INTENDED if under_way:
            assert before is not None, "it is under way"
            counted = call.doubts in (0, in_doubt(before))  # 0: written before doubts were counted
            return begins and counted and repeatable(before, sight.contracts.get(before.capability), sight.at)
        case CallState.INTENDED:
            return begins and not call.doubts and (granted or _is_free(before, step))
        case CallState.HELD:
            return begins and bool(call.approval) and (granted or _is_free(before, step))
        case CallState.REFUSED:
            return granted or _is_free(before, step)
        case CallState.UNKNOWN:
            return under_way
        case CallState.DONE | CallState.FAILED | CallState.CANCELED | CallState.LOST:
            return call.effect is EffectClass.READ_ONLY and call.reserved == 0 and _is_free(before, step)
        case _:
            return False


def _differs(before: Call, call: Call) -> bool:
    """Whether an entry is about another action: a key stands for one step's one action."""
    return (before.step, before.digest, before.effect) != (call.step, call.digest, call.effect)


def _is_free(before: Call | None, step: Step) -> bool:
    """Whether the action may be decided anew: never seen, lost, or answered in an earlier attempt."""
    if before is None or before.state is CallState.LOST:
        return True
    return before.state in ANSWERED and before.attempt < step.attempt and not _stands(before)


def _written(run: Run, step: Step, before: Call | None, call: Call, sight: Sight) -> tuple[Event, ...]:
    seq = run.version + 1
    fresh: dict[str, Any] = {"outcome_seq": 0, "outcome_digest": "", "tree": ""}
    match call.state:
        case CallState.INTENDED:
            aside = before.reserved if before is not None and before.state is CallState.INTENDED else 0
            replace(run.allotment, reserved=run.allotment.reserved - aside).reserve(call.reserved)
            sent = replace(
                call,
                tries=call.tries + 1,
                dispatched_at=sight.at,
                again_at=Instant(0),
                quarantine_until=quarantined(call, sight),
                probe=probe_of(sight.contracts.get(call.capability), sight) if call.effect in WRITES else "",
                **fresh,
            )
            return (CallMoved(sight.at, sent),)
        case CallState.HELD:
            wait = Wait(WaitKind.APPROVAL, ref=call.approval)
            move = Move(step.name, StepStatus.WAITING, attempt=step.attempt, wait=wait)
            return (CallMoved(sight.at, replace(call, escalated=(), **fresh), (move,)),)
        case CallState.UNKNOWN:
            assert before is not None, "an unknown action was on its way"
            unknown = replace(
                before, state=CallState.UNKNOWN, epoch=call.epoch, reason=call.reason, again_at=Instant(0)
            )
            return (CallMoved(sight.at, unknown, (blocked_unknown(step),)),)
        case CallState.REFUSED if step.call == call.key:
            void = replace(call, outcome_seq=seq)
            move = goes_on(run, step, "the grant is void", newer=void)
            return (CallMoved(sight.at, void, (move,)),)
        case _:
            return (CallMoved(sight.at, replace(call, action_seq=seq, outcome_seq=seq)),)
