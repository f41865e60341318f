"""Short ways to write a JSON Schema of an object: `{"summary": str, "verdict": ["pass", "send-back"]}`."""

from typing import Any

_TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}


def object_schema(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn a shorthand into a closed JSON Schema; a value that is a schema already is handed back.

    A field is a Python type (str, int, float, bool, dict), a list of one type (`[str]`: array of it), a
    list of literals (an enumeration), a nested shorthand (dict), or `{"$schema…"}`-style JSON Schema with a
    `type` key that is a string. A name that ends in `?` is optional.
    """
    if isinstance(fields.get("type"), str):
        return fields
    properties = {name.rstrip("?"): _field(value) for name, value in fields.items()}
    required = [name for name in fields if not name.endswith("?")]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _field(value: Any) -> dict[str, Any]:
    if isinstance(value, type):
        return {"type": _TYPES[value]}
    if isinstance(value, dict):
        return object_schema(value)
    if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], str):
        return {"type": "array", "items": _field(value[0])}
    return {"enum": list(value)}
