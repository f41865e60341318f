"""From an action request to what the engine sees of it: only those attributes that some policy reads.

A `Projection` turns a request into canonical bytes (the key of the verdict memo), and such bytes into the
engine's request. All that no policy reads is absent from the bytes and has a fixed value for the engine, so
a verdict is by construction a function of the bundle and the bytes.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from bailiwick.base import Json, canonical, parse_canonical
from bailiwick.policy.attributes import absent_values
from bailiwick.policy.paths import is_production, path_classes
from bailiwick.policy.request import ActionRequest
from bailiwick.policy.syntax import Reads

_PRINCIPAL = absent_values("principal")
_RESOURCE = absent_values("resource")
_CONTEXT = absent_values("context")
_TYPES = {"user": "User", "agent": "Agent"}
_OTHER_TYPE = "Service"
_FIELDS = {"name": "capability"}
_ENVIRONMENT = ("pool", "sandbox", "region", "scope")
_HEAD = ("principal.kind", "action")


def _role(request: ActionRequest) -> Json:
    return request.principal.role if request.principal.role is not None else ""


def _production(request: ActionRequest) -> Json:
    place = request.environment
    return is_production(place.pool, place.sandbox, place.region, place.scope)


def _classes(request: ActionRequest) -> Json:
    if not request.paths and not request.classes:
        return ()
    return sorted({*path_classes(request.paths), *request.classes})


def _names_paths(request: ActionRequest) -> Json:
    return bool(request.paths)


_COMPUTED: dict[tuple[str, str], Callable[[ActionRequest], Json]] = {
    ("principal", "role"): _role,
    ("context", "production"): _production,
    ("context", "path_classes"): _classes,
    ("context", "names_paths"): _names_paths,
}


class Question(NamedTuple):
    """What the engine is asked."""

    request: dict[str, Any]
    entities: list[dict[str, Any]]


class Projection:
    """The attributes that one bundle's policies read, taken from requests."""

    def __init__(self, reads: Reads) -> None:
        wanted = [
            (side, name)
            for side, names in (("principal", _PRINCIPAL), ("resource", _RESOURCE), ("context", _CONTEXT))
            for name in names
            if (side, name) in reads.attributes or (side == "context" and reads.whole_context)
        ]
        plain = [place for place in wanted if place not in _COMPUTED]
        computed = [place for place in wanted if place in _COMPUTED]
        sources = [*_HEAD, *(_source(*place) for place in plain)]
        if reads.principal_id:
            sources.append("principal.id")
            plain.append(("principal", "id"))
        if reads.resource_id:
            sources.append("capability")
            plain.append(("resource", "id"))
        self._take = attrgetter(*sources)
        self._compute = tuple(_COMPUTED[place] for place in computed)
        self._places = tuple(plain), tuple(computed)
        self.attributes = tuple(f"{side}.{name}" for side, name in (*plain, *computed))

    def key(self, request: ActionRequest) -> bytes:
        """Write down what the policies read of a request.

        Raises:
            TypeError: A value is no JSON (an integer over 64 bits, a lone surrogate, an object).
            AttributeError: It is not an action request.
        """
        return canonical((self._take(request), [compute(request) for compute in self._compute]))

    def question(self, key: bytes) -> Question:
        """Turn a key into the engine's question."""
        (kind, action, *taken), computed = parse_canonical(key)
        sides: dict[str, dict[str, Any]] = {
            "principal": {"id": "", **_PRINCIPAL},
            "resource": {"id": "", **_RESOURCE},
            "context": dict(_CONTEXT),
        }
        plain, derived = self._places
        for (side, name), value in zip((*plain, *derived), (*taken, *computed), strict=True):
            sides[side][name] = value
        principal = {"type": _TYPES.get(kind, _OTHER_TYPE), "id": sides["principal"].pop("id")}
        resource = {"type": "Capability", "id": sides["resource"].pop("id")}
        return Question(
            request={
                "principal": principal,
                "action": {"type": "Action", "id": action},
                "resource": resource,
                "context": sides["context"],
            },
            entities=[
                {"uid": principal, "attrs": sides["principal"], "parents": []},
                {"uid": resource, "attrs": sides["resource"], "parents": []},
            ],
        )


def _source(side: str, name: str) -> str:
    if side == "principal":
        return f"principal.{name}"
    if side == "resource":
        return _FIELDS.get(name, name)
    return f"environment.{name}" if name in _ENVIRONMENT else name
