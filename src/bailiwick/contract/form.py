"""Forms: what a person fills in by hand, made of the schema that it will be held to."""

from typing import Any

from bailiwick.base import Json

_DEPTH = 8
_PLACES = 200
_PLAIN: dict[str, Json] = {"string": "TEXT", "integer": 0, "number": 0, "boolean": False, "null": None}


def form_of(schema: dict[str, Any]) -> Json:
    """Make a value of a schema's shape: every field once, the placeholder TEXT for text, 0 and false for the rest.

    It is there to be filled in: bounds and patterns are for whoever does. At most 200 places, 8 levels deep.
    """
    return _Form(schema).at(schema, _DEPTH)


class _Form:
    """One form in the making; a schema that refers to itself could go on for ever."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._left = _PLACES

    def at(self, schema: Any, depth: int) -> Json:
        self._left -= 1
        if not isinstance(schema, dict) or depth <= 0 or self._left < 0:
            return None
        if "$ref" in schema:
            return self.at(self._pointed(str(schema["$ref"])), depth - 1)
        if "const" in schema:
            return schema["const"]
        for name in ("enum", "examples"):
            if isinstance(schema.get(name), list) and schema[name]:
                return schema[name][0]
        for name in ("anyOf", "oneOf", "allOf"):
            choices = schema.get(name)
            if isinstance(choices, list) and choices:
                named = [choice for choice in choices if choice != {"type": "null"}]
                return self.at((named or choices)[0], depth - 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Json:
        kind = schema.get("type", "object" if "properties" in schema else "")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "array":
            return [self.at(schema["items"], depth - 1)] if isinstance(schema.get("items"), dict) else []
        if kind != "object":
            return _PLAIN.get(str(kind))
        form: dict[str, Json] = {}
        for name, field in dict(schema.get("properties", {})).items():
            if self._left <= 0:
                break
            form[name] = self.at(field, depth - 1)
        return form

    def _pointed(self, reference: str) -> Any:
        found: Any = self._whole
        for part in reference.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found
