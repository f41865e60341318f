"""The walk: after each fact, the moves that follow from the plan, until nothing more follows."""

from typing import Any

from msgspec.structs import replace

from bailiwick.base import Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.plan import Node, NodeKind, OnError, Plan, holds, resolve
from bailiwick.run.events import Closed, Move
from bailiwick.run.evolve import apply_move, derive_status
from bailiwick.run.sight import Sight, Start
from bailiwick.run.state import CONTEXT, PLAN, Run, Step
from bailiwick.run.states import ENDED, PASSED, UNSETTLED, Status, StepStatus
from bailiwick.run.values import values_for

SYSTEM_CONTEXT = "system.context@1.0.0"


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
    if doomed(run, plan):
        return _wind_down(run)
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
    return _scope(run, plan, "", plan.children(""), sight)


def doomed(run: Run, plan: Plan) -> bool:
    """Whether the run can only end: it was asked to, or a step on its top level has failed for good."""
    if run.ending:
        return True
    names = (CONTEXT, PLAN, *(node.id for node in plan.children("")))
    return any(_status(run, name) in (StepStatus.FAILED, StepStatus.CANCELED) for name in names)


def _wind_down(run: Run) -> Move | None:
    for step in run.steps.values():
        if step.status in ENDED or unsettled(run, step.name):
            continue
        if step.status is StepStatus.RUNNING and step.epoch > 0:
            continue
        if step.status is StepStatus.RUNNING and _busy_below(run, step.name):
            continue
        return Move(step.name, StepStatus.CANCELED, attempt=step.attempt, category=ErrorCategory.CANCELED)
    return None


def _busy_below(run: Run, name: str) -> bool:
    return any(
        step.name.startswith((f"{name}.", f"{name}[")) and step.status not in ENDED
        for step in run.steps.values()
    )


def unsettled(run: Run, step: str) -> bool:
    """Whether an action of the step is on its way or has an unknown outcome."""
    return any(call.step == step and call.state in UNSETTLED for call in run.calls.values())


def _closing(run: Run, plan: Plan, sight: Sight) -> Closed | None:
    if run.closed is not None:
        return None
    if doomed(run, plan):
        if any(step.status not in ENDED for step in run.steps.values()):
            return None
        return _end_of_doom(run, sight)
    top = plan.children("")
    if all(_status(run, node.id) in PASSED for node in top) and _status(run, PLAN) in PASSED:
        return Closed(sight.at, Status.COMPLETED)
    return None


def _end_of_doom(run: Run, sight: Sight) -> Closed:
    if run.cancel_requested:
        return Closed(
            sight.at, Status.CANCELED, ErrorCategory.CANCELED, reason=f"canceled by {run.cancel_requested}"
        )
    if run.expired:
        return Closed(sight.at, Status.FAILED, ErrorCategory.TIMEOUT, reason="the run's deadline passed")
    failed = next(step for step in run.steps.values() if step.status is StepStatus.FAILED)
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
        return Move(PLAN, StepStatus.SUCCEEDED, reason="the workflow's own text is the brief")
    contract = sight.contracts[plan.planner]
    return _judged(run, PLAN, StepStatus.READY, contract.ref, {"planner": plan.planner}, sight)


def _scope(run: Run, plan: Plan, prefix: str, nodes: tuple[Node, ...], sight: Sight) -> Move | None:
    """Find the next move among sibling nodes: first what goes on inside them, then what may open."""
    for node in nodes:
        step = run.steps.get(prefix + node.id)
        if step is not None and step.status is StepStatus.RUNNING and step.epoch == 0:
            move = _container(run, plan, node, step, sight)
            if move is not None:
                return move
    if any(_status(run, prefix + node.id) in (StepStatus.FAILED, StepStatus.CANCELED) for node in nodes):
        return None
    for node in nodes:
        if prefix + node.id not in run.steps and all(
            _status(run, prefix + dep) in PASSED for dep in node.after
        ):
            return _open(run, plan, node, prefix + node.id, sight)
    return None


def _open(run: Run, plan: Plan, node: Node, name: str, sight: Sight) -> Move:
    if node.when:
        try:
            wanted = holds(node.when, values_for(run, plan, name, (node.when,), None, sight))
        except Refusal as refusal:
            return Move(name, StepStatus.FAILED, category=ErrorCategory.INTERNAL, reason=str(refusal))
        if not wanted:
            return Move(name, StepStatus.SKIPPED, when=False)
    when = True if node.when else None
    if node.repeat is not None or node.kind is NodeKind.BLOCK:
        return Move(name, StepStatus.RUNNING, when=when, iteration=1 if node.repeat else 0)
    return replace(open_leaf(run, plan, node, name, sight), when=when)


def open_leaf(run: Run, plan: Plan, node: Node, name: str, sight: Sight, *, fallback: bool = False) -> Move:
    """Resolve a step's input, hold it to the contract, and judge its start."""
    contract = sight.contracts[node.fallback if fallback else node.uses]
    try:
        given = input_of(run, plan, node, name, sight)
    except Refusal as refusal:
        return Move(name, StepStatus.FAILED, category=ErrorCategory.INVALID_OUTPUT, reason=str(refusal))
    errors = validator_for(contract.input).errors(given)
    if errors:
        detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:3])
        return Move(
            name,
            StepStatus.FAILED,
            category=ErrorCategory.INVALID_OUTPUT,
            reason=f"the input does not fit {contract.ref}: {detail}",
        )
    return _judged(run, name, StepStatus.READY, contract.ref, given, sight)


def input_of(run: Run, plan: Plan, node: Node, name: str, sight: Sight) -> dict[str, Any]:
    """Resolve a step's input from recorded values; the same bytes each time it is asked."""
    value = resolve(node.input, values_for(run, plan, name, (), node.input, sight))
    assert isinstance(value, dict), "an input template is an object"
    return value


def _judged(run: Run, name: str, to: StepStatus, ref: str, given: dict[str, Any], sight: Sight) -> Move:
    contract = sight.contracts[ref]
    digest = digest_of(canonical(given))
    verdict = sight.judge(Start(run.id, name, contract, digest))
    if verdict.effect != "allow":
        return Move(
            name,
            StepStatus.FAILED,
            category=ErrorCategory.DENIED,
            reason="; ".join(verdict.reasons) or "policy does not allow this step to start",
            policies=verdict.policies,
            policy_version=verdict.version,
        )
    return Move(
        name,
        to,
        input_digest=digest,
        served=contract.ref,
        policies=verdict.policies,
        policy_version="" if verdict.version == run.policy_version else verdict.version,
    )


def _container(run: Run, plan: Plan, node: Node, step: Step, sight: Sight) -> Move | None:
    turn = f"{step.name}[{step.iteration}]" if node.repeat is not None else step.name
    if node.kind is NodeKind.BLOCK:
        children = plan.children(node.id)
        move = _scope(run, plan, f"{turn}.", children, sight)
        names = [f"{turn}.{child.id}" for child in children]
    else:
        move = None if turn in run.steps else open_leaf(run, plan, node, turn, sight)
        names = [turn]
    if move is not None:
        return move
    states = [_status(run, name) for name in names]
    if StepStatus.FAILED in states or StepStatus.CANCELED in states:
        quiet = all(state in (*ENDED, StepStatus.PENDING) for state in states)
        return _container_failed(run, node, step, names) if quiet else None
    if any(state not in PASSED for state in states):
        return None
    return _turn_passed(run, plan, node, step, names[-1], sight)


def _container_failed(run: Run, node: Node, step: Step, names: list[str]) -> Move:
    failed = next(
        run.steps[name] for name in names if _status(run, name) in (StepStatus.FAILED, StepStatus.CANCELED)
    )
    reason = f"{failed.name}: {failed.reason}"
    if node.on_error is OnError.HUMAN:
        return Move(
            step.name, StepStatus.BLOCKED, category=failed.category, reason=f"a person must decide: {reason}"
        )
    return Move(step.name, StepStatus.FAILED, category=failed.category, reason=reason)


def _turn_passed(run: Run, plan: Plan, node: Node, step: Step, last: str, sight: Sight) -> Move:
    if node.repeat is None:
        return Move(step.name, StepStatus.SUCCEEDED)
    reader = f"{step.name}[{step.iteration}].{node.id}"
    try:
        done = holds(node.repeat.until, values_for(run, plan, reader, (node.repeat.until,), None, sight))
    except Refusal as refusal:
        return Move(step.name, StepStatus.FAILED, category=ErrorCategory.INTERNAL, reason=str(refusal))
    if done:
        return Move(step.name, StepStatus.SUCCEEDED, until=True, iteration=step.iteration)
    if step.iteration >= node.repeat.max:
        return Move(
            step.name,
            StepStatus.FAILED,
            category=ErrorCategory.EXHAUSTED,
            until=False,
            reason=f"still not done after {step.iteration} turns (last: {last})",
        )
    return Move(step.name, StepStatus.RUNNING, until=False, iteration=step.iteration + 1)
