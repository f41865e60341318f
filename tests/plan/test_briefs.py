"""A brief is held to a strict schema, and repeats every constraint that it was given."""

from typing import Any

import pytest

from bailiwick.plan import brief_schema, builtin_rules, check_brief, parse_brief

GOOD: dict[str, Any] = {
    "objective": "Create FastAPI health endpoint",
    "steps": ["Define route", "Return JSON response"],
    "constraints": ["No external dependencies", "Single file only"],
}
PHRASES = builtin_rules().phrases


def test_a_good_brief_is_read() -> None:
    assert check_brief(GOOD, PHRASES, ["single file ONLY", "No  external dependencies"]) == ()
    assert parse_brief(GOOD).steps == ("Define route", "Return JSON response")


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"constraints": ["Single file only", "Be nice"]}, "unknown_constraint", "/constraints/1"),
        ({"constraints": ["Typed"]}, "missing_constraint", "/constraints"),
        ({"constraints": ["Typed", "Typed"]}, "invalid_brief", "/constraints"),
        ({"steps": []}, "invalid_brief", "/steps"),
        ({"steps": ["x"] * 21}, "invalid_brief", "/steps"),
        ({"steps": [""]}, "invalid_brief", "/steps/0"),
        ({"steps": ["x" * 301]}, "invalid_brief", "/steps/0"),
        ({"objective": ""}, "invalid_brief", "/objective"),
        ({"objective": "x" * 501}, "invalid_brief", "/objective"),
        ({"note": "x"}, "invalid_brief", ""),
    ],
)
def test_a_bad_brief_is_refused_at_its_place(change: dict[str, Any], code: str, pointer: str) -> None:
    found = check_brief({**GOOD, **change}, PHRASES, ["Single file only"])
    assert [(item.code, item.pointer) for item in found] == [(code, pointer)]


@pytest.mark.parametrize("value", [None, [], "x", {}, {"objective": "x"}])
def test_what_is_no_brief_is_refused(value: Any) -> None:
    assert check_brief(value, PHRASES, [])


def test_the_schema_lists_exactly_the_known_constraints() -> None:
    assert brief_schema(PHRASES)["properties"]["constraints"]["items"]["enum"] == list(PHRASES)
    assert check_brief({**GOOD, "constraints": []}, [], []) == ()
    assert check_brief(GOOD, [], []) != ()
