"""Serving: whether what is offered today keeps all that the contract promised which a run was compiled with."""

from typing import Any, Final

from bailiwick.contract.capability import Contract
from bailiwick.contract.version import parse_version

_TOLD: Final = ("title", "description", "examples", "default", "$comment")
"""What a schema tells people; it decides about no value."""

_ALIKE: Final = ("name", "kind", "effect", "workspace", "price_micro_usd", "data_boundary")
_NO_MORE: Final = ("permissions", "allowed_apis", "credentials", "tools")


def fault_of_serving(pinned: Contract, offered: Contract) -> str:
    """Say why a contract may not serve in the place of the one that a run pinned; empty when it may.

    It serves if it is the same major version and no older one, takes every argument and answers nothing that the
    pinned one would not, may touch no more, costs the same, and keeps keys as long. Two schemas that are not the
    same are compared part by part; where that does not tell, the change counts as a break.
    """
    had, has = parse_version(pinned.version), parse_version(offered.version)
    if had is None or has is None or has[0] != had[0] or has < had:
        return f"{offered.ref} is no later version of the same major"
    for name in _ALIKE:
        if getattr(pinned, name) != getattr(offered, name):
            return f"{offered.ref} has another {name.removesuffix('_micro_usd')}"
    for name in _NO_MORE:
        more = [each for each in getattr(offered, name) if each not in getattr(pinned, name)]
        if more:
            return f"{offered.ref} reaches further: {name} {', '.join(more)}"
    if not _as_long(pinned, offered):
        return f"{offered.ref} keeps keys for a shorter time, or its calls stay in flight for longer"
    if not takes(offered.input, pinned.input):
        return f"{offered.ref} does not take every argument that {pinned.ref} took"
    if not takes(pinned.output, offered.output):
        return f"{offered.ref} may answer what {pinned.ref} never did"
    return ""


def _as_long(pinned: Contract, offered: Contract) -> bool:
    if offered.in_flight_seconds > pinned.in_flight_seconds:
        return False
    if offered.key_kept_seconds is None:
        return True
    return pinned.key_kept_seconds is not None and offered.key_kept_seconds >= pinned.key_kept_seconds


def takes(wider: Any, narrower: Any) -> bool:
    """Whether every value of the narrower schema is one of the wider schema, as far as that can be told."""
    wider, narrower = _bare(wider), _bare(narrower)
    if wider == narrower or wider in ({}, True):
        return True
    if not isinstance(wider, dict) or not isinstance(narrower, dict):
        return False
    if wider.get("type") != "object" or narrower.get("type") != "object":
        return False
    parts = ("properties", "required", "additionalProperties", "type")
    if {name: part for name, part in wider.items() if name not in parts} != {
        name: part for name, part in narrower.items() if name not in parts
    }:
        return False
    return _objects(wider, narrower)


def _objects(wider: dict[str, Any], narrower: dict[str, Any]) -> bool:
    wide, narrow = wider.get("properties", {}), narrower.get("properties", {})
    if any(name not in narrower.get("required", ()) for name in wider.get("required", ())):
        return False
    if any(not takes(wide[name], narrow[name]) for name in narrow if name in wide):
        return False
    rest, more = wider.get("additionalProperties", True), narrower.get("additionalProperties", True)
    if more is not False and (rest != more or any(name not in narrow for name in wide)):
        return False  # what the narrower one leaves open, the wider one might name and bound
    return rest is not False or all(name in wide for name in narrow)


def _bare(schema: Any) -> Any:
    """Leave out what a schema tells people alone, and keep the names of properties, whatever they are."""
    if not isinstance(schema, dict):
        return [_bare(each) for each in schema] if isinstance(schema, list) else schema
    bare: dict[str, Any] = {}
    for name, part in schema.items():
        if name in ("properties", "$defs"):
            bare[name] = {inner: _bare(child) for inner, child in part.items()}
        elif name in ("const", "enum"):
            bare[name] = part
        elif name not in _TOLD:
            bare[name] = sorted(part) if name == "required" else _bare(part)
    return bare
