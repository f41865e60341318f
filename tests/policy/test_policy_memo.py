"""Promises of the verdict memo: it saves work, and never changes what is decided."""

from typing import Any

import cedarpy
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_requests import bundle_with, request

from bailiwick.contract import EffectClass
from bailiwick.policy import (
    ActionKind,
    ActionRequest,
    Bundle,
    Environment,
    Principal,
    PrincipalKind,
    Role,
    VerdictKind,
    is_production,
    path_classes,
)

OWN = """
@id("mine.root") @reason("r") forbid (principal == User::"u1", action, resource) when { context.app == "b" };
@id("mine.money") @reason("m") @require_approval("money")
forbid (principal, action, resource) when { context.estimate_micro_usd > 5 && principal.name like "a*" }
unless { context.approvals.contains("money") };
@id("mine.ent") @reason("e") permit (principal, action, resource)
when { (if context.untrusted then principal.groups else resource.allowed_apis).contains("x") };
@id("mine.either") @reason("i") forbid (principal is User, action, resource)
when { ["a", "ab", "b", "x"].contains((if context.untrusted then resource else resource).version) };
@id("mine.fails") @reason("f") forbid (principal, action, resource)
when { context.spent_micro_usd * 4611686018427387904 > 1 && context.branch == "" };
"""
MEMOISED = bundle_with(OWN)

NAMES = st.sampled_from(["", "a", "ab", "b", "x", "u1", "acme", "d1", "change-approvers", "money", "prod"])
SETS = st.lists(NAMES, max_size=2).map(tuple)
PRINCIPALS = st.builds(
    Principal,
    id=NAMES,
    name=NAMES,
    kind=st.sampled_from(PrincipalKind),
    tenant=st.sampled_from(["acme", "acme", "acme", "b"]),
    role=st.sampled_from([*Role, None]),
    groups=SETS,
)
REQUESTS = st.builds(
    ActionRequest,
    principal=PRINCIPALS,
    action=st.sampled_from(ActionKind),
    capability=st.sampled_from(["git.apply", "files.write", "u1"]),
    version=NAMES,
    kind=st.sampled_from(["agent", "tool", "model", "workflow"]),
    effect=st.sampled_from(EffectClass),
    tenant=st.sampled_from(["acme", "acme", "acme", "b"]),
    app=NAMES,
    permissions=st.sampled_from([(), ("agents.write",)]),
    allowed_apis=SETS,
    environment=st.builds(Environment, pool=NAMES, sandbox=NAMES, region=NAMES, scope=NAMES),
    declared=st.booleans(),
    subject=NAMES,
    reviewed=SETS,
    paths=st.sampled_from([(), ("a.py",), (".ci/x",), ("../x", "prompts/y")]),
    branch=NAMES,
    spent_micro_usd=st.integers(0, 3),
    remaining_micro_usd=st.integers(-(2**63), 2**63 - 1),
    estimate_micro_usd=st.integers(0, 9),
    untrusted=st.booleans(),
    generated_prompt=st.booleans(),
    approvals=SETS,
)


def engine_says(bundle: Bundle, asked: ActionRequest, approvals: tuple[str, ...]) -> tuple[str, list[str]]:
    """Ask the engine directly, with every attribute and without anything of the projection or the memo."""
    who = asked.principal
    kinds = {"user": "User", "agent": "Agent"}
    principal = {"type": kinds.get(who.kind, "Service"), "id": who.id}
    resource = {"type": "Capability", "id": asked.capability}
    place = asked.environment
    named = [
        "tenant",
        "app",
        "declared",
        "subject",
        "reviewed",
        "paths",
        "branch",
        "host",
        "method",
        "url_path",
        "untrusted",
        "generated_prompt",
    ]
    money = ["spent_micro_usd", "remaining_micro_usd", "estimate_micro_usd"]
    context: dict[str, Any] = {name: getattr(asked, name) for name in (*named, *money)}
    context |= msgspec.to_builtins(place)
    context |= {
        "production": is_production(place.pool, place.sandbox, place.region, place.scope),
        "path_classes": path_classes(asked.paths),
        "names_paths": bool(asked.paths),
        "approvals": approvals,
    }
    capability = {name: getattr(asked, name) for name in ("version", "kind", "effect", "permissions")}
    role = who.role or ""
    entities: list[dict[Any, Any]] = [
        {
            "uid": principal,
            "attrs": {"tenant": who.tenant, "name": who.name, "role": role, "groups": who.groups},
            "parents": [],
        },
        {
            "uid": resource,
            "attrs": {**capability, "name": asked.capability, "allowed_apis": asked.allowed_apis},
            "parents": [],
        },
    ]
    text = "\n".join(bundle.files[name] for name in sorted(bundle.files) if name.endswith(".cedar"))
    result = cedarpy.is_authorized(
        {
            "principal": principal,
            "action": {"type": "Action", "id": asked.action.value},
            "resource": resource,
            "context": context,
        },
        cedarpy.PolicySet.from_str(text),
        entities,
        cedarpy.Schema.from_str(bundle.files["schema.cedarschema"]),
    )
    names = sorted(result.diagnostics.id_annotations_by_reason.values())
    return "Error" if result.diagnostics.errors else result.decision.value, names


@settings(max_examples=150, deadline=None)
@given(REQUESTS)
def test_a_remembered_verdict_is_the_one_that_a_fresh_bundle_gives(asked: ActionRequest) -> None:
    fresh = Bundle(MEMOISED.files, memo_entries=0)
    assert MEMOISED.decide(asked) == fresh.decide(asked) == MEMOISED.decide(asked)


@settings(max_examples=300, deadline=None)
@given(REQUESTS)
def test_what_no_policy_reads_would_not_have_changed_the_engines_answer(asked: ActionRequest) -> None:
    verdict = MEMOISED.decide(asked)
    decision, names = engine_says(MEMOISED, asked, asked.approvals)
    match verdict.effect:
        case VerdictKind.ALLOW:
            assert (decision, names) == ("Allow", list(verdict.policies))
        case VerdictKind.HOLD:
            assert (decision, names) == ("Deny", list(verdict.policies))
            groups = (*asked.approvals, *(hold.group for hold in verdict.holds))
            assert engine_says(MEMOISED, asked, groups)[0] == "Allow"
        case VerdictKind.DENY:
            assert decision in ("Deny", "Error")
            holds = [MEMOISED.rules[name].hold for name in names]
            if decision == "Error":
                assert verdict.errors
            elif holds and None not in holds:
                groups = (*asked.approvals, *(hold.group for hold in holds if hold is not None))
                assert engine_says(MEMOISED, asked, groups)[0] != "Allow"
            else:
                assert names == list(verdict.policies)


def test_numbers_that_no_policy_reads_do_not_miss() -> None:
    bundle = bundle_with()
    bundle.decide(request())
    for spent in range(100):
        bundle.decide(request(spent_micro_usd=spent, remaining_micro_usd=-spent, version=str(spent)))
    assert bundle._remembered.cache_info().misses == 1


def test_a_number_that_a_policy_reads_is_part_of_the_memo() -> None:
    limit = '@id("l") @reason("l") forbid (principal, action, resource) when { context.spent_micro_usd > 5 };'
    bundle = bundle_with(limit)
    assert bundle.decide(request(spent_micro_usd=5)).effect is VerdictKind.ALLOW
    assert bundle.decide(request(spent_micro_usd=6)).effect is VerdictKind.DENY


def test_the_memo_is_bounded() -> None:
    bundle = Bundle(bundle_with().files, memo_entries=3)
    for number in range(10):
        bundle.decide(request(subject=str(number)))
    assert bundle._remembered.cache_info().currsize == 3


def test_a_bundle_says_which_attributes_decide() -> None:
    attributes = bundle_with().attributes
    assert {"context.approvals", "context.path_classes", "principal.role", "resource.name"} <= set(attributes)
    assert "context.spent_micro_usd" not in attributes
    assert "principal.id" not in attributes
    assert {"principal.id", "principal.groups", "context.spent_micro_usd"} <= set(MEMOISED.attributes)
