"""The plainest value that fits a JSON Schema, always the same one: what the `structured` script answers."""

from typing import Any

from bailiwick.base import Json

_MAX_DEPTH = 12


def sample(schema: dict[str, Any]) -> Json:
    """Make a value for a schema: required properties only, first choices, least numbers.

    Knows const, enum, default, local $ref, anyOf, oneOf, allOf (first member), type and the bounds of numbers,
    texts and lists; `pattern` and `format` are not looked at.
    """
    return _value(schema, schema, 0)


def _value(schema: Json, root: dict[str, Any], depth: int) -> Json:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    schema = _resolved(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _value(schema[key][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            properties = schema.get("properties", {})
            names = schema.get("required", ())
            return {name: _value(properties.get(name, {}), root, depth + 1) for name in names}
        case "array":
            return [_value(schema.get("items", {}), root, depth + 1)] * int(schema.get("minItems", 0))
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "scripted".ljust(int(schema.get("minLength", 0)), ".")[
                : int(schema.get("maxLength", 4096))
            ]


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    target: Json = root
    for part in reference[2:].split("/"):
        target = target.get(part, {}) if isinstance(target, dict) else {}
    return target if isinstance(target, dict) else schema
