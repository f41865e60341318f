"""The plan as data: a graph of nodes that the run machine walks, and the canonical bytes that name it."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

import msgspec

from bailiwick.base import Digest, canonical, digest_of, parse_canonical
from bailiwick.contract import ErrorCategory

UNDO = "~undo"
"""What follows a step's id, or a step instance's name, in the name of its compensation; no author's id can hold it."""


class NodeKind(StrEnum):
    """What a node stands for: one kind of capability, or a block of further nodes."""

    AGENT = "agent"
    TOOL = "tool"
    MODEL = "model"
    BLOCK = "block"


class OnError(StrEnum):
    """What happens to the run when a step has failed and no retry is left."""

    FAIL = "fail"
    HUMAN = "human"
    FALLBACK = "fallback"


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a failed step gets another attempt.

    `attempts` counts all of them, the first included (1..10). The wait before attempt n + 1 is
    `backoff_seconds * factor ** (n - 1)`, at most `max_seconds`.
    """

    on: tuple[ErrorCategory, ...]
    attempts: int = 3
    backoff_seconds: float = 1.0
    factor: float = 2.0
    max_seconds: float = 60.0


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A loop: run the node until the CEL condition `until` holds, at most `max` (1..20) times."""

    until: str
    max: int


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one step instance is stopped, over all of its attempts, until a person lets it go on.

    `repeats` is how often an action may come again in the same state with nothing new learned; `seconds` is
    time in a worker's hands; `tokens` counts input and output of its model calls.
    """

    repeats: int = 3
    model_turns: int = 100
    calls: int = 1000
    tokens: int = 10_000_000
    seconds: int = 86_400


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the graph; its id is unique in the whole plan.

    `uses` and `fallback` are exact capabilities (`name@x.y.z`), `contract` and `fallback_contract` the
    digests of their contracts; all empty for a block. `after` holds ids of sibling nodes only.
    `timeout_seconds` is 0 for a block, which has no clock of its own. `reviews` is a reference to the
    digest of what this step reviews: an output with `verdict` "pass" attests that digest. Once a `pivot`
    has been done, the run can only go forward.
    """

    id: str
    kind: NodeKind
    parent: str = ""
    uses: str = ""
    contract: str = ""
    after: tuple[str, ...] = ()
    input: dict[str, Any] = msgspec.field(default_factory=dict)
    when: str = ""
    retry: Retry | None = None
    timeout_seconds: int = 0
    on_error: OnError = OnError.FAIL
    fallback: str = ""
    fallback_contract: str = ""
    repeat: Repeat | None = None
    reviews: str = ""
    approval: str = ""
    reason: str = ""
    limits: Limits | msgspec.UnsetType = msgspec.UNSET
    pivot: bool = False


class ContextItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One read-only action whose output the run starts with, as `$.context.<id>`."""

    id: str
    uses: str
    contract: str
    input: dict[str, Any] = msgspec.field(default_factory=dict)


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A capability that the plan's steps or their agents may call, and the digest of its contract."""

    capability: str
    contract: str


class Plan(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """What a run will do.

    `nodes` stand in document order, parents before their children. `rules[i]` (`rule@version`) is the
    architect rule that checks `constraints[i]`. `planner` is an exact capability, or empty when the
    brief comes from the workflow's own text. `pins` lists every contract that the plan can reach, the
    tools of its agents included, ordered by capability. `compensations` undo steps or blocks: each is a tool's
    node whose id is that of the node it undoes and `~undo`; it stands in no order and is walked by a rollback alone.
    """

    name: str
    version: str
    objective: str
    nodes: tuple[Node, ...]
    constraints: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    planner: str = ""
    planner_contract: str = ""
    context: tuple[ContextItem, ...] = ()
    pins: tuple[Pin, ...] = ()
    compensations: tuple[Node, ...] = ()

    @cached_property
    def digest(self) -> Digest:
        """The digest of its canonical bytes, by which it is named."""
        return digest_of(plan_bytes(self))

    @cached_property
    def _by_id(self) -> Mapping[str, Node]:
        return MappingProxyType({node.id: node for node in (*self.nodes, *self.compensations)})

    @cached_property
    def _constant(self) -> frozenset[str]:
        return frozenset(
            node.id for node in (*self.nodes, *self.compensations) if b"$" not in canonical(node.input)
        )

    @cached_property
    def _by_parent(self) -> Mapping[str, tuple[Node, ...]]:
        groups: dict[str, list[Node]] = {}
        for node in self.nodes:
            groups.setdefault(node.parent, []).append(node)
        return MappingProxyType({parent: tuple(nodes) for parent, nodes in groups.items()})

    @cached_property
    def _by_predecessor(self) -> Mapping[str, tuple[Node, ...]]:
        groups: dict[str, list[Node]] = {}
        for node in self.nodes:
            for before in node.after:
                groups.setdefault(before, []).append(node)
        return MappingProxyType({before: tuple(nodes) for before, nodes in groups.items()})

    @cached_property
    def _before(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}

        def look(id: str) -> tuple[str, ...]:
            if id not in found:
                direct = self._by_id[id].after
                found[id] = tuple(sorted({*direct, *(name for each in direct for name in look(each))}))
            return found[id]

        return MappingProxyType({node.id: look(node.id) for node in self.nodes})

    def node(self, id: str) -> Node:
        """Find a node.

        Raises:
            KeyError: The plan has none of this id.
        """
        return self._by_id[id]

    def is_constant(self, id: str) -> bool:
        """Whether a node's input cites nothing: it is what its author wrote, in every run."""
        return id in self._constant

    def compensation(self, id: str) -> Node | None:
        """Find what undoes a node; None when the author named nothing."""
        return self._by_id.get(id + UNDO)

    def children(self, id: str) -> tuple[Node, ...]:
        """List the nodes directly inside a block, in document order; "" lists the top level."""
        return self._by_parent.get(id, ())

    def dependents(self, id: str) -> tuple[Node, ...]:
        """List the siblings that wait for a node, in document order."""
        return self._by_predecessor.get(id, ())

    def before(self, id: str) -> tuple[str, ...]:
        """Name the siblings that have passed before a node begins: those it waits for, and those that they waited for."""
        return self._before[id]

    def ancestors(self, id: str) -> tuple[Node, ...]:
        """List the blocks around a node, the innermost first."""
        found: list[Node] = []
        parent = self._by_id[id].parent
        while parent:
            block = self._by_id[parent]
            found.append(block)
            parent = block.parent
        return tuple(found)


def plan_bytes(plan: Plan) -> bytes:
    """Encode a plan to its canonical bytes."""
    return canonical(msgspec.to_builtins(plan))


def parse_plan(body: bytes) -> Plan:
    """Read back bytes that `plan_bytes` wrote."""
    return msgspec.convert(parse_canonical(body), Plan)
