"""What a plan must not be: every check that the compiler makes, each with its own code and place."""

from bailiwick.plan.findings import Finding
from bailiwick.plan.order import Order
from bailiwick.plan.reach import Reach, loop_faults, never_true
from bailiwick.plan.reader import child
from bailiwick.plan.references import InvalidTemplate, parse_reference
from bailiwick.plan.resolution import Resolution
from bailiwick.plan.source import Step, Workflow, walk

MAX_PARALLEL = 3
MAX_TURNS = 20
MAX_INSTANCES = 5000
"""How many step instances all loops of a plan may come to."""


def check(
    workflow: Workflow, resolution: Resolution, budget_micro_usd: int | None
) -> tuple[Order, list[Finding]]:
    """Put the steps in order, and list all that is wrong with them."""
    steps = walk(workflow.steps)
    findings = _duplicates(workflow, steps)
    parents = _parents(steps)
    after, unknown = _after(steps, parents)
    findings += unknown
    order = Order(steps, parents, after)
    findings += _order_faults(order)
    reach = Reach(workflow, order, resolution)
    for item in workflow.context:
        findings += reach.input_faults(item.input, item.uses, -1, child(item.pointer, "input"))
    for at, step in enumerate(steps):
        findings += _step_faults(step, at, order, reach)
    findings += _size_faults(order)
    findings += _price_faults(order, resolution, budget_micro_usd)
    return order, findings


def _duplicates(workflow: Workflow, steps: tuple[Step, ...]) -> list[Finding]:
    found: list[Finding] = []
    for kind, items in (("context item", workflow.context), ("step", steps)):
        first: dict[str, str] = {}
        for item in items:
            if item.id in first:
                detail = f"the {kind} {item.id!r} exists already, at {first[item.id]}"
                found.append(Finding("duplicate_id", child(item.pointer, "id"), detail))
            first.setdefault(item.id, item.pointer)
    return found


def _parents(steps: tuple[Step, ...]) -> list[int]:
    """Find the block around each step by its pointer: `/steps/2/do/0` lies in `/steps/2`."""
    by_pointer = {step.pointer: at for at, step in enumerate(steps)}
    return [by_pointer.get(step.pointer.rpartition("/do/")[0], -1) for step in steps]


def _after(steps: tuple[Step, ...], parents: list[int]) -> tuple[dict[int, list[int]], list[Finding]]:
    """Find what each step waits for: what it names, else the sibling written before it."""
    found: dict[int, list[int]] = {}
    findings: list[Finding] = []
    last: dict[int, int] = {}
    for at, step in enumerate(steps):
        siblings = {other.id: i for i, other in enumerate(steps) if parents[i] == parents[at]}
        found[at] = [last[parents[at]]] if step.after is None and parents[at] in last else []
        for index, name in enumerate(step.after or ()):
            if name in siblings:
                found[at].append(siblings[name])
                continue
            exists = any(other.id == name for other in steps)
            detail = f"{name!r} is {'not beside this step' if exists else 'no step of this workflow'}"
            findings.append(Finding("unknown_step", child(child(step.pointer, "after"), index), detail))
        found[at] = list(dict.fromkeys(found[at]))
        last[parents[at]] = at
    return found, findings


def _order_faults(order: Order) -> list[Finding]:
    found: list[Finding] = []
    for cycle in order.cycles:
        names = " after ".join(order.steps[at].id for at in (*cycle, cycle[0]))
        found.append(Finding("cycle", child(order.steps[cycle[0]].pointer, "after"), names))
    for at in order.stuck:
        detail = "it waits for a cycle, so it never starts"
        found.append(Finding("unreachable", order.steps[at].pointer, detail))
    if found:
        return found
    for at, beside in order.parallel_siblings().items():
        if not order.steps[at].reason:
            names = ", ".join(order.steps[other].id for other in beside)
            detail = f"it runs in parallel with {names}; say why in 'reason'"
            found.append(Finding("parallel_without_reason", order.steps[at].pointer, detail))
    if order.width() > MAX_PARALLEL:
        detail = f"{order.width()} steps may run at once; at most {MAX_PARALLEL} do"
        found.append(Finding("too_parallel", "/steps", detail))
    return found


def _step_faults(step: Step, at: int, order: Order, reach: Reach) -> list[Finding]:
    found: list[Finding] = []
    for written in (step.uses, step.fallback):
        if written:
            found += reach.input_faults(step.input, written, at, child(step.pointer, "input"))
    if step.when:
        found += reach.condition_faults(step.when, at, child(step.pointer, "when"))
        if not found and never_true(step.when):
            found.append(Finding("unreachable", child(step.pointer, "when"), "this condition is never true"))
    if step.reviews:
        found += _review_faults(step, at, reach)
    found += loop_faults(step, at, order, reach, MAX_TURNS)
    found += _compensation_faults(step, at, order, reach)
    return list(dict.fromkeys(found))


def _compensation_faults(step: Step, at: int, order: Order, reach: Reach) -> list[Finding]:
    """A compensation reads what its step reads, and what the step itself was given and answered."""
    if step.compensate is None:
        return []
    pointer = child(step.pointer, "compensate")
    found = reach.input_faults(
        step.compensate.input, step.compensate.uses, at, child(pointer, "input"), undone=order.subtree[at]
    )
    block = order.parents[at]
    while block >= 0:
        if order.steps[block].compensate is not None:
            detail = f"the block {order.steps[block].id!r} around it is undone as a whole"
            found.append(Finding("unreachable", pointer, detail))
        block = order.parents[block]
    return found


def _review_faults(step: Step, at: int, reach: Reach) -> list[Finding]:
    pointer = child(step.pointer, "reviews")
    try:
        reference = parse_reference(step.reviews)
    except InvalidTemplate as refusal:
        return [Finding("unresolved_reference", pointer, refusal.message)]
    found = reach.reference_faults(reference, at, pointer)
    types = () if found else reach.types(reference)
    if types and "string" not in types:
        found.append(Finding("does_not_fit", pointer, f"{reference} is no digest but {' or '.join(types)}"))
    return found


def _size_faults(order: Order) -> list[Finding]:
    turns = [1] * len(order.steps)
    for at, step in enumerate(order.steps):
        outer = turns[order.parents[at]] if order.parents[at] >= 0 else 1
        turns[at] = outer * (step.repeat.max or 1 if step.repeat else 1)
    total = sum(turns)
    if total <= MAX_INSTANCES:
        return []
    detail = f"the loops come to {total} step instances, over {MAX_INSTANCES}"
    return [Finding("unbounded_loop", "/steps", detail)]


def _price_faults(order: Order, resolution: Resolution, budget_micro_usd: int | None) -> list[Finding]:
    if budget_micro_usd is None:
        return []
    optional = 0
    total = 0
    for at, step in enumerate(order.steps):
        optional |= order.subtree[at] if step.when else 0
        contract = resolution.contracts.get(step.uses)
        if contract is not None and not optional >> at & 1:
            total += contract.price_micro_usd
        undoing = resolution.contracts.get(step.compensate.uses) if step.compensate is not None else None
        if step.compensate is not None and undoing is not None and not optional >> at & 1:
            total += undoing.price_micro_usd * step.compensate.retry.attempts
    if total <= budget_micro_usd:
        return []
    detail = f"the steps that surely run cost {total} micro-USD by their contracts; the budget is {budget_micro_usd}"
    return [Finding("over_allotment", "/steps", detail)]
