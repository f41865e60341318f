"""`evolve`: fold one event into the state. Total: it never refuses and never needs a payload."""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.budget import Allotment
from bailiwick.contract import ErrorCategory
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
from bailiwick.run.hanging import WRITES
from bailiwick.run.lines import tree_of
from bailiwick.run.naming import is_undo, undone_by
from bailiwick.run.progress import continued, stepped
from bailiwick.run.standing import Standing, read_standing
from bailiwick.run.state import CONTEXT, Call, Fund, Run, Step
from bailiwick.run.states import ANSWERED, ENDED, OPEN, UNSETTLED, CallState, Phase, StepStatus
from bailiwick.run.status import counted, derive_status


def fold(events: Iterable[Event]) -> Run | None:
    """Fold a whole stream; None for an empty one."""
    run: Run | None = None
    for event in events:
        run = evolve(run, event)
    return run


def evolve(run: Run | None, event: Event) -> Run:
    """Fold one event; `run` is None only before `Created`, and a second `Created` opens nothing."""
    if isinstance(event, Created):
        run = run if run is not None else _open(event)
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
        environment=event.environment,
        catalogue=event.catalogue,
        pins=event.pins,
        plan=event.plan,
        policy_version=event.policy_version,
        created_at=event.created_at,
        deadline=event.deadline,
        allotment=Allotment(limit=event.allotment, reserved=0, spent=0),
        tree=event.tree,
        funds=event.funds,
        admission=event.admission,
        edition=event.edition,
        priority=event.priority,
    )


def _apply(run: Run, event: Event) -> Run:
    match event:
        case Created() | StepsMoved():
            return run
        case CallMoved(call=call):
            return _journal(run, call)
        case Escalated(key=key, to=to) if key in run.calls:
            call = replace(run.calls[key], escalated=(*run.calls[key].escalated, *to))
            return replace(run, calls={**run.calls, key: call})
        case AttemptRefused(step=name, count=count) if name in run.steps:
            step = replace(run.steps[name], refused=run.steps[name].refused + count)
            return replace(run, steps={**run.steps, name: step})
        case Escalated() | AttemptRefused():
            return run
        case CancelRequested(by=by):
            return replace(run, cancel_requested=by)
        case DeadlinePassed():
            return replace(run, expired=True)
        case AllotmentRaised(amount=amount, funds=funds):
            limit, reserved, spent = run.allotment.limit, run.allotment.reserved, run.allotment.spent
            return replace(
                run, allotment=Allotment(limit + amount, reserved, spent), funds=(*run.funds, *funds)
            )
        case Quarantined(reason=reason):
            return replace(run, quarantine=reason)
        case QuarantineLifted():
            return replace(run, quarantine="")
        case RollbackRequested(by=by):
            run = _set_aside(run, 1 if run.closed is not None else 0)
            run = replace(run, phase=Phase.COMPENSATING, rollback_requested=by)
            return replace(run, closed=None, category=None, reason="")
        case Closed(status=status, category=category, reason=reason):
            run = _set_aside(run, -1 if run.closed is None else 0)
            run = replace(run, closed=status, category=category, reason=reason, funds=_given_back(run))
            return replace(run, quarantine="")  # nothing of it moves any more, so nothing is to be held
        case _:
            assert_never(event)


def _set_aside(run: Run, sign: int) -> Run:
    """Free what compensations may cost when a run ends, since it spends no more, and take it again for its rollback."""
    amount = sign * sum(step.aside for step in run.steps.values())
    return _reserving(run, amount) if amount else run


def _reserving(run: Run, amount: int) -> Run:
    allotment = run.allotment
    return replace(run, allotment=Allotment(allotment.limit, allotment.reserved + amount, allotment.spent))


def _journal(run: Run, call: Call) -> Run:
    steps = run.steps
    step = steps.get(call.step)
    if step is not None and call.state in (*ANSWERED, CallState.HELD):
        trail = stepped(step.trail, call, tree_of(run, step)) if call.state in ANSWERED else step.trail
        step = replace(step, claims=0, tree_after=call.tree or step.tree_after, trail=trail)
        steps = {**steps, step.name: step}
    before = run.calls.get(call.key)
    still_open = tuple(key for key in run.tally.open_calls if key != call.key)
    if call.state in OPEN:
        still_open = (*still_open, call.key)
    return replace(
        run,
        calls={**run.calls, call.key: call},
        allotment=_booked(run.allotment, before, call),
        steps=steps,
        tree=call.tree or run.tree,
        tally=replace(run.tally, open_calls=still_open),
    )


def _booked(allotment: Allotment, before: Call | None, call: Call) -> Allotment:
    """Book what a call's new state reserves, releases and costs; an unknown one keeps its reservation."""
    held = before.reserved if before is not None and before.state in UNSETTLED else 0
    if call.state is CallState.UNKNOWN:
        return allotment
    if call.state is CallState.INTENDED:
        return Allotment(allotment.limit, allotment.reserved - held + call.reserved, allotment.spent)
    cost = call.cost - (before.cost if before is not None else 0)
    return Allotment(allotment.limit, allotment.reserved - held, allotment.spent + cost)


def _given_back(run: Run) -> tuple[Fund, ...]:
    """Give back to the shared budgets what the run did not need; the latest top-up is given back first."""
    left = run.allotment.limit - run.allotment.spent
    funds: list[Fund] = []
    budgets = [fund.budget for fund in run.funds]
    for at, fund in enumerate(run.funds):
        later = sum(other.taken for other in run.funds[at + 1 :] if other.budget == fund.budget)
        overspent = left < 0 and fund.budget not in budgets[:at]
        back = left if overspent else max(min(left - later, fund.taken), 0)
        funds.append(replace(fund, returned=back))
    return tuple(funds)


def apply_move(run: Run, move: Move, at: Instant) -> Run:
    """Fold one step move of the event that makes the run's current version."""
    known = run.steps.get(move.step)
    before = known if known is not None else Step(name=move.step, status=StepStatus.PENDING)
    if known is None and is_undo(move.step):
        run = _spendable(run, undone_by(move.step))
    if move.aside and run.closed is None:
        run = _reserving(run, move.aside)
    new_attempt = move.attempt != before.attempt
    tree_before, tree_after, tree = _workspaces(run, before, move)
    step = Step(
        name=move.step,
        status=move.to,
        attempt=move.attempt,
        epoch=max(move.epoch, before.epoch),
        claims=_claims(before, move),
        session=move.session,
        wait=move.wait,
        category=move.category,
        reason=move.reason,
        output_seq=run.version if move.output else before.output_seq,
        output_digest=move.output_digest or before.output_digest,
        input_digest=move.input_digest or before.input_digest,
        tree_before=tree_before,
        tree_after=tree_after,
        iteration=move.iteration or before.iteration,
        fallback=move.fallback or before.fallback,
        since=at,
        call=move.call,
        feedback=_feedback(before, move) if new_attempt else before.feedback,
        trail=continued(before, move.to, at),
        aside=before.aside + move.aside,
        joined=move.merged or before.joined,
        refused=before.refused,
        seq=run.version,
        standing=_standing(move),
    )
    over = move.to in ENDED or step.fallback != before.fallback
    reviewed = (*run.reviewed, move.attests) if move.attests else run.reviewed
    base_tree = tree if move.step == CONTEXT and move.to is StepStatus.SUCCEEDED else run.base_tree
    run = replace(
        run,
        steps={**run.steps, move.step: step},
        tree=tree,
        base_tree=base_tree,
        reviewed=reviewed,
        tally=counted(run.tally, known, step),
    )
    return _withdrawn(run, move.step) if over and run.tally.open_calls else run


def _standing(move: Move) -> Standing | None:
    if move.to is not StepStatus.BLOCKED:
        return None
    return move.standing or read_standing(move.reason, move.category)


def _spendable(run: Run, undone: str) -> Run:
    """A compensation begins: what was set aside for it is now its to spend, and nothing else goes on."""
    step = run.steps.get(undone)
    if step is None or not step.aside:
        return run
    if run.closed is None:
        run = _reserving(run, -step.aside)
    return replace(run, steps={**run.steps, undone: replace(step, aside=0)})


def _workspaces(run: Run, before: Step, move: Move) -> tuple[str | None, str, str]:
    """Tell with which tree a step's attempt began, the last one that it made, and the run's newest."""
    new_attempt = move.attempt != before.attempt
    if not run.lines:
        tree = _restored(run, before) if new_attempt else run.tree
        began = None if new_attempt else before.tree_before
        began = tree if began is None and move.to is StepStatus.RUNNING else began
        return began, "" if new_attempt else before.tree_after, tree
    if before.tree_before is None:
        if move.tree is None and move.to not in (StepStatus.READY, StepStatus.RUNNING, StepStatus.SUCCEEDED):
            return None, "", run.tree
        tree = run.tree if move.tree is None else move.tree
        return tree, "", tree
    if move.tree is not None:
        return before.tree_before, move.tree, move.tree
    if not new_attempt:
        return before.tree_before, before.tree_after, run.tree
    kept = _kept(run, before)
    newest = before.tree_after and before.tree_after == run.tree
    return before.tree_before, kept, (kept or before.tree_before) if newest else run.tree


def _kept(run: Run, step: Step) -> str:
    """Find the tree with which a new attempt begins: what it did outside is not done again, so its workspace stays."""
    stands = [
        call
        for call in run.calls.values()
        if call.step == step.name and call.tree and call.effect in WRITES and call.state is CallState.DONE
    ]
    return max(stands, key=lambda call: call.outcome_seq).tree if stands else ""


def _restored(run: Run, before: Step) -> str:
    """Find the tree that a new attempt begins with: as before the last one, unless another step wrote since."""
    if before.tree_before is None or before.tree_after != run.tree:
        return run.tree
    return before.tree_before if before.tree_after else run.tree


def _feedback(before: Step, move: Move) -> str:
    """Say why the last attempt failed: it was blocked with that reason, or this move says it."""
    return before.reason if before.category is not None else move.reason


def _claims(before: Step, move: Move) -> int:
    if move.to is StepStatus.RUNNING:
        return before.claims + 1
    return before.claims if move.to is StepStatus.READY and move.attempt == before.attempt else 0


def _withdrawn(run: Run, step: str) -> Run:
    """Actions that never began can begin no more once their step is over or in other hands."""
    calls = dict(run.calls)
    for key in run.tally.open_calls:
        call = calls[key]
        if call.step == step and call.state in (CallState.HELD, CallState.GRANTED):
            calls[key] = replace(call, state=CallState.CANCELED, category=ErrorCategory.CANCELED)
    still_open = tuple(key for key in run.tally.open_calls if calls[key].state in OPEN)
    return replace(run, calls=calls, tally=replace(run.tally, open_calls=still_open))
