"""A compensation is compiled with its step: it exists, its input fits, it is a tool, and it may be paid for."""

from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.plan import (
    UNDO,
    InvalidWorkflow,
    NodeKind,
    OnError,
    Plan,
    PlanRefused,
    Retry,
    parse_plan,
    parse_workflow,
    plan_bytes,
)

Compile = Callable[..., Plan]


def undone(uses: str = "read", input: Any = None, **rest: Any) -> dict[str, Any]:
    given = {"path": "x"} if input is None else input
    return {
        "id": "a",
        "uses": "read",
        "input": {"path": "p"},
        "compensate": {"uses": uses, "input": given},
        **rest,
    }


def test_a_compensation_is_a_node_beside_the_graph(build: Compile) -> None:
    plan = build(undone("write", {"text": "$.steps.a.output.text"}), {"id": "b", "uses": "noop@1"})
    node = plan.compensation("a")
    assert node is not None
    assert (node.id, node.kind, node.uses, node.on_error) == (
        "a" + UNDO,
        NodeKind.TOOL,
        "write@1.0.0",
        OnError.HUMAN,
    )
    assert node.retry == Retry(on=(ErrorCategory.TRANSIENT, ErrorCategory.RATE_LIMITED), attempts=3)
    assert plan.node("a~undo") is node
    assert plan.compensation("b") is None
    assert [each.id for each in plan.children("")] == ["a", "b"]
    assert "write@1.0.0" in [pin.capability for pin in plan.pins]
    assert parse_plan(plan_bytes(plan)) == plan


GOOD = [
    undone(input={"path": "$.steps.a.input.path"}),
    undone(input={"path": "$.steps.a.output.text"}),
    undone(input={"path": "$.steps.a.status"}),
    {
        "id": "box",
        "do": [undone() | {"compensate": None}],
        "compensate": {"uses": "read", "input": {"path": "$.steps.a.output.text"}},
    },
]


@pytest.mark.parametrize("step", GOOD)
def test_a_compensation_reads_what_its_step_was_given_and_answered(
    build: Compile, step: dict[str, Any]
) -> None:
    step = {**step, "do": [_plain(step["do"][0])]} if "do" in step else step
    assert len(build(step).compensations) == 1


def _plain(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name != "compensate"}


BAD: list[tuple[str, tuple[dict[str, Any], ...], tuple[str, str]]] = [
    ("nobody offers it", (undone("nowhere"),), ("unknown_capability", "/steps/0/compensate/uses")),
    ("an agent", (undone("review"),), ("not_a_tool", "/steps/0/compensate/uses")),
    (
        "it says nothing of how it fails",
        (undone("mail"),),
        ("write_without_resolution", "/steps/0/compensate/uses"),
    ),
    ("an input that is missing", (undone(input={}),), ("does_not_fit", "/steps/0/compensate/input")),
    (
        "an input of another type",
        (undone(input={"path": "$.steps.a.output.lines"}),),
        ("does_not_fit", "/steps/0/compensate/input/path"),
    ),
    (
        "an answer that is never there",
        (undone(input={"path": "$.steps.a.output.nothing"}),),
        ("unresolved_reference", "/steps/0/compensate/input/path"),
    ),
    (
        "a given value that is never there",
        (undone(input={"path": "$.steps.a.input.nothing"}),),
        ("unresolved_reference", "/steps/0/compensate/input/path"),
    ),
    (
        "a later step",
        (
            undone(input={"path": "$.steps.b.output.text"}),
            {"id": "b", "uses": "read", "input": {"path": "x"}},
        ),
        ("unresolved_reference", "/steps/0/compensate/input/path"),
    ),
    (
        "what another step was given",
        (
            {"id": "b", "uses": "read", "input": {"path": "x"}},
            undone(input={"path": "$.steps.b.input.path"}),
        ),
        ("unresolved_reference", "/steps/1/compensate/input/path"),
    ),
    (
        "a step reads its own input",
        ({"id": "a", "uses": "read", "input": {"path": "$.steps.a.input.path"}},),
        ("unresolved_reference", "/steps/0/input/path"),
    ),
    (
        "inside a block that is undone as a whole",
        ({"id": "box", "do": [undone()], "compensate": {"uses": "noop@1"}},),
        ("unreachable", "/steps/0/do/0/compensate"),
    ),
]


@pytest.mark.parametrize(("steps", "fault"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_compensation_that_could_not_work_is_refused_at_its_place(
    build: Compile, steps: tuple[dict[str, Any], ...], fault: tuple[str, str]
) -> None:
    with pytest.raises(PlanRefused) as refused:
        build(*steps)
    found = [(item["code"], item["pointer"]) for item in refused.value.facts["findings"]]
    assert found == [fault]


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        (undone(pivot=True), "/steps/0/pivot"),
        ({"id": "a", "uses": "read", "pivot": "yes"}, "/steps/0/pivot"),
        ({"id": "a", "do": [{"id": "b", "uses": "read"}], "pivot": True}, "/steps/0/pivot"),
        ({"id": "a", "uses": "read", "compensate": {"input": {}}}, "/steps/0/compensate"),
        (
            {"id": "a", "uses": "read", "compensate": {"uses": "x", "when": "true"}},
            "/steps/0/compensate/when",
        ),
    ],
)
def test_a_compensation_and_a_pivot_have_their_form(step: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        parse_workflow({"name": "w", "steps": [step]})
    assert [item["pointer"] for item in refused.value.facts["findings"]] == [pointer]
