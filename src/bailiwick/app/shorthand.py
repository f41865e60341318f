"""Short ways to write a JSON Schema of an object: `{"summary": str, "verdict": ["pass", "send-back"]}`."""

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick.base import Category, Refusal

_TYPES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}
_NAMES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_KEYWORDS = frozenset({
    "type", "enum", "const", "properties", "items", "not", "anyOf", "oneOf", "allOf", "prefixItems", "if",
    "then", "else", "required", "additionalProperties", "patternProperties", "propertyNames",
    "dependentSchemas", "dependentRequired", "minProperties", "maxProperties", "minItems", "maxItems",
    "uniqueItems", "contains", "minContains", "maxContains", "minLength", "maxLength", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "title", "description",
    "default", "examples", "deprecated", "readOnly", "writeOnly", "unevaluatedItems",
    "unevaluatedProperties", "contentEncoding", "contentMediaType",
})  # fmt: skip
_SCALARS = (str, int, float, bool, type(None))
_BOUNDS = (
    ("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"),
)  # fmt: skip


class InvalidShorthand(Refusal, code="invalid_shorthand", category=Category.INVALID):
    """A field is declared in a way that is no schema, or that no value can fit."""

    place: str
    reason: str
    says = "the declaration of {place} cannot be used: {reason}"
    remedy = (
        "give a Python type, the name of a JSON type, a list of values, [type] for an array, or a JSON Schema"
    )


def object_schema(fields: Any) -> dict[str, Any]:
    """Turn a shorthand into a closed JSON Schema; a value that is a schema already is handed back.

    A field is a Python type (str, int | None, Literal, list[X], a TypedDict, a pydantic model, …) or the name of a JSON
    type ("string"), a list of one type (`[str]`: array of it), a list of literals (an enumeration), a nested shorthand
    (dict), or a JSON Schema: a dict of its keywords alone. A name that ends in `?` is optional. The whole may be a JSON
    Schema or one type, which must be an object's.

    Raises:
        InvalidShorthand: A field is none of these, or no object can fit.
    """
    definitions: dict[str, Any] = {}
    schema = _field(fields, "", definitions)
    if definitions:
        schema = {**schema, "$defs": {**definitions, **schema.get("$defs", {})}}
    kinds = schema.get("type", "object")
    if "object" not in ([kinds] if isinstance(kinds, str) else kinds):
        raise InvalidShorthand("/", f"it is of type {kinds}, and must be an object")
    if not any(isinstance(value, dict) for value in _listed(schema, [{}])):
        raise InvalidShorthand("/", "it lists values, and none of them is an object")
    for place, reason in _contradictions(schema, ""):
        raise InvalidShorthand(place or "/", reason)
    return schema


def _field(value: Any, place: str, definitions: dict[str, Any]) -> dict[str, Any]:
    match value:
        case dict() if _is_schema(value):
            return _hoisted(value, place, definitions) if place else value
        case dict():
            return _object(value, place, definitions)
        case str() if value in _NAMES:
            return {"type": value}
        case str():
            raise InvalidShorthand(
                place, f"{value[:60]!r} is no type; one value alone is written [{value[:60]!r}]"
            )
        case list() | tuple():
            return _list(list(value), place, definitions)
        case None:
            return {"type": "null"}
        case _ if isinstance(value, type) and value in _TYPES:
            return {"type": _TYPES[value]}
    if typing.is_typeddict(value):  # pydantic reads those of the standard library from Python 3.12 on
        hints = typing.get_type_hints(value)
        return _object(
            {n if n in value.__required_keys__ else f"{n}?": hint for n, hint in hints.items()},
            place,
            definitions,
        )
    return _annotated(value, place, definitions)


def _object(fields: dict[Any, Any], place: str, definitions: dict[str, Any]) -> dict[str, Any]:
    odd = next((name for name in fields if not isinstance(name, str) or not name.removesuffix("?")), None)
    if odd is not None:
        raise InvalidShorthand(place or "/", f"{odd!r} is no name of a field")
    properties = {
        name.rstrip("?"): _field(value, f"{place}/{name.rstrip('?')}", definitions)
        for name, value in fields.items()
    }
    required = [name for name in fields if not name.endswith("?")]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(values: list[Any], place: str, definitions: dict[str, Any]) -> dict[str, Any]:
    if not values:
        raise InvalidShorthand(place, "an empty list names neither a type nor a value")
    if all(isinstance(each, _SCALARS) for each in values):
        return {"enum": values}
    if len(values) > 1:
        raise InvalidShorthand(place, "a list holds values, or one type; several types are written with |")
    return {"type": "array", "items": _field(values[0], f"{place}/0", definitions)}


def _annotated(annotation: Any, place: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Make the schema of a type as pydantic reads it."""
    import pydantic  # noqa: PLC0415 -- half the start of a program whose agents are written with plain types

    try:
        schema = pydantic.TypeAdapter(annotation).json_schema()
    except Exception as error:  # whatever a foreign object does when it is taken for a type
        said = str(error).partition("\n")[0][:200]
        raise InvalidShorthand(
            place or "/", f"{annotation!r:.80} is no type that JSON can carry: {said}"
        ) from error
    return _hoisted(schema, place, definitions)


def _hoisted(schema: dict[str, Any], place: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions of a part to the whole, where its references point."""
    for name, definition in schema.get("$defs", {}).items():
        if definitions.setdefault(name, definition) != definition:
            raise InvalidShorthand(place or "/", f"two different definitions are called {name!r}")
    return {key: value for key, value in schema.items() if key != "$defs"}


def _is_schema(value: Mapping[Any, Any]) -> bool:
    """Whether a dict is a JSON Schema: its keywords alone, and one of them says what fits."""
    if not all(
        isinstance(key, str) and (key in _KEYWORDS or key[:1] == "$" or key[:2] == "x-") for key in value
    ):
        return False
    kinds = value.get("type")
    named = [kinds] if isinstance(kinds, str) else kinds
    return (
        (isinstance(named, list) and bool(named) and all(isinstance(n, str) and n in _NAMES for n in named))
        or isinstance(value.get("$ref"), str)
        or any(_dicts(value.get(name)) for name in _LISTS)
        or (isinstance(value.get("enum"), list) and "type" not in value)
        or ("const" in value and isinstance(value["const"], (*_SCALARS, dict, list)))
        or (isinstance(value.get("properties"), dict) and _dicts(list(value["properties"].values())))
        or (isinstance(value.get("items"), dict) and _is_schema(value["items"]))
    )


def _dicts(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(each, dict | bool) for each in values)


def _listed(schema: Mapping[str, Any], otherwise: list[Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else schema.get("enum", otherwise)


def _contradictions(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    """Find what no value can fit, in the parts that a fitting value must have."""
    if not isinstance(schema, dict):
        return
    if schema.get("enum") == []:
        yield place, "its enumeration is empty"
    for least, most in _BOUNDS:
        low, high = schema.get(least), schema.get(most)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield place, f"its {least} {low} is above its {most} {high}"
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return
    lacking = [name for name in required if name not in properties]
    if lacking and schema.get("additionalProperties") is False and "patternProperties" not in schema:
        yield place, f"it requires {', '.join(map(str, lacking))}, and lets nothing be called so"
    for name in required:
        if properties.get(name) is False:
            yield f"{place}/{name}", "it is required, and nothing fits it"
        yield from _contradictions(properties.get(name), f"{place}/{name}")
