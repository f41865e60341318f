"""What an author writes for an input or output is understood as it is meant, or refused with the place; a schema stays one."""

from datetime import datetime
from enum import Enum
from typing import Any, Literal, Optional, TypedDict

import pydantic
import pytest

from bailiwick.app import App, object_schema
from bailiwick.app.shorthand import InvalidShorthand
from bailiwick.contract import validator_for


class Colour(Enum):
    RED = "red"


class Item(pydantic.BaseModel):
    name: str
    parts: list["Item"] = []


class Point(TypedDict):
    x: int


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        (str, {"type": "string"}),
        ("string", {"type": "string"}),
        ("integer", {"type": "integer"}),
        (list, {"type": "array"}),
        ([str], {"type": "array", "items": {"type": "string"}}),
        (["a", "b"], {"enum": ["a", "b"]}),
        (["a"], {"enum": ["a"]}),
        ([True], {"enum": [True]}),
        ([1, 2, None], {"enum": [1, 2, None]}),
        ({"enum": ["low", "high"]}, {"enum": ["low", "high"]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"const": 3}, {"const": 3}),
        (
            {"type": "string", "minLength": 1, "x-shown": True},
            {"type": "string", "minLength": 1, "x-shown": True},
        ),
        ({"inner": int}, closed(inner={"type": "integer"})),
        ({"type": str}, closed(type={"type": "string"})),
        ({"type": "string", "count": "integer"}, closed(type={"type": "string"}, count={"type": "integer"})),
        ({"title": str}, closed(title={"type": "string"})),
        ({"items": [str]}, closed(items={"type": "array", "items": {"type": "string"}})),
        ({"properties": {"a": int}}, closed(properties=closed(a={"type": "integer"}))),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[str], {"anyOf": [{"type": "string"}, {"type": "null"}]}),  # noqa: UP045 -- authors write it so
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (datetime, {"type": "string", "format": "date-time"}),
    ],
)
def test_a_field_is_what_its_author_means(field: Any, schema: dict[str, Any]) -> None:
    assert object_schema({"field": field}) == closed(field=schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": ["object", "null"], "properties": {"a": {"type": "string"}}},
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"c": {"$ref": "#/$defs/N"}}}}},
        {"anyOf": [{"type": "object"}, {"type": "object"}]},
    ],
)
def test_a_schema_stays_as_it_is(schema: dict[str, Any]) -> None:
    assert object_schema(schema) == schema
    assert App("a").agent("b", prompt="p", output=schema).contract.output == schema


@pytest.mark.parametrize(
    ("fields", "fits", "not_fits"),
    [
        (
            {"item": Item},
            {"item": {"name": "a", "parts": [{"name": "b"}]}},
            {"item": {"name": "a", "parts": [{}]}},
        ),
        ({"items": [Item]}, {"items": [{"name": "a"}]}, {"items": [{"parts": []}]}),
        (Item, {"name": "a"}, {"parts": []}),
        (Point, {"x": 1}, {"x": "1"}),
        ({"colour": Colour}, {"colour": "red"}, {"colour": "blue"}),
        ({"note?": str}, {}, {"note": 1}),
    ],
)
def test_models_and_their_definitions_are_followed(fields: Any, fits: Any, not_fits: Any) -> None:
    held = validator_for(object_schema(fields))
    assert held.fits(fits)
    assert not held.fits(not_fits)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"answer": "strng"}, "/answer"),
        ({"a": {"b": []}}, "/a/b"),
        ({"a": [str, int]}, "/a"),
        ({"a": object()}, "/a"),
        ({"a": 7}, "/a"),
        ({1: str}, "/"),
        ({"?": str}, "/"),
        ({"type": "string"}, "/"),
        ({"enum": ["a"]}, "/"),
        (int, "/"),
        ("string", "/"),
        ({"a": {"enum": []}}, "/a"),
        ({"a": {"type": "integer", "minimum": 2, "maximum": 1}}, "/a"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "/"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "/a"),
    ],
)
def test_what_is_no_declaration_or_can_never_be_satisfied_is_refused_with_its_place(
    fields: Any, place: str
) -> None:
    with pytest.raises(InvalidShorthand) as refused:
        object_schema(fields)
    assert refused.value.facts["place"] == place
