"""A policy reads what its action carries: what is misspelt, or always empty there, is refused when it is loaded."""

import pytest
from policy_requests import bundle_with, in_process, only, request

from bailiwick.policy import (
    ActionKind,
    ActionRequest,
    PolicyRefused,
    VerdictKind,
    build_bundle,
    default_files,
)
from bailiwick.policy.attributes import ATTRIBUTES, Attribute, absent_values

HOLDS = {"String": '{} == ""', "Bool": "{} == false", "Long": "{} == 0", "Set<String>": "{}.isEmpty()"}
CELLS = [
    pytest.param(attribute, action, id=f"{action}-{attribute.place}")
    for attribute in ATTRIBUTES
    for action in ActionKind
    if attribute.name != "approvals"
]


def forbidding(attribute: Attribute, scope: str) -> str:
    condition = HOLDS[attribute.type].format(attribute.place)
    return f'@id("own.cell") @reason("r")\nforbid (principal, {scope}, resource) when {{ {condition} }};'


@pytest.mark.parametrize(("attribute", "action"), CELLS)
def test_a_policy_on_what_its_action_never_carries_is_refused(
    attribute: Attribute, action: ActionKind
) -> None:
    text = forbidding(attribute, f'action == Action::"{action}"')
    if action in attribute.carried:
        assert bundle_with(text).rules["own.cell"]
        return
    with pytest.raises(PolicyRefused) as refused:
        bundle_with(text)
    assert f"{attribute.place} is always empty at {action}" in refused.value.message


def test_one_action_that_carries_it_is_enough() -> None:
    role = next(each for each in ATTRIBUTES if each.place == "principal.role")
    assert bundle_with(forbidding(role, 'action in [Action::"run.submit", Action::"tool.call"]'))
    assert bundle_with(forbidding(role, "action"))


@pytest.mark.parametrize("name", ["regoin", "Region", "regions", "environment"])
@pytest.mark.parametrize("form", ['context.{} == "eu"', 'context has {} && context.{} == "eu"'])
def test_a_misspelt_attribute_is_refused_when_it_is_loaded(name: str, form: str) -> None:
    condition = form.replace("{}", name)
    text = f'@id("own.typo") @reason("r") forbid (principal, action, resource) when {{ {condition} }};'
    with pytest.raises(PolicyRefused, match=r"own\.typo"):
        bundle_with(text)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda each: each.place)
def test_what_is_absent_is_empty_and_never_missing(attribute: Attribute) -> None:
    if attribute.name == "approvals":
        return
    assert absent_values(attribute.side)[attribute.name] == attribute.absent
    bundle = only(
        '@id("own.all") @reason("r") permit (principal, action, resource);' + forbidding(attribute, "action")
    )
    bare = ActionRequest(
        principal=request().principal,
        action=ActionKind.TOOL_CALL,
        capability="",
        version="",
        kind="",
        effect="",  # type: ignore[arg-type]
        tenant="",
        app="",
    )
    if attribute.side == "principal" and attribute.name in ("tenant", "name"):
        return
    verdict = bundle.decide(bare)
    assert (verdict.effect, verdict.policies, verdict.errors) == (VerdictKind.DENY, ("own.cell",), ())


def test_the_schema_is_made_from_the_table() -> None:
    schema = default_files()["schema.cedarschema"]
    for attribute in ATTRIBUTES:
        assert f"  {attribute.name}: {attribute.type},\n" in schema
    assert build_bundle(default_files(), in_process).version
