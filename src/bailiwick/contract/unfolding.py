"""How much work a schema can ask for: references stay inside the document, and unfold to a bounded size.

A few hundred bytes of schema whose definitions refer twice to each other ask for 2**n evaluations, so whoever
may bring a schema could stop the service. Counted is how often one place of a value can be looked at.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from bailiwick.base import Json

MAX_EVALUATIONS = 1_000_000
MAX_PATTERNS = 64
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEPTH = 32  # the strict door lets no value be deeper
_SAME_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_PLACE = ("not", "if", "then", "else")
_CHILD = (
    "additionalProperties", "items", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip


def fault_in_schema(schema: dict[str, Any]) -> str:
    """Say why a schema is not run; empty when nothing is wrong with it here."""
    if schema.get("$schema", _DIALECT) not in (_DIALECT, f"{_DIALECT}#"):
        return f"$schema is not {_DIALECT}"
    if sum(_patterns_in(part) for part in _objects(schema)) > MAX_PATTERNS:
        return f"more than {MAX_PATTERNS} patterns"
    counter = _Counter(schema)
    try:
        count = counter.evaluations(schema, _DEPTH)
    except RecursionError:
        return "references are chained too deep"
    if counter.fault:
        return counter.fault
    return f"references unfold to more than {MAX_EVALUATIONS} evaluations" if count > MAX_EVALUATIONS else ""


def _objects(part: Json) -> Iterator[dict[str, Any]]:
    left = [part]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            yield here
            left.extend(here.values())
        elif isinstance(here, list):
            left.extend(here)


def _patterns_in(part: dict[str, Any]) -> int:
    named = part.get("patternProperties")
    return isinstance(part.get("pattern"), str) + (len(named) if isinstance(named, dict) else 0)


class _Counter:
    """Counts evaluations per depth of the value, each (schema, depth) once."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.fault = ""
        self._root = root
        self._known: dict[tuple[int, int], int] = {}

    def evaluations(self, schema: Json, depth: int) -> int:
        if not isinstance(schema, dict) or depth < 0:
            return 1
        key = (id(schema), depth)
        if key not in self._known:
            self._known[key] = (
                1  # what a reference back to this place, at the same depth, finds: the validator stops there
            )
            here = sum(self.evaluations(part, depth) for part in self._same_place(schema))
            below = self._below(schema, depth - 1)
            self._known[key] = min(1 + here + below, MAX_EVALUATIONS + 1)
        return self._known[key]

    def _below(self, schema: dict[str, Any], depth: int) -> int:
        """Count for one child: all that apply to every child, and the heaviest of those that apply to one each."""
        count = sum(self.evaluations(schema[name], depth) for name in _CHILD if name in schema)
        count += sum(self.evaluations(part, depth) for part in _values(schema.get("patternProperties")))
        for parts in (_values(schema.get("properties")), _values(schema.get("prefixItems"))):
            count += max((self.evaluations(part, depth) for part in parts), default=0)
        return count

    def _same_place(self, schema: dict[str, Any]) -> Iterator[Json]:
        for name in _SAME_PLACE_LISTS:
            yield from _values(schema.get(name))
        yield from (schema[name] for name in _SAME_PLACE if name in schema)
        yield from _values(schema.get("dependentSchemas"))
        if "$dynamicRef" in schema or ("$id" in schema and schema is not self._root):
            self.fault = "$dynamicRef, and $id below the root, are not supported"
        if "$ref" in schema:
            yield self._target(schema["$ref"])

    def _target(self, reference: Json) -> Json:
        here: Json = self._root
        if not isinstance(reference, str) or (reference != "#" and not reference.startswith("#/")):
            self.fault = f"$ref {str(reference)[:80]!r} is not # or #/..."
            return None
        for part in unquote(reference[1:]).split("/")[1:]:  # the validator reads it so
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
                here = here[int(name)]
            else:
                here = here.get(name) if isinstance(here, dict) else None
        return here


def _values(part: Json) -> list[Json]:
    match part:
        case dict():
            return list(part.values())
        case list():
            return part
    return []
