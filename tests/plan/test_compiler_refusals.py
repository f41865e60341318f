"""The compiler refuses what must not run: each fault by the smallest workflow that has it, at its exact place."""

from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.plan import PlanRefused

Faults = Callable[..., list[tuple[str, str]]]


def step(id: str, uses: str = "noop@1", **rest: Any) -> dict[str, Any]:
    return {"id": id, "uses": uses, **rest}


LOOP = {"until": "steps.b.output.done == true", "max": 3}
CASES: list[tuple[str, list[dict[str, Any]], list[tuple[str, str]]]] = [
    ("a step after itself", [step("a", after=["a"])], [("cycle", "/steps/0/after")]),
    (
        "two steps after each other",
        [step("a", after=["b"]), step("b", after=["a"])],
        [("cycle", "/steps/0/after")],
    ),
    (
        "a step behind a cycle",
        [step("a", after=["b"]), step("b", after=["a"]), step("c", after=["b"])],
        [("cycle", "/steps/0/after"), ("unreachable", "/steps/2")],
    ),
    (
        "a cycle inside a block",
        [{"id": "x", "do": [step("a", after=["b"]), step("b")]}],
        [("cycle", "/steps/0/do/0/after")],
    ),
    ("a condition that is never true", [step("a", when="1 > 2")], [("unreachable", "/steps/0/when")]),
    ("after a stranger", [step("a"), step("b", after=["z", "a"])], [("unknown_step", "/steps/1/after/0")]),
    (
        "after a step of another block",
        [{"id": "x", "do": [step("a")]}, step("b", after=["x", "a"])],
        [("unknown_step", "/steps/1/after/1")],
    ),
    ("two steps of one name", [step("a"), step("a")], [("duplicate_id", "/steps/1/id")]),
    (
        "one name in two blocks",
        [{"id": "x", "do": [step("a")]}, {"id": "y", "do": [step("a")]}],
        [("duplicate_id", "/steps/1/do/0/id")],
    ),
    ("nobody offers it", [step("a", "absent@1")], [("unknown_capability", "/steps/0/uses")]),
    ("nobody offers this version", [step("a", "noop@3")], [("unknown_capability", "/steps/0/uses")]),
    (
        "nobody offers the fallback",
        [step("a", on_error="fallback", fallback="absent")],
        [("unknown_capability", "/steps/0/fallback")],
    ),
    ("an agent with an undeclared tool", [step("a", "confused")], [("tool_not_declared", "/steps/0/uses")]),
    (
        "an external write that says nothing",
        [step("a", "mail")],
        [("write_without_resolution", "/steps/0/uses")],
    ),
    ("a write that keeps no key", [step("a", "forgetful")], [("write_without_resolution", "/steps/0/uses")]),
    (
        "a loop without a maximum",
        [step("b", repeat={"until": LOOP["until"]})],
        [("unbounded_loop", "/steps/0/repeat")],
    ),
    ("a loop of 21", [step("b", repeat={**LOOP, "max": 21})], [("unbounded_loop", "/steps/0/repeat")]),
    ("a loop of none", [step("b", repeat={**LOOP, "max": 0})], [("unbounded_loop", "/steps/0/repeat")]),
    (
        "a loop that nothing turns",
        [step("a"), step("b", repeat={"until": "steps.a.output.x == 1", "max": 2})],
        [("unbounded_loop", "/steps/1/repeat/until")],
    ),
    (
        "a condition that is no condition",
        [step("a", when="1 +")],
        [("invalid_condition", "/steps/0/when")],
    ),
    ("a condition of another type", [step("a", when="'yes'")], [("invalid_condition", "/steps/0/when")]),
    ("a condition too long", [step("a", when="true" + " " * 2048)], [("invalid_condition", "/steps/0/when")]),
    (
        "a condition about a stranger",
        [step("a", when="steps.zed.status == 'succeeded'")],
        [("unknown_step", "/steps/0/when")],
    ),
    (
        "a condition about the future",
        [step("a", when="steps.b.status == 'succeeded'"), step("b")],
        [("unresolved_reference", "/steps/0/when")],
    ),
    (
        "a reference to a stranger",
        [step("a", input={"x": ["$.steps.z.output"]})],
        [("unknown_step", "/steps/0/input/x/0")],
    ),
    (
        "a reference to the future",
        [step("a", input={"x": "$.steps.b.output"}), step("b")],
        [("unresolved_reference", "/steps/0/input/x")],
    ),
    (
        "a reference to itself",
        [step("a", input={"x": "$.steps.a.output"})],
        [("unresolved_reference", "/steps/0/input/x")],
    ),
    (
        "a reference to the block around",
        [{"id": "x", "do": [step("a", input={"s": "$.steps.x.status"})]}],
        [("unresolved_reference", "/steps/0/do/0/input/s")],
    ),
    (
        "a reference to a parallel step",
        [step("a", reason="r"), step("b", after=[], reason="r", input={"x": "$.steps.a.output"})],
        [("unresolved_reference", "/steps/1/input/x")],
    ),
    (
        "a reference to what a block has not",
        [{"id": "x", "do": [step("a")]}, step("b", input={"x": "$.steps.x.output"})],
        [("unresolved_reference", "/steps/1/input/x")],
    ),
    (
        "a member that the output has not",
        [step("a", "read", input={"path": "p"}), step("b", input={"x": "$.steps.a.output.txt"})],
        [("unresolved_reference", "/steps/1/input/x")],
    ),
    (
        "a member of a text",
        [step("a", "read", input={"path": "p"}), step("b", input={"x": "see ${$.steps.a.output.text.more}"})],
        [("unresolved_reference", "/steps/1/input/x")],
    ),
    (
        "a reference that is none",
        [step("a", input={"x": "$.nowhere.y"})],
        [("unresolved_reference", "/steps/0/input/x")],
    ),
    (
        "a context item that is none",
        [step("a", input={"x": "$.context.z"})],
        [("unresolved_reference", "/steps/0/input/x")],
    ),
    (
        "an intent field that is none",
        [step("a", input={"x": "$.intent.inptu"})],
        [("unresolved_reference", "/steps/0/input/x")],
    ),
    (
        "a brief field that is none",
        [step("a", input={"x": "$.brief.goal"})],
        [("unresolved_reference", "/steps/0/input/x")],
    ),
    (
        "the turn before, outside a loop",
        [step("a"), step("b", input={"x": "$.previous.a.output.y?"})],
        [("unresolved_reference", "/steps/1/input/x")],
    ),
    (
        "the turn before, taken for granted",
        [{"id": "x", "repeat": LOOP, "do": [step("a", input={"y": "$.previous.b.output.y"}), step("b")]}],
        [("unresolved_reference", "/steps/0/do/0/input/y")],
    ),
    (
        "a literal of the wrong type",
        [step("a", "read", input={"path": 5})],
        [("does_not_fit", "/steps/0/input/path")],
    ),
    ("a member that is missing", [step("a", "read")], [("does_not_fit", "/steps/0/input")]),
    (
        "a member too many, beside a reference",
        [step("a", "read", input={"path": "$.intent.title", "pth": "x"})],
        [("does_not_fit", "/steps/0/input")],
    ),
    (
        "a member missing, beside a reference",
        [step("a", "write", input={"txt": "$.intent.title"})],
        [("does_not_fit", "/steps/0/input"), ("does_not_fit", "/steps/0/input")],
    ),
    (
        "a reference of the wrong type",
        [step("a", "read", input={"path": "p"}), step("b", "read", input={"path": "$.steps.a.output.lines"})],
        [("does_not_fit", "/steps/1/input/path")],
    ),
    (
        "a fallback that does not take the input",
        [step("a", input={"x": 1}, on_error="fallback", fallback="read")],
        [("does_not_fit", "/steps/0/input")] * 2,
    ),
    (
        "a review of what is no digest",
        [step("a", "read", input={"path": "p"}), step("b", "review", reviews="$.steps.a.output.lines")],
        [("does_not_fit", "/steps/1/reviews")],
    ),
    (
        "a review of a text",
        [step("a", "review", reviews="the diff")],
        [("unresolved_reference", "/steps/0/reviews")],
    ),
    (
        "parallel for no reason",
        [step("a"), step("b", after=[])],
        [("parallel_without_reason", "/steps/0"), ("parallel_without_reason", "/steps/1")],
    ),
    (
        "four at once",
        [step(name, after=[], reason="independent") for name in "abcd"],
        [("too_parallel", "/steps")],
    ),
    (
        "four at once, two by two in blocks",
        [
            {"id": x, "after": [], "reason": "r", "do": [step(x + y, after=[], reason="r") for y in "ab"]}
            for x in "xy"
        ],
        [("too_parallel", "/steps")],
    ),
]


@pytest.mark.parametrize(("steps", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_plan_is_refused_at_its_place(
    faults: Faults, steps: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert faults(*steps) == expected


def test_a_loop_of_loops_of_loops_is_unbounded(faults: Faults) -> None:
    inner = step("a", repeat={"until": "steps.a.output.x", "max": 20})
    for name in ("x", "y", "z"):
        inner = {"id": name, "do": [inner], "repeat": {"until": "steps.a.output.x", "max": 20}}
    assert faults(inner) == [("unbounded_loop", "/steps")]


def test_a_constraint_without_a_rule_is_refused_where_it_stands(faults: Faults) -> None:
    assert faults(step("a"), constraints=["Single file only", "Be nice"]) == [
        ("unknown_constraint", "/intent/constraints/1")
    ]
    assert faults(step("a", "absent")) == [("unknown_capability", "/steps/0/uses")]


def test_steps_that_surely_run_must_fit_into_the_budget(faults: Faults) -> None:
    write = [step(name, "write", input={"text": "x"}) for name in ("a", "b")]
    assert faults(*write, budget=800) == []
    assert faults(*write, budget=799) == [("over_allotment", "/steps")]
    assert faults(write[0], {**write[1], "when": "intent.input.x == 1"}, budget=799) == []


def test_context_is_read_only_and_sees_the_intent_only(faults: Faults) -> None:
    item = {"id": "c", "uses": "read", "input": {"path": "$.intent.title"}}
    assert faults(step("a", input={"t": "$.context.c.text"}), context=[item]) == []
    assert faults(step("a"), context=[{"id": "c", "uses": "write", "input": {"text": "x"}}]) == [
        ("context_not_read_only", "/context/0/uses")
    ]
    for text in ("$.brief.objective", "$.steps.a.output", "$.context.c.text", "$.previous.a.status"):
        item = {"id": "c", "uses": "read", "input": {"path": text}}
        assert faults(step("a"), context=[item]) == [("unresolved_reference", "/context/0/input/path")]


def test_a_planner_is_an_agent(faults: Faults) -> None:
    assert faults(step("a"), planner="plan@1") == []
    assert faults(step("a"), planner="noop@1") == [("not_an_agent", "/planner")]
    assert faults(step("a"), planner="nobody") == [("unknown_capability", "/planner")]


def test_input_references_are_held_to_the_workflows_own_schema(faults: Faults) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    assert faults(step("a", input={"x": "$.intent.input.n"}), input=schema) == []
    assert faults(step("a", input={"x": "$.intent.input.m"}), input=schema) == [
        ("unresolved_reference", "/steps/0/input/x")
    ]
    assert faults(step("a", "read", input={"path": "$.intent.input.n"}), input=schema) == [
        ("does_not_fit", "/steps/0/input/path")
    ]


@pytest.mark.parametrize("name", ["title", "input", "constraints", "labels"])
def test_of_the_intent_a_step_sees_what_the_run_recorded(faults: Faults, name: str) -> None:
    assert faults(step("a", input={"x": f"$.intent.{name}"})) == []
    assert faults(step("a", input={"x": "$.intent.budget_usd"})) == [
        ("unresolved_reference", "/steps/0/input/x")
    ]


def test_all_findings_are_reported_together(faults: Faults) -> None:
    found = faults(step("a", "absent"), step("a", when="1 +"), constraints=["Be nice"])
    assert [code for code, _ in found] == [
        "unknown_capability",
        "unknown_constraint",
        "duplicate_id",
        "invalid_condition",
    ]


def test_the_refusal_says_code_facts_and_remedy(build: Callable[..., Any]) -> None:
    with pytest.raises(PlanRefused) as refusal:
        build(step("a", after=["a"]))
    assert refusal.value.code == "plan_refused"
    assert refusal.value.facts["workflow"] == "w"
    assert refusal.value.facts["findings"] == [
        {"code": "cycle", "pointer": "/steps/0/after", "detail": "a after a"}
    ]
    assert "findings" in refusal.value.remedy
