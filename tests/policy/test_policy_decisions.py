"""Promises of a bundle's verdicts: holds add up, forbids win, and whatever fails is a denial."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_requests import AGENT, apply_request, bundle_with, only, request

from bailiwick.policy import Bundle, Environment, VerdictKind, default_files

PERMIT = '@id("p") @reason("all is permitted") permit (principal, action, resource);\n'


def hold(name: str, group: str, condition: str = "true", extra: str = "") -> str:
    return (
        f'@id("{name}") @reason("{name} says so") @require_approval("{group}") {extra}\n'
        f"forbid (principal, action, resource) when {{ {condition} }}\n"
        f'unless {{ context.approvals.contains("{group}") }};\n'
    )


def forbid(name: str, condition: str) -> str:
    return f'@id("{name}") @reason("no") forbid (principal, action, resource) when {{ {condition} }};\n'


def test_two_holds_are_both_required() -> None:
    bundle = only(PERMIT + hold("b", "sre") + hold("a", "legal"))
    verdict = bundle.decide(request())
    assert (verdict.effect, verdict.policies) == (VerdictKind.HOLD, ("a", "b"))
    assert verdict.reasons == ("a says so", "b says so")
    assert [(held.id, held.group) for held in verdict.holds] == [("a", "legal"), ("b", "sre")]
    half = bundle.decide(request(approvals=("sre",)))
    assert (half.effect, [held.group for held in half.holds]) == (VerdictKind.HOLD, ["legal"])
    assert bundle.decide(request(approvals=("legal", "sre"))).effect is VerdictKind.ALLOW


def test_a_hold_beside_a_hard_forbid_is_a_denial() -> None:
    verdict = only(PERMIT + hold("h", "sre") + forbid("f", "true")).decide(request())
    assert (verdict.effect, verdict.policies, verdict.holds) == (VerdictKind.DENY, ("f", "h"), ())


def test_nobody_is_asked_when_no_approval_would_help() -> None:
    verdict = only(hold("h", "sre")).decide(request())
    assert (verdict.effect, verdict.policies, verdict.holds) == (VerdictKind.DENY, (), ())
    assert verdict.reasons == ("no policy permits this action",)


def test_a_forbid_that_fails_denies_although_all_is_permitted() -> None:
    broken = forbid("f", "context.spent_micro_usd * 9223372036854775807 > 0")
    bundle = only(PERMIT + broken)
    assert bundle.decide(request(spent_micro_usd=0)).effect is VerdictKind.ALLOW
    verdict = bundle.decide(request(spent_micro_usd=2))
    assert verdict.effect is VerdictKind.DENY
    assert "overflow" in verdict.errors[0]


def test_a_hold_that_fails_asks_nobody_and_denies() -> None:
    bundle = only(PERMIT + hold("h", "sre", "context.spent_micro_usd * 9223372036854775807 > 0 || true"))
    assert bundle.decide(request(spent_micro_usd=2)).effect is VerdictKind.DENY


@pytest.mark.parametrize(
    "facts",
    [
        {"action": "shell.exec"},
        {"action": 'tool.call", resource) ; permit (principal, action == Action::"x'},
        {"spent_micro_usd": "5"},
        {"spent_micro_usd": 1.5},
        {"spent_micro_usd": 2**70},
        {"spent_micro_usd": None},
        {"untrusted": 1},
        {"subject": {"__entity": {"type": "User", "id": "x"}}},
        {"subject": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}},
        {"subject": "\ud800"},
        {"reviewed": "not a list"},
        {"reviewed": (1,)},
        {"reviewed": {"a"}},
        {"paths": (5,)},
        {"principal": None},
        {"environment": None},
        {"approvals": object()},
        {"branch": "x" * 300_000},
    ],
    ids=lambda facts: "-".join(f"{name}={type(value).__name__}" for name, value in facts.items()),
)
def test_a_request_that_is_not_well_formed_is_denied_with_the_error(facts: dict[str, Any]) -> None:
    reads_all = only(
        PERMIT
        + hold("h", "sre", 'context.untrusted && context.subject == "" && context.reviewed.isEmpty()')
        + forbid("f", 'context.spent_micro_usd > 9 && context.branch == "" && context.production')
        + forbid("g", "context.path_classes.isEmpty() && context.untrusted")
    )
    assert reads_all.decide(request()).effect is VerdictKind.ALLOW
    verdict = reads_all.decide(request(**facts))
    assert verdict.effect is VerdictKind.DENY
    assert verdict.errors
    assert all(len(error) <= 300 for error in verdict.errors)
    assert verdict.reasons == ("policy could not be evaluated; what cannot be decided is denied",)


def test_something_that_is_no_request_is_denied() -> None:
    junk: Any = "open the door"
    assert bundle_with().decide(junk).effect is VerdictKind.DENY


TRICKY = (
    '"); permit (principal, action, resource); //',
    '" || true || "',
    "change-approvers",
    "\n\r\t\0",
    '\\"',
    "__entity",
    "?principal",
    "\uff43hange-approvers",
)


@given(
    name=st.sampled_from(TRICKY) | st.text(max_size=20),
    text=st.sampled_from(TRICKY) | st.text(max_size=20),
)
def test_no_attribute_of_an_unapproved_request_can_talk_its_way_through(name: str, text: str) -> None:
    agent = msgspec.structs.replace(AGENT, id=name, name=text)
    asked = apply_request(
        principal=agent,
        version=text,
        app=name,
        branch=text,
        allowed_apis=(name, text),
        permissions=(text,),
        environment=Environment(pool=name, sandbox=text),
    )
    assert FULL.decide(asked).effect is not VerdictKind.ALLOW
    assert FULL.decide(apply_request(subject=name, reviewed=(f"x{name}",))).effect is VerdictKind.DENY


FULL = bundle_with(
    forbid("mine.reads-all", 'principal == User::"root" && resource == Capability::"x" && context.app == "x"')
    + forbid(
        "mine.more", 'context.branch == "x" && context.pool == "x" && resource.allowed_apis.contains("x")'
    )
)


def test_a_verdict_does_not_depend_on_the_order_of_files_policies_or_facts() -> None:
    texts = {"a.cedar": hold("z", "one") + hold("y", "two"), "b.cedar": hold("x", "three") + PERMIT}
    schema = {"schema.cedarschema": default_files()["schema.cedarschema"]}
    forward = Bundle({**schema, **texts})
    backward = Bundle({**dict(reversed(texts.items())), **schema})
    assert forward.version == backward.version
    verdicts = {
        bundle.decide(request(reviewed=reviewed, approvals=approvals))
        for bundle in (forward, backward)
        for reviewed in (("a", "b"), ("b", "a"))
        for approvals in (("k", "l"), ("l", "k"))
    }
    (verdict,) = verdicts
    assert verdict.policies == ("x", "y", "z")


def test_a_hold_keeps_its_times_and_its_escalation() -> None:
    extra = '@approval_ttl("P2D") @escalate_to("director") @escalate_after("P1DT4H")'
    (held,) = only(PERMIT + hold("h", "sre", "true", extra)).decide(request()).holds
    assert (held.ttl_seconds, held.escalate_to, held.escalate_after_seconds) == (172_800, "director", 100_800)


def test_a_hold_without_times_waits_a_day() -> None:
    (held,) = only(PERMIT + hold("h", "sre")).decide(request()).holds
    assert (held.ttl_seconds, held.escalate_to, held.escalate_after_seconds) == (86_400, "", 0)


def test_the_digest_of_a_hold_follows_its_meaning_not_its_layout() -> None:
    text = hold("h", "sre", "context.untrusted")
    digest = only(text).rules["h"].text_digest
    assert (
        only("// note\n" + PERMIT + text.replace(") when {", ")\n// why\n  when\n{")).rules["h"].text_digest
        == digest
    )
    assert only(text.replace("untrusted", "production")).rules["h"].text_digest != digest
    assert only(text.replace("h says so", "h says")).rules["h"].text_digest != digest
    assert only(text.replace("sre", "ops")).rules["h"].text_digest != digest
