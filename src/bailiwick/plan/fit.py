"""Does a template fit a schema: what an author wrote literally, and what a reference promises."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bailiwick.base import Json, canonical
from bailiwick.contract import SchemaError, validator_for
from bailiwick.plan.reader import child
from bailiwick.plan.references import InvalidTemplate, Reference, parse_reference, references_in

Schema = Mapping[str, Any]
Typed = Callable[[Reference], tuple[str, ...]]
"""Answers the JSON types that a reference can yield; () when nothing is known."""

_SHAPE_KEYS = ("type", "properties", "additionalProperties", "patternProperties", "propertyNames")
_MAX_HOPS = 16


def misfits(template: Json, schema: Schema, typed: Typed) -> tuple[SchemaError, ...]:
    """List where a template cannot fit a schema, whatever its references turn out to be.

    Parts without a reference are validated as they stand. Around a reference only what is certain is
    said: a missing or unknown member, a type that never fits.
    """
    return tuple(_misfits(template, schema, schema, "", typed))


def _misfits(template: Json, schema: Schema, root: Schema, pointer: str, typed: Typed) -> list[SchemaError]:
    if not references_in(template):
        whole = _standing_alone(schema, root)
        if whole is None:
            return []
        return [
            SchemaError(pointer + error.pointer, error.detail)
            for error in validator_for(whole).errors(_plain(template))
        ]
    schema = follow(schema, root)
    match template:
        case dict():
            return _object_misfits(template, schema, root, pointer, typed)
        case list():
            items = schema.get("items")
            inner = items if isinstance(items, dict) and "prefixItems" not in schema else {}
            found = _type_misfit(("array",), schema, pointer)
            for at, value in enumerate(template):
                found += _misfits(value, inner, root, child(pointer, at), typed)
            return found
        case _:
            return _type_misfit(_promised(template, typed), schema, pointer)


def _standing_alone(schema: Schema, root: Schema) -> dict[str, Any] | None:
    """Make a subschema that validates by itself; None when it refers to more of its root than `$defs`."""
    if schema is root:
        return dict(schema)
    targets = re.findall(rb'"\$(?:ref|dynamicRef|id)":"([^"]*)"', canonical([schema, root.get("$defs", {})]))
    if not all(target.startswith(b"#/$defs/") for target in targets):
        return None
    return {**schema, "$defs": root["$defs"]} if "$defs" in root else dict(schema)


def _object_misfits(
    template: dict[str, Json], schema: Schema, root: Schema, pointer: str, typed: Typed
) -> list[SchemaError]:
    properties = schema.get("properties", {})
    found = _type_misfit(("object",), schema, pointer)
    for name in schema.get("required", []):
        if name not in template:
            found.append(SchemaError(pointer, f"{name!r} is required"))
    shape = {key: schema[key] for key in _SHAPE_KEYS if key in schema}
    shape["properties"] = dict.fromkeys(properties, True)
    shape["patternProperties"] = dict.fromkeys(schema.get("patternProperties", {}), True)
    if schema.get("additionalProperties") is not False:
        shape.pop("additionalProperties", None)
    names = dict.fromkeys(template)
    found += [
        SchemaError(pointer + error.pointer, error.detail) for error in validator_for(shape).errors(names)
    ]
    for name, value in template.items():
        inner = properties.get(name)
        if isinstance(inner, dict):
            found += _misfits(value, inner, root, child(pointer, name), typed)
    return found


def _plain(template: Json) -> Json:
    """Undo the escape `$$.`, as resolving will."""
    match template:
        case str():
            return (template[1:] if template.startswith("$$.") else template).replace("$${", "${")
        case dict():
            return {name: _plain(value) for name, value in template.items()}
        case list():
            return [_plain(value) for value in template]
        case _:
            return template


def _promised(template: Json, typed: Typed) -> tuple[str, ...]:
    try:
        reference = parse_reference(template)
    except InvalidTemplate:
        return ("string",)
    types = typed(reference)
    return (*types, "null") if types and reference.optional else types


def _type_misfit(promised: tuple[str, ...], schema: Schema, pointer: str) -> list[SchemaError]:
    wanted = types_of(schema)
    if not promised or not wanted:
        return []
    accepted = (*wanted, "integer") if "number" in wanted else wanted
    given = (*promised, "integer") if "number" in promised else promised
    if any(name in accepted for name in given):
        return []
    return [SchemaError(pointer, f"{' or '.join(promised)} is given where {' or '.join(wanted)} is expected")]


def types_of(schema: Schema) -> tuple[str, ...]:
    """List the JSON types that a schema allows, as far as it says so plainly; () when it does not."""
    if "const" in schema:
        return (_type_name(schema["const"]),)
    if "enum" in schema:
        return tuple(dict.fromkeys(_type_name(value) for value in schema["enum"]))
    match schema.get("type"):
        case str() as name:
            return (name,)
        case list() as names:
            return tuple(names)
        case _:
            return ()


def _type_name(value: Json) -> str:
    match value:
        case bool():
            return "boolean"
        case None:
            return "null"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def follow(schema: Schema, root: Schema) -> Schema:
    """Follow local references (`#/$defs/name`) to the schema itself; an odd one yields the open schema."""
    for _ in range(_MAX_HOPS):
        target = schema.get("$ref")
        if not isinstance(target, str):
            return schema
        found = root.get("$defs", {}).get(target.removeprefix("#/$defs/"))
        if not isinstance(found, dict):
            return {}
        schema = found
    return {}


def at_path(schema: Schema, path: tuple[str | int, ...]) -> Schema | None:
    """Find the schema of a place inside what a schema describes.

    Returns:
        The schema there; an empty one when nothing is known; None when it is certain that nothing
        can be there (a closed object without that member, an item of something that is no list).
    """
    root = schema
    for part in path:
        schema = follow(schema, root)
        if any(key in schema for key in ("anyOf", "oneOf", "allOf", "if", "$dynamicRef")):
            return {}
        needed = "array" if isinstance(part, int) else "object"
        if types_of(schema) and needed not in types_of(schema):
            return None
        inner = _inside(schema, part)
        if inner is None or inner is False:
            return None
        schema = inner if isinstance(inner, dict) else {}
    return follow(schema, root)


def _inside(schema: Schema, part: str | int) -> Schema | bool | None:
    if isinstance(part, int):
        items = schema.get("items", {})
        return {} if "prefixItems" in schema else items
    properties = schema.get("properties", {})
    if part in properties:
        found: Schema | bool = properties[part]
        return found
    if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
        return None
    return {}
