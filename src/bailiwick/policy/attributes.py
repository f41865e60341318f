"""Attributes: what policies may read, and which action carries which of it; schema, requests and docs are made from here."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from bailiwick.base import Json
from bailiwick.policy.request import ActionKind

APPROVALS = "approvals"
_SUBMIT, _START, _TOOL, _MODEL = (
    ActionKind.RUN_SUBMIT,
    ActionKind.STEP_START,
    ActionKind.TOOL_CALL,
    ActionKind.MODEL_CALL,
)
_ABSENT: Mapping[str, Json] = MappingProxyType({"String": "", "Bool": False, "Long": 0, "Set<String>": []})
_HEAD = """\
// What policies may speak of. The program writes this file from its table of attributes, and fills each of them;
// docs/concepts.md says which action carries which, and where its value comes from.

"""


class Attribute(msgspec.Struct, frozen=True):
    """One attribute that policies may read.

    Attributes:
        side: `principal`, `resource` or `context`.
        name: Its name in Cedar.
        type: Its type in Cedar.
        says: What it says, for people.
        carried: The actions that carry it, each with the source of the value; to all others it is absent.
    """

    side: str
    name: str
    type: str
    says: str
    carried: Mapping[ActionKind, str]

    @property
    def absent(self) -> Json:
        """The value that stands for none: policies never meet an attribute that is missing."""
        return _ABSENT[self.type]

    @property
    def place(self) -> str:
        """Its name as policies write it, such as `context.region`."""
        return f"{self.side}.{self.name}"


def _all(source: str) -> dict[ActionKind, str]:
    return dict.fromkeys(ActionKind, source)


def _person(what: str) -> dict[ActionKind, str]:
    return {_SUBMIT: f"the key's {what}", _START: f"the requester's {what}, as at submission"}


def _steps(source: str) -> dict[ActionKind, str]:
    return dict.fromkeys((_START, _TOOL, _MODEL), source)


_ACTOR = "the agent, or the tool that the step is"

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("principal", "tenant", "String", "whose the actor is", _all("the key's or the run's")),
    Attribute("principal", "name", "String", "who acts", {**_person("name"), _TOOL: _ACTOR, _MODEL: _ACTOR}),
    Attribute("principal", "role", "String", "the person's role; agents have none", _person("role")),
    Attribute(
        "principal", "groups", "Set<String>", "the person's groups; agents have none", _person("groups")
    ),
    Attribute(
        "resource",
        "name",
        "String",
        "what is asked for",
        {
            _SUBMIT: "the workflow",
            _START: "the capability",
            _TOOL: "the tool",
            _MODEL: "`model:` and its name",
        },
    ),
    Attribute(
        "resource",
        "version",
        "String",
        "its exact version",
        {_SUBMIT: "the workflow's", **_steps("the contract's")},
    ),
    Attribute(
        "resource",
        "kind",
        "String",
        "workflow, agent, tool or model",
        {_SUBMIT: "`workflow`", **_steps("the contract's")},
    ),
    Attribute(
        "resource",
        "effect",
        "String",
        "its effect class",
        {_SUBMIT: "`read-only`: what a run writes is judged by itself", **_steps("the contract's")},
    ),
    Attribute(
        "resource",
        "permissions",
        "Set<String>",
        "what it may change",
        {_START: "the contract's", _TOOL: "the contract's"},
    ),
    Attribute(
        "resource",
        "allowed_apis",
        "Set<String>",
        "the hosts it may reach",
        {_START: "the contract's", _TOOL: "the contract's"},
    ),
    Attribute("context", "tenant", "String", "where it happens", _all("the key's or the run's")),
    Attribute("context", "app", "String", "where it happens", _all("the intent's")),
    Attribute("context", "pool", "String", "the workers' pool", _all("the deployment's: `default`")),
    Attribute("context", "sandbox", "String", "the sandbox profile", _all("the deployment's: `default`")),
    Attribute("context", "region", "String", "where it may execute", _all("the intent's environment")),
    Attribute("context", "scope", "String", "whose credentials it may use", _all("the intent's environment")),
    Attribute(
        "context",
        "production",
        "Bool",
        "one of these four is called production",
        _all("computed from them"),
    ),
    Attribute(
        "context",
        "declared",
        "Bool",
        "the app, the plan or the acting agent's contract names the capability",
        {
            _SUBMIT: "the app names the workflow",
            _START: "the plan names it",
            _TOOL: "the plan or the contract names it",
            _MODEL: "always",
        },
    ),
    Attribute(
        "context", "subject", "String", "the digest that the action is about", {_TOOL: "the action's facts"}
    ),
    Attribute(
        "context", "reviewed", "Set<String>", "digests whose review passed in this run", _steps("the run's")
    ),
    Attribute("context", "paths", "Set<String>", "the files that it changes", {_TOOL: "the action's bytes"}),
    Attribute(
        "context", "path_classes", "Set<String>", "what these files mean", {_TOOL: "computed from the paths"}
    ),
    Attribute("context", "names_paths", "Bool", "whether it names any", {_TOOL: "computed from the paths"}),
    Attribute("context", "branch", "String", "the branch that it writes", {_TOOL: "the action's facts"}),
    Attribute(
        "context",
        "host",
        "String",
        "where an HTTP tool goes, as `allowed_apis` lists it",
        {_TOOL: "the action's facts"},
    ),
    Attribute("context", "method", "String", "its HTTP method", {_TOOL: "the action's facts"}),
    Attribute(
        "context",
        "url_path",
        "String",
        "the path of its address, as it is sent",
        {_TOOL: "the action's facts"},
    ),
    Attribute("context", "spent_micro_usd", "Long", "spent by the run so far", _steps("the run's")),
    Attribute(
        "context",
        "remaining_micro_usd",
        "Long",
        "what the run may still spend",
        {_SUBMIT: "the budget asked for", **_steps("the run's")},
    ),
    Attribute(
        "context",
        "estimate_micro_usd",
        "Long",
        "what it may cost at most",
        {
            _SUBMIT: "the budget asked for",
            _START: "the contract's price",
            _TOOL: "the contract's price",
            _MODEL: "its input and its output limit, priced",
        },
    ),
    Attribute(
        "context",
        "untrusted",
        "Bool",
        "the run begins with a loaded context, which came from outside",
        _all("the plan's context"),
    ),
    Attribute(
        "context",
        "generated_prompt",
        "Bool",
        "a model would be instructed by what a model wrote",
        {_MODEL: "its instructions, and the run's record"},
    ),
    Attribute(
        "context",
        APPROVALS,
        "Set<String>",
        "groups that approved exactly this action; only a hold may read it",
        {_TOOL: "asked for by the bundle itself"},
    ),
)
"""Every attribute, in the order of the schema."""


def absent_values(side: str) -> dict[str, Json]:
    """List the attributes of one side with the values that stand for none."""
    return {each.name: each.absent for each in ATTRIBUTES if each.side == side}


def carried_by(actions: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Name the (side, name) of all that at least one of these actions carries."""
    return frozenset(
        (each.side, each.name) for each in ATTRIBUTES if any(kind in actions for kind in each.carried)
    )


def cedar_schema() -> str:
    """Write the Cedar schema: every attribute is there for every action, and one that is not carried is empty."""
    actions = ", ".join(f'"{kind}"' for kind in ActionKind)
    return (
        _HEAD
        + "// A person (or a person's key), an agent, and the platform itself (worker, timer, system).\n"
        + f"entity User, Agent, Service = {{\n{_fields('principal')}}};\n\n"
        + f"entity Capability = {{\n{_fields('resource')}}};\n\n"
        + "// Money in micro-USD. `approvals` may be read only by a hold: "
        + 'unless { context.approvals.contains("group") }.\n'
        + f"type Facts = {{\n{_fields('context')}}};\n\n"
        + f"action {actions} appliesTo {{\n"
        + "  principal: [User, Agent, Service],\n  resource: Capability,\n  context: Facts,\n};\n"
    )


def attribute_table() -> str:
    """Write the table of attributes for people, in Markdown."""
    return "\n".join(_rows())


def _fields(side: str) -> str:
    return "".join(f"  {each.name}: {each.type},\n" for each in ATTRIBUTES if each.side == side)


def _rows() -> Iterator[str]:
    kinds = tuple(ActionKind)
    yield f"| attribute | type | what it says | {' | '.join(f'`{kind}`' for kind in kinds)} |"
    yield f"|---|---|---|{'---|' * len(kinds)}"
    for each in ATTRIBUTES:
        cells = (each.carried.get(kind, "-") for kind in kinds)
        yield f"| `{each.place}` | `{each.type}` | {each.says} | {' | '.join(cells)} |"
