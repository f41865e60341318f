"""A condition is true only when it is plainly true: an error, a missing value or another type never is."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Refusal
from bailiwick.plan import (
    ConditionFailed,
    InvalidCondition,
    check_condition,
    holds,
    identifiers,
    variables_in,
)

VALUES: dict[str, Any] = {
    "intent": {"input": {"n": 3, "s": "x", "none": None}},
    "context": {"c": {"text": "t"}},
    "brief": {"steps": ["a", "b"]},
    "steps": {"a-b": {"output": {"verdict": "pass", "notes": [{"bad": False}]}, "status": "succeeded"}},
}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("steps['a-b'].output.verdict == 'pass'", True),
        ("steps['a-b'].status != 'succeeded'", False),
        ("has(steps.zed) && steps.zed.output.x == 1", False),
        ("size(brief.steps) == 2", True),
        ("steps['a-b'].output.notes.all(note, !note.bad)", True),
        ("intent.input.n > 2.5 && context.c.text.startsWith('t')", True),
        ("intent.input.none == null", True),
    ],
)
def test_a_condition_is_decided(text: str, answer: bool) -> None:
    assert holds(text, VALUES) is answer


@pytest.mark.parametrize(
    "text",
    [
        "steps.zed.output.x == 1",
        "intent.input.absent == 1",
        "intent.input.absent",
        "intent.input.n",
        "intent.input.s",
        "intent.input.none",
        "steps",
        "1 / 0 == 1",
        "false || steps.zed.status == 'x'",
        "intent.input.s > 3",
        "brief.steps[7] == 'a'",
        "steps['a-b'].output.notes.exists(note, note.absent)",
        "int(intent.input.s) == 1",
        "!intent.input.n",
        "intent.input.s ? true : true",
    ],
)
def test_what_cannot_be_decided_is_refused_and_never_true(text: str) -> None:
    with pytest.raises(ConditionFailed) as refusal:
        holds(text, VALUES)
    assert refusal.value.code == "condition_failed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "'yes'",
        "1",
        "unknown == 1",
        "true" + " " * 2048,
        "'é'==" + "'é'" + " " * 2040,
        "\ud800 == 'x'",
        "(" * 500 + "true" + ")" * 500,
        "[" * 1000,
        "intent" + ".a" * 900 + " == 1",
        "[1].map(x, x).size() == 1",
        "[1].filter(x, true).size() == 1",
        "[1].exists(x, [1].all(y, x == y))",
        r"r'\' == '' || [1].exists(x, [1].exists(y, true)) || '' == 'z'",
    ],
)
def test_what_is_no_condition_is_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(InvalidCondition) as refusal:
        check_condition(text)
    assert refusal.value.code == "invalid_condition"


def test_no_short_text_costs_gigabytes() -> None:
    began = time.perf_counter()
    for text in (
        "['a'.repeat]" + ".map(a, a + a)" * 28 + ".size() == 1",
        "['" + "a" * 500 + "'].exists(a, [a+a+a+a].exists(b, [b+b+b+b].exists(c, c == a)))",
        "[" + ",".join(["1"] * 900) + "].all(x, [" + "x," * 40 + "x].size() > 0)",
    ):
        try:
            holds(text, VALUES)
        except (InvalidCondition, ConditionFailed):
            continue
    assert time.perf_counter() - began < 2


def test_values_that_are_no_json_never_pass_for_true() -> None:
    for value in (2**64, (1,), object()):
        with pytest.raises(ConditionFailed):
            holds("intent.v == intent.v", {"intent": {"v": value}})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("steps.a.output.x == 1 && steps['b-c'].status == 'x' || steps.a.status == ''", ("a", "b-c")),
        ('steps . a . output == 1 // steps.z\n && steps\n["q"].status == "steps.w"', ("a", "q")),
        ("intent.steps.x == 1 && size(brief.steps) > 1", ()),
        (".steps.a.status == 'x'", ("a",)),
        ("'x' in .steps.a.output", ("a",)),
        ("has(steps.a)", ("a",)),
        ("steps[intent.input.s].status == 'x'", None),
        ("steps[r'a'].status == 'x'", None),
        (r"steps['\x61'].status == 'x'", None),
        ("'a' in steps", None),
        ("steps.exists(id, id == 'a')", None),
        ("steps.size() == 1", None),
        ("steps.`a-b`.status == 'x'", None),
        ("size(steps) == 1", None),
        ("true", ()),
    ],
)
def test_the_steps_that_a_condition_reads_are_known(text: str, read: tuple[str, ...] | None) -> None:
    assert identifiers(text) == read


def test_the_variables_that_a_condition_names_are_known() -> None:
    assert variables_in("brief.steps.size() > 1 && intent.context == 'steps'") == ("intent", "brief")


pieces = st.sampled_from(
    ["steps", ".", "a", "b", "['a']", '["b"]', ".output", ".status", "==", "&&", "||", "!", "(", ")", "'x'", "1",
     "true", "has(", "intent", "brief", "in", " ", "//\n", "?", ":", "r'\\'", "steps.a.status", "'''q'''", "null",
     ".size()", ".exists(k, k == 'a')", ".all(v, true)"]
)  # fmt: skip


@given(st.lists(pieces, max_size=9).map("".join))
def test_whatever_is_decided_needs_only_the_steps_that_were_named(text: str) -> None:
    full = {name: {"output": {"v": name}, "status": "x"} for name in ("a", "b")}
    read = identifiers(text)
    needed = full if read is None else {name: full[name] for name in read if name in full}
    assert outcome(text, full) == outcome(text, needed)


def outcome(text: str, steps: dict[str, Any]) -> Any:
    try:
        return holds(text, {"steps": steps, "intent": {"a": 1}, "brief": {"steps": 1}})
    except Refusal as refusal:
        return refusal.code


@pytest.mark.parametrize("score", [1, 1.0, 0.9, 2])
@pytest.mark.parametrize(
    "text",
    [
        "steps.a.output.score * 100.0 >= 80.0",
        "steps.a.output.score * 100 >= 80",
        "steps.a.output.score / 2.0 > 0.1",
        "steps.a.output.score - 1.0 > -0.5",
        "0.5 + steps.a.output.score > 1.0",
        "steps.a.output.score * 2 + steps.a.output.half > 1",
        "1 == 1 && steps.a.output.score * 2.0 > 1.0",
    ],
)
def test_a_number_counts_the_same_however_it_is_written(text, score):
    """JSON has one kind of number, and its canonical form writes 1.0 as 1."""
    assert holds(text, {"steps": {"a": {"output": {"score": score, "half": 0.5}}}})


def test_what_no_way_of_writing_numbers_decides_is_refused_with_its_reason():
    with pytest.raises(ConditionFailed, match="overload"):
        holds(
            "steps.a.output.score * steps.a.output.name == 2",
            {"steps": {"a": {"output": {"score": 1, "name": "two"}}}},
        )


def test_whole_numbers_are_divided_as_whole_numbers():
    assert holds("steps.a.output.score / 2 == 3", {"steps": {"a": {"output": {"score": 7}}}})
