"""The syntax tree of policies, read: which attributes they look at, and whether a hold is written as a hold."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
from cedarpy import pst

from bailiwick.policy.attributes import APPROVALS

_SIDES = ("principal", "resource", "context")


class Reads(msgspec.Struct, frozen=True):
    """What the decision of a policy set can depend on, besides the action and the principal's type.

    `attributes` are (principal | resource | context, name); `whole_context` says that the context is also
    used as one value, `principal_id` and `resource_id` that the entity itself is compared.
    """

    attributes: frozenset[tuple[str, str]]
    whole_context: bool
    principal_id: bool
    resource_id: bool


def reads_of(policies: pst.PolicySet) -> Reads:
    """Collect what a policy set reads.

    It errs on the side of more: an attribute of anything but a plain variable counts as read from all three,
    and any mention of a single entity counts as a comparison with both principal and resource.
    """
    attributes: set[tuple[str, str]] = set()
    bare: set[str] = set()
    for node, parent in _walk(policies):
        if isinstance(node, pst.GetAttr | pst.HasAttr):
            names = (node.attr,) if isinstance(node, pst.GetAttr) else node.attrs
            sides = (node.base.name,) if isinstance(node.base, pst.Var) else _SIDES
            attributes.update((side, name) for side in sides for name in names)
        elif isinstance(node, pst.Var) and not isinstance(parent, pst.GetAttr | pst.HasAttr | pst.Is):
            bare.add(node.name)
        elif _names_an_entity(node):
            bare.update(("principal", "resource"))
    return Reads(
        attributes=frozenset(attributes),
        whole_context="context" in bare,
        principal_id="principal" in bare,
        resource_id="resource" in bare,
    )


def named_reads(policy: pst.Template) -> frozenset[tuple[str, str]]:
    """Collect the attributes that a policy names, with the side (`principal`, `resource`, `context`; "" for another value)."""
    found: set[tuple[str, str]] = set()
    for node, _ in _walk(policy):
        if isinstance(node, pst.GetAttr | pst.HasAttr):
            names = (node.attr,) if isinstance(node, pst.GetAttr) else node.attrs
            side = node.base.name if isinstance(node.base, pst.Var) else ""
            found.update((side, name) for name in names)
    return frozenset(found)


def scoped_actions(policy: pst.Template) -> frozenset[str]:
    """Name the actions that a policy's head restricts it to; empty when it holds for all."""
    match policy.action:
        case pst.ActionEq(entity=entity):
            return frozenset({entity.id})
        case pst.ActionIn(entities=entities):
            return frozenset(entity.id for entity in entities)
        case _:
            return frozenset()


def approval_groups(policy: pst.Template) -> tuple[str, ...]:
    """List the groups asked in clauses `unless { context.approvals.contains("group") }` and no other."""
    groups = [_asked_group(clause) for clause in policy.clauses]
    return tuple(group for group in groups if group is not None)


def approval_reads(policy: pst.Template) -> int:
    """Count the places where a policy looks at approvals, in whatever form."""
    found = 0
    for node, parent in _walk(policy):
        if isinstance(node, pst.GetAttr):
            found += node.attr == APPROVALS
        elif isinstance(node, pst.HasAttr):
            found += APPROVALS in node.attrs
        elif isinstance(node, pst.Var) and node.name == "context":
            found += not isinstance(parent, pst.GetAttr | pst.HasAttr)
    return found


def _names_an_entity(node: object) -> bool:
    if isinstance(node, pst.Is):
        return node.in_expr is not None
    return isinstance(node, pst.EntityUid) and node.type.basename != "Action"


def _asked_group(clause: pst.Clause) -> str | None:
    match clause:
        case pst.Unless(
            pst.BinaryOp("contains", pst.GetAttr(pst.Var("context"), "approvals"), pst.StringLit(group))
        ):
            return group
        case _:
            return None


def _walk(root: object) -> Iterator[tuple[object, object]]:
    stack: list[tuple[Any, object]] = [(root, None)]
    while stack:
        node, parent = stack.pop()
        if isinstance(node, Mapping):
            stack.extend((child, parent) for child in node.values())
        elif isinstance(node, tuple):
            stack.extend((child, parent) for child in node)
        elif is_dataclass(node):
            yield node, parent
            stack.extend((getattr(node, field.name), node) for field in fields(node))
