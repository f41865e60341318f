"""What the compiler hands over: pinned, ordered as written, the same bytes each time."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailiwick.contract import contract_digest
from bailiwick.plan import (
    Brief,
    NodeKind,
    Pin,
    Plan,
    PlanRefused,
    UnknownConstraint,
    builtin_rules,
    compile_workflow,
    parse_plan,
    parse_workflow,
    plan_bytes,
    with_brief,
)
from bailiwick.plan.order import Order
from bailiwick.plan.source import walk

Build = Callable[..., Plan]
LOOP = {"until": "steps.review.output.verdict == 'pass'", "max": 2}
DELIVERY: list[dict[str, Any]] = [
    {
        "id": "build",
        "repeat": LOOP,
        "do": [
            {"id": "implement", "uses": "noop@1", "input": {"notes": "$.previous.review.output.findings?"}},
            {"id": "review", "uses": "review", "reviews": "$.steps.implement.output.diff"},
        ],
    },
    {"id": "apply", "uses": "write", "input": {"text": "by ${$.steps.implement.output.author}"}},
]


def test_steps_run_one_after_another_unless_after_says_otherwise(build: Build) -> None:
    plan = build(*DELIVERY)
    assert [(node.id, node.parent, node.after) for node in plan.nodes] == [
        ("build", "", ()),
        ("implement", "build", ()),
        ("review", "build", ("implement",)),
        ("apply", "", ("build",)),
    ]
    assert [node.id for node in plan.children("build")] == ["implement", "review"]
    assert [node.id for node in plan.dependents("build")] == ["apply"]
    assert plan.node("build").kind is NodeKind.BLOCK


def test_capabilities_are_pinned_with_the_tools_of_their_agents(build: Build, catalogue: Any) -> None:
    plan = build(*DELIVERY)
    assert plan.node("implement").uses == "noop@1.2.0"
    assert plan.node("implement").contract == contract_digest(catalogue["noop"]["1.2.0"])
    assert [pin.capability for pin in plan.pins] == [
        "noop@1.2.0",
        "read@1.0.0",
        "review@1.0.0",
        "write@1.0.0",
    ]
    assert Pin("read@1.0.0", contract_digest(catalogue["read"]["1.0.0"])) in plan.pins


def test_a_plan_survives_its_bytes(build: Build) -> None:
    plan = build(*DELIVERY, constraints=["single  FILE only"], planner="plan")
    assert parse_plan(plan_bytes(plan)) == plan
    assert parse_plan(plan_bytes(plan)).digest == plan.digest


def test_each_constraint_stands_beside_its_rule_once(build: Build) -> None:
    plan = build(*DELIVERY, constraints=["single  FILE only", "Typed"])
    assert (plan.constraints, plan.rules) == (("single  FILE only", "Typed"), ("single-file@1", "typed@1"))
    brief = Brief("Serve health", ("Define route",), ("Single file only", "No external dependencies"))
    joined = with_brief(plan, brief, builtin_rules())
    assert joined.objective == "Serve health"
    assert joined.rules == ("single-file@1", "typed@1", "no-external-dependencies@1")
    with pytest.raises(UnknownConstraint):
        with_brief(plan, Brief("x", ("y",), ("Be nice",)), builtin_rules())


def test_a_workflow_compiled_again_is_remembered_until_a_contract_changes(catalogue: Any) -> None:
    workflow = parse_workflow({"name": "w", "steps": DELIVERY})
    first = compile_workflow(workflow, catalogue, builtin_rules())
    assert compile_workflow(workflow, catalogue, builtin_rules()) is first
    newer = {**catalogue, "noop": {"1.0.0": catalogue["noop"]["1.0.0"]}}
    assert compile_workflow(workflow, newer, builtin_rules()).node("implement").uses == "noop@1.0.0"
    assert compile_workflow(workflow, catalogue, builtin_rules(), objective="other") is not first


def test_the_turn_before_is_read_only_from_inside_its_loop(faults: Any) -> None:
    assert faults(*DELIVERY) == []
    assert faults(*DELIVERY, {"id": "z", "uses": "noop", "input": {"x": "$.previous.review.output?"}}) == [
        ("unresolved_reference", "/steps/2/input/x")
    ]


def test_three_at_once_with_reasons_are_allowed(faults: Any) -> None:
    steps = [{"id": name, "uses": "noop", "after": [], "reason": "independent"} for name in "abc"]
    assert faults(*steps, {"id": "d", "uses": "noop", "after": ["a", "b", "c"]}) == []


def test_an_external_write_that_names_its_failures_is_allowed(faults: Any) -> None:
    assert faults({"id": "a", "uses": "careful"}) == []


def test_a_step_in_a_block_sees_what_is_over_before_the_block(faults: Any) -> None:
    inner = {"id": "y", "do": [{"id": "b", "uses": "noop", "input": {"x": "$.steps.a.output.q"}}]}
    assert faults({"id": "a", "uses": "noop"}, {"id": "x", "do": [inner]}) == []


@pytest.mark.parametrize(("given_type", "wanted"), [("integer", "number"), ("number", "integer")])
def test_a_number_that_may_fit_is_left_to_the_run(catalogue: Any, given_type: str, wanted: str) -> None:
    def one(kind: str) -> dict[str, Any]:
        return {"type": "object", "properties": {"n": {"type": kind}}, "additionalProperties": False}

    tool = catalogue["noop"]["1.0.0"]
    offered = {
        "take": {"1.0.0": msgspec.structs.replace(tool, name="take", input=one(wanted))},
    }
    step = {"id": "a", "uses": "take", "input": {"n": "$.intent.input.n"}}
    workflow = parse_workflow({"name": "w", "steps": [step], "input": one(given_type)})
    assert compile_workflow(workflow, offered, builtin_rules()).node("a").uses == "take@1.0.0"


def graph(edges: list[tuple[int, int]], size: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"s{at}",
            "uses": "noop",
            "after": [f"s{first}" for first, later in edges if later == at],
            "reason": "any",
        }
        for at in range(size)
    ]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    size = draw(st.integers(1, 9))
    at = st.integers(0, size - 1)
    return size, draw(st.lists(st.tuples(at, at), max_size=20))


def closure(size: int, edges: list[tuple[int, int]]) -> list[list[bool]]:
    reach = [[(a, b) in edges for b in range(size)] for a in range(size)]
    for k in range(size):
        for a in range(size):
            for b in range(size):
                reach[a][b] = reach[a][b] or (reach[a][k] and reach[k][b])
    return reach


def widest(size: int, reach: list[list[bool]]) -> int:
    best = 0
    for mask in range(1 << size):
        members = [at for at in range(size) if mask >> at & 1]
        if not any(reach[a][b] for a in members for b in members):
            best = max(best, len(members))
    return best


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(graphs())
def test_any_graph_is_refused_for_its_cycles_and_its_width_and_nothing_else(
    faults: Any, drawn: tuple[int, list[tuple[int, int]]]
) -> None:
    size, edges = drawn
    reach = closure(size, edges)
    looped = [at for at in range(size) if reach[at][at]]
    behind = [at for at in range(size) if at not in looped and any(reach[start][at] for start in looped)]
    found = faults(*graph(edges, size))
    if looped:
        codes = [code for code, _ in found]
        assert "cycle" in codes
        assert [pointer for code, pointer in found if code == "unreachable"] == [
            f"/steps/{at}" for at in behind
        ]
    else:
        assert found == ([("too_parallel", "/steps")] if widest(size, reach) > 3 else [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(graphs())
def test_a_step_sees_exactly_what_is_over_before_it(
    build: Build, drawn: tuple[int, list[tuple[int, int]]]
) -> None:
    size, edges = drawn
    edges = [(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]]
    reach = closure(size, edges)
    steps = graph(edges, size)
    for reader in range(size):
        for read in range(size):
            tried = [dict(step) for step in steps]
            tried[reader]["input"] = {"x": f"$.steps.s{read}.output.y"}
            try:
                build(*tried)
                codes = []
            except PlanRefused as refusal:
                codes = [item["code"] for item in refusal.facts["findings"] if item["code"] != "too_parallel"]
            assert codes == ([] if reach[read][reader] else ["unresolved_reference"])


def test_two_hundred_tangled_steps_are_judged_in_time() -> None:
    steps = [
        {"id": f"s{at}", "uses": "noop", "after": [f"s{i}" for i in range(at % 7, at - 5, 3)][:60]}
        for at in range(200)
    ]
    workflow = parse_workflow({"name": "w", "steps": steps})
    after = {at: [int(name[1:]) for name in step.after or ()] for at, step in enumerate(workflow.steps)}
    order = Order(walk(workflow.steps), [-1] * 200, after)
    assert order.cycles == []
    assert order.width() > 3


PROGRAM = """
from bailiwick.contract import Contract, EffectClass, Kind
from bailiwick.plan import *
open = {"type": "object"}
names = ["n" + str(at) for at in range(12)]
catalogue = {n: {"1.0.0": Contract(n, "1.0.0", Kind.TOOL, EffectClass.READ_ONLY, open, open)} for n in names}
steps = [{"id": n, "uses": n} for n in names]
steps += [{"id": n + "x", "uses": "n0", "after": ["n1", "n3", "n2"], "reason": "r"} for n in ("a", "b")]
steps = [{**s, "reason": "r"} for s in steps]
work = parse_workflow({"name": "w", "steps": [*steps[:12]], "constraints": ["typed", "Single file"]})
print(compile_workflow(work, catalogue, builtin_rules()).digest)
try:
    compile_workflow(parse_workflow({"name": "w", "steps": steps}), catalogue, builtin_rules())
except PlanRefused as refusal:
    print(refusal.facts)
"""


def test_neither_plan_nor_findings_depend_on_the_hash_seed() -> None:
    answers = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) > 64
