"""The walk: after each fact, the moves that follow from the plan, until nothing more follows."""

from msgspec.structs import replace

from bailiwick.base import Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Node, NodeKind, OnError, Plan, holds
from bailiwick.run.compensating import unwind
from bailiwick.run.events import Closed, Move
from bailiwick.run.evolve import apply_move
from bailiwick.run.joining import CHOSEN, Choice, begun, end_of, ending, in_conflict, run_end, settled
from bailiwick.run.opening import asked, judged, opened
from bailiwick.run.path import Path, path_of
from bailiwick.run.probing import due
from bailiwick.run.reserving import set_aside
from bailiwick.run.sight import Sight
from bailiwick.run.state import CONTEXT, END, PLAN, Run, Step
from bailiwick.run.states import ENDED, PASSED, UNSETTLED, Phase, Status, StepStatus
from bailiwick.run.status import derive_status, doomed, is_container
from bailiwick.run.values import lacking, own_brief, values_for

SYSTEM_CONTEXT = "system.context@1.0.0"
OWN_TEXT = "the workflow's own text is the brief"
BRIEF_EDITION = 3
_LOST = (StepStatus.FAILED, StepStatus.CANCELED)


def advance(run: Run, plan: Plan, sight: Sight) -> tuple[tuple[Move, ...], Closed | None, Run]:
    """Find all moves that follow from the state, and whether the run has come to its end.

    Returns:
        The moves in order, the closing fact if the run ends now, and the state after the moves.

    Raises:
        ContentNeeded: A payload must be read first.
    """
    moves: list[Move] = []
    while run.closed is None:
        move = _next(run, plan, sight)
        if move is None:
            break
        moves.append(move)
        run = apply_move(run, move, sight.at)
    run = replace(run, status=derive_status(run))
    return tuple(moves), _closing(run, plan, sight), run


def _next(run: Run, plan: Plan, sight: Sight) -> Move | None:
    probe = due(run, sight)
    if probe is not None:
        return probe
    if doomed(run):
        return _wind_down(run, None)
    if run.quarantine:
        return None
    if run.phase is Phase.COMPENSATING:
        return unwind(run, plan, sight)
    context = run.steps.get(CONTEXT)
    if context is None:
        return _open_context(plan)
    if context.status is not StepStatus.SUCCEEDED:
        return None
    brief = run.steps.get(PLAN)
    if brief is None:
        return _open_plan(run, plan, sight)
    if brief.status is not StepStatus.SUCCEEDED:
        return None
    move = _scope(run, plan, None, plan.children(""), sight)
    if move is not None or not run.lines or END in run.steps or not _all_passed(run, plan):
        return move
    end = run_end(run, plan, sight)
    return end if end.to is StepStatus.BLOCKED or end.tree != run.tree else None


def _all_passed(run: Run, plan: Plan) -> bool:
    if run.tally.unfinished:
        return False
    return all(_status(run, node.id) in PASSED for node in plan.children(""))


def unsettled(run: Run, step: str) -> bool:
    """Whether an action of the step is on its way or has an unknown outcome."""
    calls = (run.calls[key] for key in run.tally.open_calls)
    return any(call.step == step and call.state in UNSETTLED for call in calls)


def _wind_down(run: Run, outer: Path | None) -> Move | None:
    """Cancel what nobody holds and no action hangs on; what is held ends when its holder reports."""
    for step in run.steps.values():
        if step.status in ENDED or unsettled(run, step.name):
            continue
        if outer is not None and not path_of(step.name).inside(outer):
            continue
        if step.status is StepStatus.RUNNING and not is_container(step):
            continue
        if is_container(step) and _busy_below(run, step.name):
            continue
        return Move(step.name, StepStatus.CANCELED, attempt=step.attempt, category=ErrorCategory.CANCELED)
    return None


def _busy_below(run: Run, name: str) -> bool:
    outer = path_of(name)
    return any(step.status not in ENDED and path_of(step.name).inside(outer) for step in run.steps.values())


def _closing(run: Run, plan: Plan, sight: Sight) -> Closed | None:
    if run.closed is not None or run.tally.unfinished:
        return None
    if run.phase is Phase.COMPENSATING:
        return Closed(sight.at, Status.ROLLED_BACK, reason=f"rolled back by {run.rollback_requested}")
    if doomed(run):
        return _end_of_doom(run, sight)
    done = _status(run, PLAN) in PASSED and _all_passed(run, plan)
    return Closed(sight.at, Status.COMPLETED) if done else None


def _end_of_doom(run: Run, sight: Sight) -> Closed:
    if run.cancel_requested:
        return Closed(
            sight.at, Status.CANCELED, ErrorCategory.CANCELED, reason=f"canceled by {run.cancel_requested}"
        )
    if run.expired:
        return Closed(sight.at, Status.FAILED, ErrorCategory.TIMEOUT, reason="the run's deadline passed")
    failed = run.steps[run.tally.failed]
    return Closed(sight.at, Status.FAILED, failed.category, reason=f"{failed.name}: {failed.reason}")


def _status(run: Run, name: str) -> StepStatus:
    step = run.steps.get(name)
    return step.status if step is not None else StepStatus.PENDING


def _open_context(plan: Plan) -> Move:
    if plan.context:
        return Move(CONTEXT, StepStatus.READY, served=SYSTEM_CONTEXT)
    return Move(CONTEXT, StepStatus.SUCCEEDED, reason="no context to load")


def _open_plan(run: Run, plan: Plan, sight: Sight) -> Move:
    if not plan.planner:
        digest = digest_of(canonical(own_brief(plan))) if run.edition >= BRIEF_EDITION else ""
        return Move(PLAN, StepStatus.SUCCEEDED, reason=OWN_TEXT, output_digest=digest)
    return judged(run, PLAN, plan.planner, {"planner": plan.planner}, sight)


def _scope(run: Run, plan: Plan, outer: Path | None, nodes: tuple[Node, ...], sight: Sight) -> Move | None:
    """Find the next move among sibling nodes: first what goes on inside them, then what may open."""
    prefix = f"{outer.name}." if outer is not None else ""
    absent: list[Node] = []
    lost = False
    steps = run.steps
    for node in nodes:
        step = steps.get(prefix + node.id)
        if step is None:
            absent.append(node)
        elif is_container(step):
            move = _container(run, plan, node, step, sight)
            if move is not None:
                return move
        elif step.status in _LOST:
            lost = True
    if lost:
        return None
    for node in absent:
        if all(_status(run, prefix + dep) in PASSED for dep in node.after):
            return open_node(run, plan, node, prefix + node.id, sight)
    return None


def open_node(
    run: Run, plan: Plan, node: Node, name: str, sight: Sight, choice: Choice | None = None
) -> Move:
    """Open a node whose predecessors have passed: skip it, or begin the step, the block or the loop.

    `choice` is a person's, where its predecessors are in conflict.
    """
    if node.when:
        try:
            wanted = holds(node.when, values_for(run, plan, name, (node.when,), None, sight))
        except Refusal as refusal:
            return asked(node, _undecided(run, plan, name, node.when, refusal))
        if not wanted:
            return Move(name, StepStatus.SKIPPED, when=False)
    when = True if node.when else None
    if has_inside(node):
        move = Move(name, StepStatus.RUNNING, when=when, iteration=1 if node.repeat else 0)
        move = set_aside(run, plan, move, sight) if node.kind is NodeKind.BLOCK else move
        return begun(run, plan, move, sight, choice)
    return replace(opened(run, plan, node, name, sight, choice=choice), when=when)


def _undecided(run: Run, plan: Plan, reader: str, text: str, refusal: Refusal) -> Move:
    """Fail what a condition could not be decided for; the reason names an answer that is lacking, if one is."""
    lack = lacking(run, plan, reader, text)
    if lack is None:
        return Move(reader, StepStatus.FAILED, category=ErrorCategory.INTERNAL, reason=str(refusal))
    reason = f"{lack.message}; {lack.remedy}"
    return Move(reader, StepStatus.FAILED, category=ErrorCategory.TOOL_FAILED, reason=reason)


def has_inside(node: Node) -> bool:
    """Whether the node is a block or a loop: its instance holds others and is in nobody's hands."""
    return node.repeat is not None or node.kind is NodeKind.BLOCK


def _container(run: Run, plan: Plan, node: Node, step: Step, sight: Sight) -> Move | None:
    """Find the next move inside a block or loop: what goes on in this turn, its failure, or its end."""
    path = path_of(step.name)
    turn = path.at(step.iteration) if node.repeat is not None else path
    children = plan.children(node.id) if node.kind is NodeKind.BLOCK else ()
    inside = f"{turn.name}."
    names = [inside + child.id for child in children] if children else [turn.name]
    states = [_status(run, name) for name in names]
    lost = any(state in _LOST for state in states)
    move: Move | None = None
    if lost and node.on_error is not OnError.HUMAN:
        move = _wind_down(run, turn)
    elif children:
        move = _scope(run, plan, turn, children, sight)
    elif turn.name not in run.steps:
        move = opened(run, plan, node, turn.name, sight)
    if move is not None:
        return move
    if lost:
        quiet = all(state in (*ENDED, StepStatus.PENDING) for state in states)
        return _container_failed(run, node, step, names) if quiet else None
    if any(state not in PASSED for state in states):
        return None
    return turn_passed(run, plan, node, step, sight)


def _container_failed(run: Run, node: Node, step: Step, names: list[str]) -> Move:
    lost = [run.steps[name] for name in names if _status(run, name) in _LOST]
    cause = min(lost, key=lambda member: member.status is not StepStatus.FAILED)
    reason = f"{cause.name}: {cause.reason}"
    return asked(node, Move(step.name, StepStatus.FAILED, category=cause.category, reason=reason))


def turn_passed(
    run: Run, plan: Plan, node: Node, step: Step, sight: Sight, choice: Choice | None = None
) -> Move:
    """End a block, or a loop's turn and perhaps the loop, with the workspace that its last steps left.

    `choice` is a person's, where they are in conflict.
    """
    if not run.lines:
        return _turn_ended(run, plan, node, step, sight)
    if choice is not None and choice.tree:
        return replace(_turn_ended(run, plan, node, step, sight), tree=choice.tree, merged=(CHOSEN,))
    path = path_of(step.name)
    turn = path.at(step.iteration) if node.repeat else path
    children = plan.children(node.id) if node.kind is NodeKind.BLOCK else ()
    joined = ending(run, plan, turn, children, sight, choice.take if choice is not None else "")
    if choice is not None:
        tree = settled(run, step.name, joined)
        return replace(_turn_ended(run, plan, node, step, sight), tree=tree, merged=(CHOSEN,))
    if joined.conflicts:
        return in_conflict(run, Move(step.name, StepStatus.BLOCKED), joined)
    left = None if joined.tree == end_of(step) else joined.tree
    return replace(_turn_ended(run, plan, node, step, sight), tree=left, merged=joined.sources)


def _turn_ended(run: Run, plan: Plan, node: Node, step: Step, sight: Sight) -> Move:
    if node.repeat is None:
        return Move(step.name, StepStatus.SUCCEEDED)
    reader = path_of(step.name).at(step.iteration).child(node.id).name
    failed = Move(step.name, StepStatus.FAILED)
    try:
        done = holds(node.repeat.until, values_for(run, plan, reader, (node.repeat.until,), None, sight))
    except Refusal as refusal:
        undecided = _undecided(run, plan, reader, node.repeat.until, refusal)
        return asked(node, replace(undecided, step=step.name))
    if done:
        return Move(step.name, StepStatus.SUCCEEDED, until=True, iteration=step.iteration)
    if step.iteration < node.repeat.max:
        return Move(step.name, StepStatus.RUNNING, until=False, iteration=step.iteration + 1)
    turn = path_of(step.name).at(step.iteration)
    last = plan.children(node.id)[-1].id if node.kind is NodeKind.BLOCK else ""
    told = turn.child(last).name if last else turn.name
    reason = f"still not done after {step.iteration} turns (last: {told})"
    return asked(node, replace(failed, category=ErrorCategory.EXHAUSTED, until=False, reason=reason))
