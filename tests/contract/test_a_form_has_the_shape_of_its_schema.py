"""A form is what a person fills in: it names every field of its schema, and no schema makes it large or endless."""

from typing import Any

import pytest

from bailiwick.base import canonical
from bailiwick.contract import form_of, validator_for

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "paid": {"type": "boolean"},
        "cents": {"type": "integer"},
        "state": {"enum": ["open", "shut"]},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["id", "paid", "cents", "state", "note", "lines"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}},
}


def test_every_field_is_there_and_the_form_itself_fits() -> None:
    form = form_of(ORDER)
    assert form == {
        "id": "TEXT",
        "paid": False,
        "cents": 0,
        "state": "open",
        "note": "TEXT",
        "lines": [{"text": "TEXT"}],
    }
    assert validator_for(ORDER).fits(form)


WIDE = {"type": "object", "properties": {f"f{n}": {"$ref": "#"} for n in range(20)}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"me": {"$ref": "#"}}},
        {"$ref": "#/$defs/none"},
        {"type": "array"},
        {"type": []},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "object", "properties": {f"f{n}": {"type": "string"} for n in range(1000)}},
        WIDE,
        {},
    ],
)
def test_no_schema_makes_it_large_or_endless(schema: dict[str, Any]) -> None:
    assert len(canonical(form_of(schema))) < 20_000
