"""A workflow is parsed strictly: every fault is named with its place, and none is passed over."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Refusal
from bailiwick.plan import InvalidWorkflow, NotYet, OnError, locate, parse_workflow


def workflow(*steps: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "w", "steps": list(steps), **fields}


def faults(value: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidWorkflow) as refusal:
        parse_workflow(value)
    assert refusal.value.code == "invalid_workflow"
    return [(item["code"], item["pointer"]) for item in refusal.value.facts["findings"]]


A = {"id": "a", "uses": "noop@1"}


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        (workflow({**A, "whenn": "true"}), "unknown_field", "/steps/0/whenn"),
        (workflow(A, {"id": "b", "do": [{**A, "x/y~z": 1}]}), "unknown_field", "/steps/1/do/0/x~1y~0z"),
        (workflow(A, color=1), "unknown_field", "/color"),
        (workflow({"uses": "noop"}), "missing_field", "/steps/0"),
        (workflow({**A, "id": "A"}), "bad_value", "/steps/0/id"),
        (workflow({**A, "id": "a.b"}), "bad_value", "/steps/0/id"),
        (workflow({**A, "id": "a\n"}), "bad_value", "/steps/0/id"),
        (workflow({**A, "id": 7}), "bad_value", "/steps/0/id"),
        (workflow({"id": "a"}), "bad_value", "/steps/0"),
        (workflow({**A, "do": [A]}), "bad_value", "/steps/0"),
        (workflow({"id": "a", "do": []}), "bad_value", "/steps/0/do"),
        (workflow({"id": "a", "do": [A], "input": {}}), "bad_value", "/steps/0/input"),
        (workflow({**A, "uses": "No Op"}), "bad_value", "/steps/0/uses"),
        (workflow({**A, "timeout": True}), "bad_value", "/steps/0/timeout"),
        (workflow({**A, "timeout": 0}), "bad_value", "/steps/0/timeout"),
        (workflow({**A, "on_error": "continue"}), "bad_value", "/steps/0/on_error"),
        (workflow({**A, "on_error": ["fail"]}), "bad_value", "/steps/0/on_error"),
        (workflow({**A, "on_error": "fallback"}), "bad_value", "/steps/0"),
        (workflow({**A, "fallback": "noop"}), "bad_value", "/steps/0"),
        (workflow({**A, "retry": {"on": ["denied"]}}), "bad_value", "/steps/0/retry/on/0"),
        (workflow({**A, "retry": {}}), "missing_field", "/steps/0/retry"),
        (
            workflow({**A, "retry": {"on": ["transient"], "attempts": 11}}),
            "bad_value",
            "/steps/0/retry/attempts",
        ),
        (workflow({**A, "repeat": {"max": 2}}), "missing_field", "/steps/0/repeat"),
        (workflow({**A, "after": "b"}), "wrong_type", "/steps/0/after"),
        (workflow({**A, "after": [1]}), "bad_value", "/steps/0/after/0"),
        (workflow({**A, "input": []}), "bad_value", "/steps/0/input"),
        (workflow("a"), "wrong_type", "/steps/0"),
        (workflow(), "bad_value", "/steps"),
        ({"name": "w"}, "missing_field", ""),
        (workflow(A, name="Not A Name"), "bad_value", "/name"),
        (workflow(A, version="1"), "bad_value", "/version"),
        (workflow(A, input={"type": 5}), "bad_value", "/input"),
        (workflow(A, context=[{"id": "c"}]), "missing_field", "/context/0"),
        (workflow(A, constraints=[""]), "bad_value", "/constraints/0"),
        (workflow(*[{"id": f"s{at}", "uses": "noop"} for at in range(201)]), "too_many", "/steps"),
        ([], "wrong_type", ""),
        (None, "wrong_type", ""),
    ],
)
def test_a_fault_is_refused_with_its_code_and_place(value: Any, code: str, pointer: str) -> None:
    assert (code, pointer) in faults(value)


def test_all_faults_are_told_at_once() -> None:
    found = faults(workflow({"id": "A", "uses": "noop", "tmeout": 3}, {"id": "b", "uses": "?"}))
    assert found == [
        ("unknown_field", "/steps/0/tmeout"),
        ("bad_value", "/steps/0/id"),
        ("bad_value", "/steps/1/uses"),
    ]


@pytest.mark.parametrize(
    "form",
    [
        "for_each",
        "alternatives",
        "judge",
        "beside",
        "wait",
        "run",
        "expand",
        "approval",
        "allotment",
    ],
)
def test_a_form_that_is_not_built_yet_is_named_with_its_place(form: str) -> None:
    with pytest.raises(NotYet) as refusal:
        parse_workflow(workflow(A, {"id": "b", "do": [{**A, form: {}}]}))
    assert refusal.value.code == "not_yet"
    assert refusal.value.facts["form"] == form
    assert refusal.value.facts["pointer"] == f"/steps/1/do/0/{form}"


@pytest.mark.parametrize("form", ["wait", "run", "alternatives"])
def test_a_form_that_stands_alone_in_a_step_is_not_yet_either(form: str) -> None:
    with pytest.raises(NotYet):
        parse_workflow(workflow({"id": "a", form: {}}))


def test_other_faults_hide_no_unbuilt_form() -> None:
    assert faults(workflow({**A, "wait": {}, "whenn": ""})) == [
        ("unknown_field", "/steps/0/whenn"),
        ("not_yet", "/steps/0/wait"),
    ]


def nested(depth: int) -> dict[str, Any]:
    step: dict[str, Any] = {"id": "leaf", "uses": "noop"}
    for at in range(depth):
        step = {"id": f"b{at}", "do": [step]}
    return step


def test_blocks_nest_four_deep_and_no_deeper() -> None:
    assert parse_workflow(workflow(nested(4))).steps[0].id == "b3"
    assert faults(workflow(nested(5)))[0][0] == "too_deep"


def test_steps_inside_blocks_count_towards_the_limit() -> None:
    block = [{"id": f"b{at}", "uses": "noop"} for at in range(150)]
    assert faults(workflow(*[{"id": f"x{i}", "do": block} for i in range(2)])) == [("too_many", "/steps")]


def test_what_is_written_is_what_is_read() -> None:
    step = {
        **A,
        "input": {"x": "$.intent.input"},
        "after": [],
        "when": "true",
        "retry": {"on": ["transient", "timeout"], "attempts": 2},
        "timeout": 9,
        "on_error": "fallback",
        "fallback": "noop@2",
        "repeat": {"until": "true", "max": 3},
        "reviews": "$.intent.input.digest",
        "reason": "independent",
    }
    read = parse_workflow(workflow(step)).steps[0]
    assert (read.after, read.timeout, read.on_error, read.fallback) == ((), 9, OnError.FALLBACK, "noop@2")
    assert read.retry is not None
    assert read.retry.attempts == 2
    assert read.repeat is not None
    assert read.repeat.max == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "uses", "do", "steps", "name", "after", "retry", "repeat", "context", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_read_or_refused_and_never_crashes(value: Any) -> None:
    try:
        parse_workflow(value)
    except Refusal as refusal:
        assert refusal.code in ("invalid_workflow", "not_yet")


TEXT = """{
  "name": "w", "note": "a \\"} tricky , text",
  "steps": [ {"id": "a"},
    {"id": "b", "do": [{"id": "c",
       "whenn": "x"}] }
  ],
  "x/y": { "~": 1 }
}"""


@pytest.mark.parametrize(
    ("pointer", "shown"),
    [
        ("", '{\n  "name"'),
        ("/name", '"name"'),
        ("/steps", '"steps"'),
        ("/steps/0", '{"id": "a"}'),
        ("/steps/1/do/0/whenn", '"whenn"'),
        ("/steps/1/do/0/missing", '{"id": "c"'),
        ("/x~1y/~0", '"~"'),
        ("/steps/7", '"steps"'),
    ],
)
def test_a_pointer_is_located_by_line_and_column(pointer: str, shown: str) -> None:
    line, column = locate(TEXT, pointer)
    assert "\n".join([TEXT.splitlines()[line - 1][column - 1 :], *TEXT.splitlines()[line:]]).startswith(shown)


@given(json_values)
def test_every_place_of_any_json_can_be_located(value: Any) -> None:
    text = json.dumps(value, indent=1)
    for pointer, item in _places(value, ""):
        line, column = locate(text, pointer)
        rest = "\n".join([text.split("\n")[line - 1][column - 1 :], *text.split("\n")[line:]])
        if rest.startswith('"') and pointer.rpartition("/")[2] and not pointer.rpartition("/")[2].isdigit():
            assert rest.startswith(json.dumps(pointer.rpartition("/")[2]))
        else:
            assert json.JSONDecoder().raw_decode(rest)[0] == item


def _places(value: Any, pointer: str) -> list[tuple[str, Any]]:
    found = [(pointer, value)]
    if isinstance(value, dict):
        return found + [place for name, item in value.items() for place in _places(item, f"{pointer}/{name}")]
    if isinstance(value, list):
        return found + [place for at, item in enumerate(value) for place in _places(item, f"{pointer}/{at}")]
    return found
