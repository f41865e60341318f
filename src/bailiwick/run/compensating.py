"""Compensating: a run is rolled back: what it did is undone, the last first, each by a step instance of its own."""

from bailiwick.base import Refusal
from bailiwick.plan import UNDO, NodeKind, Plan
from bailiwick.run.commands import Resolve, Rollback
from bailiwick.run.events import Event, Move, RollbackRequested, StepsMoved
from bailiwick.run.hanging import WRITES, blocked_unknown, lose_calls, open_calls
from bailiwick.run.naming import is_turn, is_undo, node_id, parent_of, undone_by
from bailiwick.run.opening import BY_HAND, QUESTION, opened
from bailiwick.run.refusals import NoSuchAction, NotAllowed, OutcomeUnknown, PastPivot
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import Run
from bailiwick.run.states import UNSETTLED, CallState, Phase, Status, StepStatus

DONE_BY_HAND = "done by hand: "
_UNDOABLE = (StepStatus.SUCCEEDED, StepStatus.COMPENSATED)
_ROLLS_BACK = (Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.BLOCKED)


def roll_back(run: Run, plan: Plan, command: Rollback, sight: Sight) -> tuple[Event, ...]:
    """Somebody asks that what a run did be undone.

    Raises:
        NotAllowed: It is on its way, or was rolled back or is being rolled back already.
        PastPivot: The point of no return is passed.
        OutcomeUnknown: Whether it is passed is not known yet.
    """
    if run.phase is Phase.COMPENSATING or run.status not in _ROLLS_BACK:
        state = "being rolled back" if run.phase is Phase.COMPENSATING and run.closed is None else run.status
        raise NotAllowed(command="rollback", state=state, run=run.id)
    for name in _pivots(run, plan):
        if run.steps[name].status is StepStatus.SUCCEEDED:
            raise PastPivot(run=run.id, step=name)
        for call in run.calls.values():
            if call.step != name or call.effect not in WRITES:
                continue
            if call.state is CallState.DONE:
                raise PastPivot(run=run.id, step=name)
            if call.state in UNSETTLED:
                raise OutcomeUnknown(run=run.id, step=name, key=call.key, capability=call.capability)
    return (RollbackRequested(sight.at, command.by, command.reason),)


def _pivots(run: Run, plan: Plan) -> list[str]:
    forward = [name for name in run.steps if not name.startswith("$") and not is_undo(name)]
    return [name for name in forward if plan.node(node_id(name)).pivot]


def unwind(run: Run, plan: Plan, sight: Sight) -> Move | None:
    """Find the next move of a rollback; None while a compensation goes on, and once nothing is left to undo."""
    for step in run.steps.values():
        if is_undo(step.name) and step.status is StepStatus.SUCCEEDED:
            undone = run.steps[undone_by(step.name)]
            if undone.status is not StepStatus.COMPENSATED:
                reason = f"undone by {step.name}"
                return Move(undone.name, StepStatus.COMPENSATED, attempt=undone.attempt, reason=reason)
    if run.tally.unfinished:
        return None
    landed = effects(run, plan)
    for name in run.steps:
        named = not is_undo(name) and _owner(plan, name) == name and _undoing(plan, name)
        if named and name not in landed and name + UNDO not in run.steps:
            return Move(name + UNDO, StepStatus.SKIPPED, reason=f"nothing to undo: {name} never happened")
    for name in sorted(landed, key=landed.__getitem__, reverse=True):
        if name + UNDO not in run.steps:
            return open_undo(run, plan, name, sight)
    return None


def effects(run: Run, plan: Plan) -> dict[str, int]:
    """List the step instances that have something to undo, each with the event in which it came to rest.

    That is: what has a compensation and succeeded, and whatever did a write, though it failed afterwards. What
    happened inside a block with a compensation is the block's.
    """
    found: dict[str, int] = {}
    for step in run.steps.values():
        name = step.name
        due = not is_undo(name) and step.status in _UNDOABLE and _undoing(plan, name)
        if due and _owner(plan, name) == name:
            found[name] = 0
    for call in run.calls.values():
        if call.effect in WRITES and call.state is CallState.DONE and not is_undo(call.step):
            owner = _owner(plan, call.step)
            found[owner] = max(found.get(owner, 0), call.outcome_seq)
    for step in run.steps.values():
        owner = _owner(plan, step.name) if not is_undo(step.name) else ""
        if owner in found:
            found[owner] = max(found[owner], step.output_seq)
    return found


def _owner(plan: Plan, name: str) -> str:
    """Name the instance by which one is undone: the outermost block around it that has a compensation, or itself."""
    owner = name
    outer = parent_of(name)
    while outer:
        if plan.node(node_id(outer)).kind is NodeKind.BLOCK and plan.compensation(node_id(outer)) is not None:
            owner = outer
        outer = parent_of(outer)
    return owner


def _undoing(plan: Plan, name: str) -> bool:
    """Whether the plan says how to undo this instance; of a repeated single step each turn is undone by itself."""
    if name.startswith("$") or plan.compensation(node_id(name)) is None:
        return False
    node = plan.node(node_id(name))
    return node.kind is NodeKind.BLOCK or node.repeat is None or is_turn(name)


def open_undo(run: Run, plan: Plan, name: str, sight: Sight) -> Move:
    """Open the compensation of an instance; a person does it where the plan names none, or its tool is gone."""
    undoing = plan.compensation(node_id(name)) if _undoing(plan, name) else None
    if undoing is None:
        reason = f"the plan names no compensation for what {name} did; {BY_HAND}"
        return Move(name + UNDO, StepStatus.BLOCKED, reason=reason, standing=QUESTION)
    try:
        _ = sight.contracts[undoing.uses]
    except Refusal as gone:
        standing = Standing(StandingKind.CAPABILITY, undoing.uses)
        return Move(name + UNDO, StepStatus.BLOCKED, reason=f"{gone.message}; {BY_HAND}", standing=standing)
    return opened(run, plan, undoing, name + UNDO, sight)


def by_hand(run: Run, command: Resolve, sight: Sight) -> tuple[Event, ...]:
    """A person says that a compensation which could not be done was done by hand; `key` names its step.

    Raises:
        NoSuchAction: There is no such compensation.
        OutcomeUnknown: What its own action did must be said first.
        NotAllowed: It is not blocked, or the person says that it was not done.
    """
    step = run.steps.get(command.key)
    if step is None:
        raise NoSuchAction(run=run.id, key=command.key)
    if step.status is not StepStatus.BLOCKED or command.state is not CallState.DONE:
        raise NotAllowed(command="resolve", state=step.status, run=run.id, of=step.name)
    for call in open_calls(run, step.name):
        if call.state is CallState.UNKNOWN:
            raise OutcomeUnknown(run=run.id, step=step.name, key=call.key, capability=call.capability)
    lost, unknown = lose_calls(run, step, sight, over=True)
    if unknown:
        return (StepsMoved(sight.at, (blocked_unknown(step),)), *lost)
    reason = f"{DONE_BY_HAND}{command.by}" + (f": {command.reason}" if command.reason else "")
    done = Move(step.name, StepStatus.SUCCEEDED, attempt=step.attempt, reason=reason)
    return (StepsMoved(sight.at, (done,)), *lost)
