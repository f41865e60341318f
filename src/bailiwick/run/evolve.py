"""`evolve`: fold one event into the state. Total: it never refuses and never needs a payload."""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.budget import Allotment
from bailiwick.contract import ErrorCategory
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
)
from bailiwick.run.state import CONTEXT, PLAN, Call, Run, Step
from bailiwick.run.states import ENDED, UNSETTLED, CallState, Status, StepStatus, WaitKind


def fold(events: Iterable[Event]) -> Run | None:
    """Fold a whole stream; None for an empty one."""
    run: Run | None = None
    for event in events:
        run = evolve(run, event)
    return run


def evolve(run: Run | None, event: Event) -> Run:
    """Fold one event; `run` is None only before `Created`."""
    if isinstance(event, Created):
        run = _open(event)
        at = event.created_at
    else:
        assert run is not None, "a stream begins with run.created"
        run = _apply(run, event)
        at = event.at
    run = replace(run, version=run.version + 1, updated_at=at)
    for move in event.moves:
        run = apply_move(run, move, at)
    return replace(run, status=derive_status(run))


def _open(event: Created) -> Run:
    return Run(
        id=event.run,
        tenant=event.tenant,
        app=event.app,
        workflow=event.workflow,
        title=event.title,
        requested_by=event.requested_by,
        feature=event.feature,
        team=event.team,
        trace=event.trace,
        plan=event.plan,
        policy_version=event.policy_version,
        created_at=event.created_at,
        deadline=event.deadline,
        allotment=Allotment(limit=event.allotment, reserved=0, spent=0),
        tree=event.tree,
    )


def _apply(
    run: Run, event: StepsMoved | CallMoved | CancelRequested | DeadlinePassed | AllotmentRaised | Closed
) -> Run:
    match event:
        case StepsMoved():
            return run
        case CallMoved(call=call):
            return _journal(run, call)
        case CancelRequested(by=by):
            return replace(run, cancel_requested=by)
        case DeadlinePassed():
            return replace(run, expired=True)
        case AllotmentRaised(amount=amount):
            limit, reserved, spent = run.allotment.limit, run.allotment.reserved, run.allotment.spent
            return replace(run, allotment=Allotment(limit + amount, reserved, spent))
        case Closed(status=status, category=category, reason=reason):
            return replace(run, closed=status, category=category, reason=reason)
        case _:
            assert_never(event)


def _journal(run: Run, call: Call) -> Run:
    before = run.calls.get(call.key)
    allotment = run.allotment
    held = before.reserved if before is not None and before.state in UNSETTLED else 0
    if call.state is CallState.INTENDED:
        allotment = Allotment(allotment.limit, allotment.reserved - held + call.reserved, allotment.spent)
    elif call.state is not CallState.UNKNOWN:
        spent = call.cost - (before.cost if before is not None else 0)
        allotment = Allotment(allotment.limit, allotment.reserved - held, allotment.spent + spent)
    steps = run.steps
    step = steps.get(call.step)
    if step is not None:
        steps = {**steps, step.name: replace(step, claims=0)}
    return replace(
        run,
        calls={**run.calls, call.key: call},
        allotment=allotment,
        steps=steps,
        tree=call.tree or run.tree,
    )


def apply_move(run: Run, move: Move, at: Instant) -> Run:
    """Fold one step move of the event that makes the run's current version."""
    before = run.steps.get(move.step)
    if before is None:
        before = Step(name=move.step, status=StepStatus.PENDING)
    new_attempt = move.attempt != before.attempt
    tree = run.tree
    tree_before = before.tree_before
    if move.to is StepStatus.RUNNING and before.epoch == 0:
        tree_before = tree
    if new_attempt:
        tree = tree_before or tree
    if move.tree:
        tree = move.tree
    step = Step(
        name=move.step,
        status=move.to,
        attempt=move.attempt,
        epoch=move.epoch or before.epoch,
        claims=_claims(before, move),
        session=move.session,
        wait=move.wait,
        category=move.category,
        reason=move.reason,
        output_seq=run.version if move.output else before.output_seq,
        output_digest=move.output_digest or before.output_digest,
        input_digest=move.input_digest or before.input_digest,
        tree_before=tree_before,
        iteration=move.iteration or before.iteration,
        fallback=move.fallback or before.fallback,
        since=at,
        call=move.call,
    )
    calls = _withdrawn(run.calls, move) if move.to in ENDED else run.calls
    reviewed = (*run.reviewed, move.attests) if move.attests else run.reviewed
    base_tree = tree if move.step == CONTEXT and move.to is StepStatus.SUCCEEDED else run.base_tree
    return replace(
        run,
        steps={**run.steps, move.step: step},
        calls=calls,
        tree=tree,
        base_tree=base_tree,
        reviewed=reviewed,
    )


def _claims(before: Step, move: Move) -> int:
    if move.to is StepStatus.RUNNING:
        return before.claims + 1
    return before.claims if move.to is StepStatus.READY and move.attempt == before.attempt else 0


def _withdrawn(calls: dict[str, Call], move: Move) -> dict[str, Call]:
    """Actions of an ended step that never began can begin no more."""
    changed = {
        call.key: replace(call, state=CallState.CANCELED, category=ErrorCategory.CANCELED)
        for call in calls.values()
        if call.step == move.step and call.state in (CallState.HELD, CallState.GRANTED)
    }
    return {**calls, **changed} if changed else calls


def derive_status(run: Run) -> Status:
    """Derive the run's state from its steps (docs/concepts.md shows the table)."""
    if run.closed is not None:
        return run.closed
    active = blocked = waiting = False
    for step in run.steps.values():
        match step.status:
            case StepStatus.READY:
                active = True
            case StepStatus.RUNNING:
                active = active or not is_container(run, step)
            case StepStatus.WAITING:
                if step.wait is not None and step.wait.kind is WaitKind.APPROVAL:
                    waiting = True
                else:
                    active = True
            case StepStatus.BLOCKED:
                blocked = True
            case _:
                pass
    if not active and blocked:
        return Status.BLOCKED
    if not active and waiting:
        return Status.WAITING_FOR_APPROVAL
    return _active_state(run)


def _active_state(run: Run) -> Status:
    context = run.steps.get(CONTEXT)
    plan = run.steps.get(PLAN)
    if plan is not None and plan.status is StepStatus.SUCCEEDED:
        return Status.EXECUTING
    if plan is not None and plan.epoch > 0:
        return Status.PLANNING
    if context is not None and context.status is StepStatus.SUCCEEDED:
        return Status.CONTEXT_LOADED
    return Status.CREATED


def is_container(run: Run, step: Step) -> bool:
    """Whether the instance is a block or a repeat, which runs in nobody's hands."""
    return step.status is StepStatus.RUNNING and step.epoch == 0
