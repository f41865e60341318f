"""Deciding again: from a unit's recorded events back to a command, which must lead to exactly these events."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base import Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.run.choosing import CHOSEN_BY
from bailiwick.run.commands import (
    Cancel,
    Choose,
    Claim,
    Command,
    Escalate,
    Fail,
    Grant,
    Journal,
    Note,
    Park,
    PassDeadline,
    Propose,
    Quarantine,
    Reconsider,
    Reject,
    Release,
    Resolve,
    Resume,
    Rollback,
    Settle,
    Succeed,
    kind_of,
)
from bailiwick.run.compensating import DONE_BY_HAND
from bailiwick.run.decide import Offer, create, decide, queue_key
from bailiwick.run.events import (
    AllotmentRaised,
    AttemptRefused,
    CallMoved,
    CancelRequested,
    Closed,
    Created,
    DeadlinePassed,
    Escalated,
    Event,
    Move,
    Quarantined,
    QuarantineLifted,
    RollbackRequested,
    StepsMoved,
)
from bailiwick.run.joining import CHOSEN
from bailiwick.run.merging import TreesNeeded
from bailiwick.run.naming import is_undo
from bailiwick.run.opening import ASKED, BY_HAND, CANNOT_FALL_BACK, UNDO_FAILED
from bailiwick.run.probing import DECIDED
from bailiwick.run.sight import ContentNeeded, Sight
from bailiwick.run.state import Call, Run, Step
from bailiwick.run.states import CallState, StepStatus

_MICROSECONDS = 1_000_000
_PROPOSED = Propose.__name__.lower()
_LEFT = (CallState.LOST, CallState.UNKNOWN)


class Again(msgspec.Struct, frozen=True):
    """What came of deciding again. `events`: what the command leads to; of none that does, the nearest one."""

    agrees: bool
    command: Command | None
    events: tuple[Event, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """What a unit says of its command beside its events: the kind, and of a proposal the facts; "" in older logs."""

    kind: str = ""
    facts: Mapping[str, Any] = {}


def decided_again(
    before: Run | None, plan: Plan, events: tuple[Event, ...], sight: Sight, told: Told | None = None
) -> Again:
    """Look for the command behind a unit's events and decide it again in the state before them.

    Chance enters a command only as the moment of a retry; whether that lies where the step's policy allows is
    checked too. What was read or judged is looked up in `sight` again.

    Args:
        before: The state before the unit; None if it opens the run.
        plan: The run's plan.
        events: All events of one unit, as recorded.
        sight: Recorded contents, contracts and policy as they were; its time is taken from the events.
        told: What the unit says of its command; where it says nothing, each is tried that could have led there.

    Raises:
        ContentNeeded: A payload that is needed was not handed in.
        TreesNeeded: Workspaces must be merged first.
    """
    first = events[0]
    offers = _offers(events)
    if isinstance(first, Created):
        if before is not None:
            return Again(agrees=False, command=None)
        nearest = Again(agrees=False, command=None)
        for offer in offers:
            made, _ = create(replace(first, moves=()), plan, sight, offer)
            nearest = Again(made == events or _in_prose(made) == events, None, made)
            if nearest.agrees:
                break
        return nearest
    if before is None:
        return Again(agrees=False, command=None)
    sight = replace(sight, at=first.at)
    if first.at < before.updated_at:
        # Earlier versions recorded what their clock showed, and the clocks of two processes differed.
        before = replace(before, updated_at=first.at)
    return _decided(before, plan, events, sight, offers, told or Told())


def _decided(
    before: Run,
    plan: Plan,
    events: tuple[Event, ...],
    sight: Sight,
    offers: tuple[Offer | None, ...],
    told: Told,
) -> Again:
    nearest = Again(agrees=False, command=None)
    needed: ContentNeeded | TreesNeeded | None = None
    for command in _told(before, events, told):
        for offer in offers:
            try:
                made, _ = decide(before, plan, command, sight, offer)
            except Refusal:
                continue
            except (ContentNeeded, TreesNeeded) as lacking:
                needed = lacking  # of this command; another may need nothing
                continue
            if made == events or _in_prose(made) == events:
                return Again(agrees=True, command=command, events=made)
            if not nearest.events:
                nearest = Again(agrees=False, command=command, events=made)
    if needed is not None:
        raise needed
    return nearest


def _in_prose(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Write events as older logs have them: why a step is blocked stands in its reason alone."""
    return tuple(
        replace(event, moves=tuple(replace(move, standing=None) for move in event.moves))
        if not isinstance(event, AttemptRefused | Escalated | Closed)
        else event
        for event in events
    )


def _offers(events: tuple[Event, ...]) -> tuple[Offer | None, ...]:
    """Name the session that took a further step in the same unit, if the last move looks like that."""
    last = next((event.moves[-1] for event in reversed(events) if event.moves), None)
    if last is None or last.to is not StepStatus.RUNNING or not last.session:
        return (None,)
    return (None, Offer(last.session, (queue_key(last.served),)))


def _told(before: Run, events: tuple[Event, ...], told: Told) -> Iterator[Command]:
    """List the commands of the kind that a unit names, or all that fit where it names none."""
    if told.kind == _PROPOSED:
        yield from _proposed(events[0], told.facts)
        return
    for command in _commands(before, events):
        if told.kind in ("", kind_of(command)):
            yield command


def _proposed(event: Event, facts: Mapping[str, Any]) -> Iterator[Propose]:
    """Find the proposal that was ruled on; an event that moves no action keeps the action among the facts."""
    known = event.call if isinstance(event, CallMoved) else None
    call = msgspec.to_builtins(known) if known is not None else facts.get("call")
    asked = {"request": known.approval, "terms": known.terms} if known is not None else {}
    with contextlib.suppress(msgspec.ValidationError):  # which none of ours wrote
        yield msgspec.convert({**facts, **asked, "call": call}, Propose)


def _commands(before: Run, events: tuple[Event, ...]) -> Iterator[Command]:
    """List the commands that could have led to these events."""
    first = events[0]
    match first:
        case CancelRequested(by=by, reason=reason):
            yield Cancel(by, reason)
        case Escalated(key=key, to=to):
            yield Escalate(key, to)
        case AttemptRefused(step=name) if name in before.steps:
            for last in (False, True):
                yield Note(
                    name,
                    before.steps[name].epoch,
                    first.code,
                    first.capability,
                    first.digest,
                    first.count,
                    last,
                )
        case DeadlinePassed():
            yield PassDeadline()
        case RollbackRequested(by=by, reason=reason):
            yield Rollback(by, reason)
        case AllotmentRaised(by=by, amount=amount, moves=moves, funds=funds):
            # Money may come for all steps, for one, or for one that is not blocked, such as none of this name.
            for step in ("", *(move.step for move in moves), "?"):
                yield Resume(by, step, amount, funds)
        case Quarantined(reason=reason):
            yield Quarantine(reason)
        case QuarantineLifted(by=by):
            raised = events[1] if len(events) > 1 else None
            if isinstance(raised, AllotmentRaised):
                yield Resume(by, "", raised.amount, raised.funds)
            else:
                yield Resume(by, "", 0)
        case StepsMoved(moves=moves) if moves:
            yield from _of_step(before, moves[0], first)
        case CallMoved():
            moved = next((event for event in events if isinstance(event, StepsMoved)), None)
            if first.call.state in _LEFT and moved is not None and moved.moves:
                yield from _of_step(before, moved.moves[0], moved)
            yield from _of_call(before, first, events[1] if len(events) > 1 else None)
        case _:
            return


def _of_step(before: Run, move: Move, event: StepsMoved) -> Iterator[Command]:
    step = before.steps.get(move.step)
    if step is None:
        return
    if step.status is StepStatus.RUNNING:
        if move.to in (StepStatus.SUCCEEDED, StepStatus.BLOCKED):
            yield Succeed(step.name, step.epoch, move.output_digest, move.attests, move.rules)
        yield Release(step.name, step.epoch, move.reason)
        yield Park(step.name, step.epoch, move.reason, move.standing)
        yield from _failures(step, move, event)
    elif step.status is StepStatus.BLOCKED:
        if is_undo(step.name):
            by, _, said = move.reason.removeprefix(DONE_BY_HAND).partition(": ")
            yield Resolve(step.name, by, CallState.DONE, reason=said)
        if move.tree is not None or CHOSEN in move.merged:
            said = move.reason.removeprefix(CHOSEN_BY) if move.reason.startswith(CHOSEN_BY) else ""
            by, _, took = said.partition(": what ")
            taken = took.removesuffix(" left")
            yield Choose(step.name, by, "" if taken else move.tree or "", taken)
        yield Resume("", "")
        yield Resume("", step.name)
    else:
        yield Claim(step.name, step.epoch + 1, move.session, move.served)


def _failures(step: Step, move: Move, event: StepsMoved) -> Iterator[Command]:
    """List the failures that a move can stand for; a fallback and a question hide their category."""
    told = move.reason.removeprefix(ASKED).removeprefix(UNDO_FAILED).removesuffix(f"; {BY_HAND}")
    reasons = dict.fromkeys((move.reason, told, told.partition(CANNOT_FALL_BACK)[0]))
    asked: float | None = None
    if move.wait is not None and move.wait.until:
        # Half a microsecond more, for the way through a double ends below.
        asked = (move.wait.until - event.at + 0.5) / _MICROSECONDS
    for category in (move.category,) if move.category is not None else tuple(ErrorCategory):
        for reason in reasons:
            yield Fail(
                step.name,
                step.epoch,
                category,
                reason,
                retry_after=asked,
                rules=move.rules,
                findings=move.findings,
            )


def _journal(call: Call, second: Event | None) -> Journal:
    """Find what the gate recorded; a probe's answer is noted at the action that it was asked about."""
    if not isinstance(second, CallMoved) or not second.moves:
        return Journal(call)
    asked = second.call
    told = second.moves[0].reason
    by = told.removeprefix(DECIDED) if asked.state is not CallState.UNKNOWN else ""
    return Journal(call, asked.answer, by, asked.outcome_digest if by else "")


def _of_call(before: Run, event: CallMoved, second: Event | None) -> Iterator[Command]:
    call = event.call
    known = before.calls.get(call.key)
    yield _journal(call, second)
    if known is None:
        return
    if event.moves and event.moves[0].to is StepStatus.RUNNING:
        taken = event.moves[0]
        yield Claim(call.step, taken.epoch, taken.session, taken.served)
    reason = event.moves[0].reason if event.moves else ""
    by = reason.partition(" by ")[2]
    yield Settle(
        key=call.key,
        epoch=call.epoch,
        state=CallState.UNKNOWN if call.again_at else call.state,
        outcome_digest=call.outcome_digest,
        cost=call.cost - known.cost,
        estimated=call.estimated,
        tree=call.tree,
        category=call.category,
        reason=call.reason,
        tokens=call.tokens,
        again_at=call.again_at,
    )
    yield Reconsider(call)
    yield Grant(call.key, by)
    yield Reject(call.key, by, call.reason)
    for despite in (False, True):
        yield Resolve(call.key, by, call.state, call.outcome_digest, call.reason, despite)
