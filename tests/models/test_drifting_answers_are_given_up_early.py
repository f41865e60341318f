"""An answer that cannot fit its schema any more is cut off at that point, charged, and asked for again with the reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Refusal, canonical, parse_strict
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.models import Misfit, SchemaPrefix
from bailiwick.ports import CallFailed, Stop

SCHEMA = {
    "type": "object",
    "properties": {
        "verdict": {"enum": ["pass", "fail", 3, None]},
        "count": {"type": "integer"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "where": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "line": {"type": ["integer", "null"]}},
            "required": ["path"],
            "additionalProperties": False,
        },
        "free": {},
    },
    "required": ["verdict", "count"],
    "additionalProperties": False,
}
GOOD = {
    "verdict": "pass",
    "count": -3,
    "notes": ['"a\\b"', "é😀\n", ""],
    "where": {"path": "x/y", "line": None},
    "free": [{"any": [1.5e-3, True, {}]}],
}


def given_up_at(text: str, size: int = 1, schema=None) -> int:
    """Tell how much of a text was read before it was given up; -1: it was read to its end."""
    prefix = SchemaPrefix(SCHEMA if schema is None else schema)
    for start in range(0, len(text), size):
        try:
            prefix.feed(text[start : start + size])
        except Misfit:
            return start + size
    return -1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_fitting_answer_is_read_to_its_end_however_it_is_cut(size, ascii_only):
    for indent in (None, 2):
        assert given_up_at(json.dumps(GOOD, ensure_ascii=ascii_only, indent=indent), size) == -1


REST = ', "count": 1, "notes": ["' + "word " * 200 + '"]}'


@pytest.mark.parametrize(
    "drifting",
    [
        '{"opinion"',
        '{"verdict": "pas',
        '{"verdict": "maybe"',
        '{"verdict": 4,',
        '{"verdict": true',
        '{"count": "',
        '{"count": 1.5,',
        '{"notes": {',
        '{"notes": [1',
        '{"where": {"line": 1}',
        '{"where": {"path": "x", "file"',
        '{"where": {"path": "x", "line": "',
        '{"count": 1, "count"',
        '{"verdict": "pass"}',
        '{"count": 01,',
        '{"count": nul,',
        '{"count": 1,, ',
        '{"notes": ["a" "',
        '{"notes": ["a\n',
        '{"notes": ["\\x',
        '{"notes": ["a"}',
        "[",
        '"text"',
        "Sure",
    ],
)
def test_a_drifting_answer_is_given_up_at_the_character_that_gives_it_away(drifting):
    text = drifting + REST
    at = given_up_at(text)
    assert 0 < at <= len(drifting) + 1
    if drifting == '{"verdict": "pas':
        assert at == len(drifting) + 1, "until then it could still become pass"


def test_what_comes_after_the_end_is_given_up():
    assert given_up_at(json.dumps(GOOD) + " \n") == -1
    assert given_up_at(json.dumps(GOOD) + " {") > 0


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-2, 2)
    | st.sampled_from(["pass", "fail", "x", "😀"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["verdict", "count", "notes", "where", "free", "path", "line", "z"]), inner
        )
    ),
    max_leaves=8,
)
OBJECTS = (
    st.dictionaries(st.sampled_from(["verdict", "count", "notes", "where", "free", "z"]), VALUES) | VALUES
)


def accepted(text: str) -> bool:
    try:
        return not validator_for(SCHEMA).errors(parse_strict(text.encode()))
    except Refusal:
        return False


@given(OBJECTS, st.integers(1, 9), st.data())
def test_nothing_is_given_up_that_the_judge_would_take(value, size, data):
    """Also of texts that were damaged: whoever cuts off must never know better than who judges."""
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    at = data.draw(st.integers(0, len(text)))
    text = data.draw(
        st.sampled_from([text, text[:at] + data.draw(st.sampled_from(list('"{}[],: \\0e.'))) + text[at:]])
    )
    if given_up_at(text, size) >= 0:
        assert not accepted(text)


@given(st.integers(0, 10))
def test_whole_answers_that_break_what_is_checked_are_always_given_up(count):
    for broken in (
        {"verdict": "pass"},
        {"verdict": "pass", "count": count, "z": 1},
        {"verdict": [], "count": count},
    ):
        assert given_up_at(canonical(broken).decode()) >= 0


async def test_a_drifting_stream_is_cut_on_the_wire_and_charged_for_what_came(make_host, ask, last_log):
    wanted = {"type": "object", "properties": {"answer": {"type": "string"}}, "additionalProperties": False}
    with pytest.raises(CallFailed) as failed:
        await make_host().stream(ask("played", "wandering", output_schema=wanted), lambda frame: None, Stop())
    assert (failed.value.category, failed.value.interruptions) == (ErrorCategory.INVALID_OUTPUT, ("drift",))
    assert "none of: answer" in str(failed.value)
    assert failed.value.usage is not None
    assert failed.value.usage.source == "estimated"
    assert 0 < failed.value.usage.output_tokens < 300
    assert (await last_log())["peer_left"] is True
