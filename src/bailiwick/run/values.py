"""What references and conditions of a plan see: the intent, the context, the brief, outputs of steps."""

from typing import Any

from bailiwick.base import Json, canonical, digest_of
from bailiwick.plan import (
    Node,
    Plan,
    Reference,
    UnresolvedReference,
    identifiers,
    references_in,
    resolve,
    variables_in,
)
from bailiwick.run.naming import (
    current_instance,
    last_turn,
    node_id,
    parent_of,
    previous_turn,
    undone_by,
)
from bailiwick.run.refusals import AnswerLacking
from bailiwick.run.sight import Sight
from bailiwick.run.state import CONTEXT, PLAN, Run, Step
from bailiwick.run.states import StepStatus

INTENT_SEQ = 1


def input_of(run: Run, plan: Plan, node: Node, name: str, sight: Sight) -> dict[str, Any]:
    """Resolve a step's input from recorded values, to be read alone; the same bytes each time it is asked."""
    if plan.is_constant(node.id):
        return node.input
    value = resolve(node.input, values_for(run, plan, name, (), node.input, sight))
    assert isinstance(value, dict), "an input template is an object"
    return value


def values_for(
    run: Run, plan: Plan, reader: str, texts: tuple[str, ...], template: Json, sight: Sight
) -> dict[str, Any]:
    """Gather the values that an input template and conditions of one instance read, and no others.

    Args:
        run: The state.
        plan: Its plan.
        reader: The instance whose template or condition is evaluated.
        texts: CEL conditions.
        template: An input template with references.
        sight: Where recorded payloads are read.
    """
    references = [located.reference for located in references_in(template)]
    roots, ids, previous = _wanted(plan, texts, references)
    undone = [str(each.path[0]) for each in references if each.path[1:2] == ("input",)]
    read = [(each.root, str(each.path[0])) for each in references if each.path[1:2] == ("output",)]
    values: dict[str, Any] = {"intent": {}, "context": {}, "brief": {}, "steps": {}, "previous": {}}
    if "intent" in roots:
        values["intent"] = sight.payload(INTENT_SEQ)["intent"]
    if "context" in roots:
        values["context"] = output_of(run.steps.get(CONTEXT), sight) or {}
    if "brief" in roots:
        values["brief"] = brief_of(run, plan, sight)
    for id in ids:
        name = current_instance(run, plan, id, reader)
        if ("steps", id) in read:
            _require_answer(run, name)
        values["steps"][id] = _seen(run, name, sight)
        if id in undone:
            values["steps"][id]["input"] = _given(run, plan, undone_by(reader), sight)
    turn = previous_turn(reader)
    for id in previous:
        name = last_turn(run, plan.node(id), turn.child(id).name) if turn is not None else ""
        if ("previous", id) in read:
            _require_answer(run, name)
        values["previous"][id] = _seen(run, name, sight)
    return values


def lacking(run: Run, plan: Plan, reader: str, text: str) -> AnswerLacking | None:
    """Say which of the outputs that a condition may read is not known; None when all are."""
    _, ids, _ = _wanted(plan, (text,), [])
    for id in ids:
        try:
            _require_answer(run, current_instance(run, plan, id, reader))
        except AnswerLacking as lack:
            return lack
    return None


def _require_answer(run: Run, name: str) -> None:
    """Hold that what a step answered is known.

    Raises:
        AnswerLacking: Its action is done, and nobody knows what it answered.
    """
    step = run.steps.get(name)
    if step is None or not _unanswered(run, step):
        return
    key = next(call.key for call in run.calls.values() if call.step == name and call.unanswered)
    raise AnswerLacking(run=run.id, step=name, key=key)


def _unanswered(run: Run, step: Step) -> bool:
    if step.status is not StepStatus.SUCCEEDED or step.output_seq:
        return False
    return any(call.step == step.name and call.unanswered for call in run.calls.values())


def _given(run: Run, plan: Plan, name: str, sight: Sight) -> dict[str, Any]:
    """Find again what a step was given; it must be what was recorded when the step became ready."""
    given = input_of(run, plan, plan.node(node_id(name)), name, sight)
    if digest_of(canonical(given)) != run.steps[name].input_digest:
        raise UnresolvedReference(
            f"$.steps.{node_id(name)}.input", "it no longer reads as recorded", "/input"
        )
    return given


def output_of(step: Step | None, sight: Sight) -> Json:
    """Read a step's recorded output; None when it has none."""
    if step is None or step.output_seq == 0:
        return None
    return sight.payload(step.output_seq)["output"]


def brief_of(run: Run, plan: Plan, sight: Sight) -> dict[str, Any]:
    """Read the brief: the planner's, or the one that the workflow's own text makes."""
    brief = output_of(run.steps.get(PLAN), sight)
    return dict(brief) if brief is not None else own_brief(plan)


def own_brief(plan: Plan) -> dict[str, Any]:
    """Make the brief of a workflow that has no planner, from its own text."""
    return {
        "objective": plan.objective,
        "steps": [node.id for node in plan.children("")],
        "constraints": list(plan.constraints),
    }


def _wanted(
    plan: Plan, texts: tuple[str, ...], references: list[Reference]
) -> tuple[list[str], list[str], list[str]]:
    roots: list[str] = []
    ids: list[str] = []
    previous: list[str] = []
    for reference in references:
        roots.append(reference.root)
        if reference.root == "steps":
            ids.append(str(reference.path[0]))
        if reference.root == "previous":
            previous.append(str(reference.path[0]))
    for text in texts:
        roots += variables_in(text)
        read = identifiers(text)
        ids += [node.id for node in plan.nodes] if read is None else read
    return roots, ids, previous


def _seen(run: Run, name: str, sight: Sight) -> dict[str, Any]:
    """Show a step as templates and conditions see it; what lies in something skipped was skipped with it."""
    step = run.steps.get(name)
    if step is not None and _unanswered(run, step):
        return {"status": str(step.status)}
    if step is not None:
        return {"output": output_of(step, sight), "status": str(step.status)}
    while name and step is None:
        name = parent_of(name)
        step = run.steps.get(name)
    skipped = step is not None and step.status is StepStatus.SKIPPED
    return {"output": None, "status": str(StepStatus.SKIPPED if skipped else StepStatus.PENDING)}
