"""Schemas: what they say about data, and that a hostile one costs nothing."""

import time
from typing import Any

import pytest

from bailiwick.base import Category
from bailiwick.contract import InvalidSchema, SchemaError, validator_for

BRIEF = {
    "type": "object",
    "properties": {
        "objective": {"type": "string", "minLength": 1},
        "steps": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "a/b~c": {"type": "integer"},
    },
    "required": ["objective", "steps"],
    "additionalProperties": False,
}


def doubling(levels: int) -> dict[str, Any]:
    """Definitions that each refer twice to the one before."""
    definitions: dict[str, Any] = {"a0": {"type": "object"}}
    for level in range(levels):
        twice = [{"$ref": f"#/$defs/a{level}"}, {"$ref": f"#/$defs/a{level}"}]
        definitions[f"a{level + 1}"] = {"allOf": twice}
    return {"$defs": definitions, "$ref": f"#/$defs/a{levels}"}


def test_data_that_fits_has_no_errors() -> None:
    validator = validator_for(BRIEF)
    assert validator.fits({"objective": "x", "steps": ["y"]})
    assert validator.errors({"objective": "x", "steps": ["y"]}) == ()


def test_each_error_says_where_and_what() -> None:
    errors = validator_for(BRIEF).errors({"objective": "x", "steps": ["y", 7]})
    assert errors == (SchemaError("/steps/1", '7 is not of type "string"'),)


def test_a_pointer_escapes_its_own_signs() -> None:
    errors = validator_for(BRIEF).errors({"objective": "x", "steps": ["y"], "a/b~c": "z"})
    assert [error.pointer for error in errors] == ["/a~1b~0c"]


def test_errors_are_bounded_in_number_and_length() -> None:
    errors = validator_for({"items": {"type": "string"}}).errors([["x" * 10_000]] * 1000)
    assert len(errors) == 20
    assert max(len(error.detail) for error in errors) <= 400


def test_the_same_text_is_compiled_once() -> None:
    assert validator_for({"type": "string", "minLength": 3}) is validator_for(
        {"minLength": 3, "type": "string"}
    )


NO_SCHEMAS: dict[str, dict[str, Any]] = {
    "an unknown type": {"type": "nope"},
    "an unknown type, deep": {"properties": {"a": {"items": {"type": "zz"}}}},
    "a remote reference": {"$ref": "http://example.invalid/schema"},
    "a remote reference, deep": {"properties": {"a": {"$ref": "https://example.invalid/s"}}},
    "a reference to a file": {"$ref": "file:///etc/passwd"},
    "a reference through a base": {"$id": "http://example.invalid/root", "$ref": "other.json"},
    "a base below the root": {"properties": {"a": {"$id": "http://example.invalid/x", "type": "string"}}},
    "a dynamic reference": {"$dynamicRef": "http://example.invalid/a"},
    "a reference to nowhere": {"$ref": "#/nowhere"},
    "a reference that is no text": {"$ref": 1},
    "another dialect": {"$schema": "http://json-schema.org/draft-07/schema#"},
    "look-ahead": {"pattern": "(?=a)b"},
    "look-behind in a key": {"patternProperties": {"(?<!a)b": {}}},
    "a back-reference": {"pattern": r"(a)\1"},
    "no pattern": {"pattern": "("},
    "a pattern of a million states": {"pattern": "a{1000}{1000}"},
    "a pattern of megabytes": {"pattern": r"^[\w.]{50}(\pL|\d){40}x$"},
    "many patterns": {"anyOf": [{"pattern": f"^x{number}$"} for number in range(65)]},
    "doubling references": doubling(60),
    "not json": {"const": {1, 2}},
    "too large": {"enum": ["x" * 70_000]},
}


@pytest.mark.parametrize("schema", NO_SCHEMAS.values(), ids=NO_SCHEMAS.keys())
def test_what_we_do_not_run_is_refused_quickly(schema: dict[str, Any]) -> None:
    began = time.process_time()
    with pytest.raises(InvalidSchema) as refusal:
        validator_for(schema)
    assert time.process_time() - began < 1.0
    assert refusal.value.code == "invalid_schema"
    assert refusal.value.category is Category.INVALID
    assert len(refusal.value.message) < 500


def test_a_pattern_that_ruins_backtracking_engines_answers_at_once() -> None:
    validator = validator_for({"pattern": "^(a+)+$"})
    began = time.process_time()
    assert not validator.fits("a" * 1_000_000 + "!")
    assert time.process_time() - began < 1.0


def test_branching_recursion_is_refused() -> None:
    twice = [{"properties": {"next": {"$ref": "#"}}}, {"properties": {"next": {"$ref": "#"}}}]
    with pytest.raises(InvalidSchema, match="unfold"):
        validator_for({"allOf": twice})


def test_plain_recursion_is_welcome() -> None:
    tree = {
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "steps": {"items": {"$ref": "#"}}},
        "additionalProperties": False,
    }
    validator = validator_for(tree)
    assert validator.fits({"left": {"right": {}}, "steps": [{"left": {}}]})
    assert not validator.fits({"left": {"right": {"middle": {}}}})


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, doubling(8)])
def test_a_schema_that_refers_to_itself_in_place_ends(schema: dict[str, Any]) -> None:
    assert validator_for(schema).fits({"a": 1})


def test_a_long_chain_of_references_ends_in_an_answer() -> None:
    definitions: dict[str, Any] = {"a0": {"type": "object"}}
    for level in range(1500):
        definitions[f"a{level + 1}"] = {"$ref": f"#/$defs/a{level}"}
    with pytest.raises(InvalidSchema, match="too deep"):
        validator_for({"$defs": definitions, "$ref": "#/$defs/a1500"})


def test_a_property_may_be_called_like_a_keyword() -> None:
    validator = validator_for({"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}})
    assert validator.fits({"$ref": "http://example.invalid", "pattern": "("})
    assert not validator.fits({"$ref": 1})


@pytest.mark.parametrize("spelled", ["a", "%61"])
def test_a_reference_counts_however_its_name_is_spelled(spelled):
    size = 26
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/{spelled}{n + 1}"}] * 2} for n in range(size)}
    with pytest.raises(InvalidSchema, match="unfold"):
        validator_for({"$ref": f"#/$defs/{spelled}0", "$defs": {**parts, f"a{size}": {"type": "object"}}})
