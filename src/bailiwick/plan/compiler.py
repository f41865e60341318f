"""The compiler: from a workflow to the plan that a run executes, or to all the reasons why not."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from bailiwick.base import canonical
from bailiwick.plan.brief import Brief, normal_phrase
from bailiwick.plan.checks import check
from bailiwick.plan.findings import Finding, PlanRefused
from bailiwick.plan.graph import UNDO, ContextItem, Node, NodeKind, OnError, Plan, Repeat
from bailiwick.plan.order import Order
from bailiwick.plan.reader import child
from bailiwick.plan.resolution import Catalogue, Resolution, resolve_capabilities
from bailiwick.plan.rules import RuleBook, UnknownConstraint
from bailiwick.plan.source import CompensationSource, Workflow


class _Job(msgspec.Struct, frozen=True):
    """All that a plan depends on; two jobs with the same key compile to the same plan."""

    key: bytes
    workflow: Workflow
    resolution: Resolution
    constraints: tuple[tuple[str, str], ...]
    objective: str
    budget_micro_usd: int | None

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Job) and self.key == other.key


class _Given:
    """A workflow and what it may use, known again by identity: hashing them costs more than what is remembered."""

    def __init__(self, workflow: Workflow, catalogue: Catalogue) -> None:
        self.workflow = workflow
        self.catalogue = catalogue

    def __hash__(self) -> int:
        return hash((id(self.workflow), id(self.catalogue)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Given)
            and self.workflow is other.workflow
            and self.catalogue is other.catalogue
        )


def compile_workflow(
    workflow: Workflow,
    catalogue: Catalogue,
    rules: RuleBook,
    intent_constraints: Iterable[str] = (),
    *,
    objective: str = "",
    budget_micro_usd: int | None = None,
) -> Plan:
    """Turn a workflow into a plan, or say everything that is wrong with it.

    Args:
        workflow: As `parse_workflow` read it.
        catalogue: Name -> version -> contract of all that the app may use.
        rules: The app's rule book.
        intent_constraints: The constraints of the intent; the workflow's own are added.
        objective: What the intent is for; the workflow's summary when empty.
        budget_micro_usd: The intent's budget; the fixed prices of steps that surely run must fit into it.

    Raises:
        PlanRefused: `facts["findings"]` lists {code, pointer, detail}; pointers lead into the workflow, or
            begin with `/intent` for the constraints of the intent.
    """
    resolution, known = _resolved(_Given(workflow, catalogue))
    asked = [(text, child("/intent/constraints", at)) for at, text in enumerate(intent_constraints)]
    asked += [(text, child("/constraints", at)) for at, text in enumerate(workflow.constraints)]
    chosen, findings = _choose_rules(asked, rules)
    findings = [*resolution.findings, *findings]
    purpose = objective or workflow.summary
    if findings:
        raise PlanRefused(workflow.name, [*findings, *check(workflow, resolution, budget_micro_usd)[1]])
    key = known + canonical([chosen, purpose, budget_micro_usd])
    return _compile(_Job(key, workflow, resolution, chosen, purpose, budget_micro_usd))


def with_brief(plan: Plan, brief: Brief, rules: RuleBook) -> Plan:
    """Take a planner's brief into a plan: its objective, and the constraints it adds, each with its rule.

    Raises:
        UnknownConstraint: No rule checks one of them.
    """
    constraints = list(zip(plan.constraints, plan.rules, strict=True))
    known = [normal_phrase(text) for text in plan.constraints]
    added = [text for text in brief.constraints if normal_phrase(text) not in known]
    constraints += [(text, rules.select(text).ref) for text in added]
    return msgspec.structs.replace(
        plan,
        objective=brief.objective,
        constraints=tuple(text for text, _ in constraints),
        rules=tuple(ref for _, ref in constraints),
    )


def _choose_rules(
    asked: list[tuple[str, str]], rules: RuleBook
) -> tuple[tuple[tuple[str, str], ...], list[Finding]]:
    chosen: dict[str, tuple[str, str]] = {}
    findings: list[Finding] = []
    for text, pointer in asked:
        try:
            chosen.setdefault(normal_phrase(text), (text, rules.select(text).ref))
        except UnknownConstraint as refusal:
            findings.append(Finding("unknown_constraint", pointer, f"{refusal.message}; {refusal.remedy}"))
    return tuple(chosen.values()), findings


@lru_cache(maxsize=256)
def _resolved(given: _Given) -> tuple[Resolution, bytes]:
    """Resolve what a workflow names, and write down what its plan depends on beside the intent."""
    resolution = resolve_capabilities(given.workflow, given.catalogue)
    pins = [[pin.capability, pin.contract] for pin in resolution.pins]
    return resolution, canonical([msgspec.to_builtins(given.workflow), pins])


@lru_cache(maxsize=256)
def _compile(job: _Job) -> Plan:
    order, findings = check(job.workflow, job.resolution, job.budget_micro_usd)
    if findings:
        raise PlanRefused(job.workflow.name, findings)
    resolution = job.resolution
    return Plan(
        name=job.workflow.name,
        version=job.workflow.version,
        objective=job.objective,
        nodes=tuple(_node(at, order, resolution) for at in range(len(order.steps))),
        constraints=tuple(text for text, _ in job.constraints),
        rules=tuple(ref for _, ref in job.constraints),
        planner=resolution.ref(job.workflow.planner),
        planner_contract=resolution.digest(job.workflow.planner),
        context=tuple(
            ContextItem(item.id, resolution.ref(item.uses), resolution.digest(item.uses), item.input)
            for item in job.workflow.context
        ),
        pins=resolution.pins,
        compensations=tuple(
            _compensation(at, step.compensate, order, resolution)
            for at, step in enumerate(order.steps)
            if step.compensate is not None
        ),
    )


def _compensation(at: int, written: CompensationSource, order: Order, resolution: Resolution) -> Node:
    """Make the node that undoes a step; when it fails for good, a person is asked."""
    parent = order.parents[at]
    contract = resolution.contracts[written.uses]
    return Node(
        id=order.steps[at].id + UNDO,
        kind=NodeKind.TOOL,
        parent=order.steps[parent].id if parent >= 0 else "",
        uses=contract.ref,
        contract=resolution.digest(written.uses),
        input=written.input,
        retry=written.retry,
        timeout_seconds=written.timeout or contract.attempt_seconds,
        on_error=OnError.HUMAN,
    )


def _node(at: int, order: Order, resolution: Resolution) -> Node:
    step = order.steps[at]
    parent = order.parents[at]
    contract = resolution.contracts.get(step.uses)
    repeat = step.repeat
    return Node(
        id=step.id,
        kind=NodeKind(contract.kind.value) if contract else NodeKind.BLOCK,
        parent=order.steps[parent].id if parent >= 0 else "",
        uses=resolution.ref(step.uses),
        contract=resolution.digest(step.uses),
        after=tuple(order.steps[earlier].id for earlier in order.after[at]),
        input=step.input,
        when=step.when,
        retry=step.retry,
        timeout_seconds=(step.timeout or contract.attempt_seconds) if contract else 0,
        on_error=step.on_error,
        fallback=resolution.ref(step.fallback),
        fallback_contract=resolution.digest(step.fallback),
        repeat=Repeat(repeat.until, repeat.max) if repeat and repeat.max else None,
        reviews=step.reviews,
        reason=step.reason,
        limits=step.limits if step.limits is not None else msgspec.UNSET,
        pivot=step.pivot,
    )
