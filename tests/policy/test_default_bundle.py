"""Promises of the default bundle: what agents may do, what no approval lifts, and how a change is applied."""

from typing import Any

import pytest
from policy_requests import AGENT, SYSTEM, USER, apply_request, bundle_with, request

from bailiwick.contract import EffectClass
from bailiwick.policy import (
    PERMISSIONS,
    ActionKind,
    ActionRequest,
    Bundle,
    Environment,
    Permission,
    Principal,
    PrincipalKind,
    Role,
    VerdictKind,
)

BUNDLE = bundle_with()
EVERYBODY = ("change-approvers", "admin", "sre")
READ = EffectClass.READ_ONLY
EXTERNAL = EffectClass.EXTERNAL_ACTION


def submit(principal: Principal, **changes: Any) -> ActionRequest:
    workflow = {"capability": "deliver", "kind": "workflow", "effect": READ, "action": ActionKind.RUN_SUBMIT}
    return request(principal=principal, **(workflow | changes))


def model(**changes: Any) -> ActionRequest:
    call = {
        "capability": "gpt",
        "kind": "model",
        "effect": EffectClass.METERED,
        "action": ActionKind.MODEL_CALL,
    }
    return request(**(call | changes))


def with_role(role: Role | None) -> Principal:
    return Principal(id="usr_9", name="eve", kind=PrincipalKind.USER, tenant="acme", role=role)


ALLOWED = {
    "base.submit-run": submit(USER),
    "base.start-step": request(
        principal=USER, action=ActionKind.STEP_START, capability="implementer", kind="agent", effect=READ
    ),
    "base.call-model": model(),
    "base.read-with-tool": request(capability="files.read", effect=READ),
    "base.write-with-tool": request(paths=("app/main.py",)),
}
DENIED = {
    "base.tenant-boundary": request(tenant="other"),
    "standing.suspicious-path": request(paths=("../x",)),
    "standing.pipelines": request(paths=(".github/workflows/x.yml",)),
    "standing.unnamed-change": request(classes=("unnamed",)),
    "standing.policies": request(paths=("mine.cedar",)),
    "egress.declared-host": request(
        permissions=("network.egress",), allowed_apis=("api.acme.example",), host="evil.example"
    ),
    "standing.prompts": request(paths=("prompts/x.md",)),
    "standing.agents": request(paths=("agents/x.toml",)),
    "standing.production-files": request(paths=("terraform/main.tf",)),
    "standing.production-environment": request(environment=Environment(scope="production")),
    "standing.agent-submits-run": submit(AGENT),
    "standing.agent-starts-agent": request(kind="agent", action=ActionKind.STEP_START, effect=READ),
    "standing.generated-prompt": model(generated_prompt=True),
    "delivery.apply-names-paths": apply_request(paths=()),
    "delivery.apply-reviewed": apply_request(reviewed=("d2",)),
}
HELD = {"delivery.apply-approved": apply_request()}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_permitted_is_allowed_by_its_policy(name: str) -> None:
    verdict = BUNDLE.decide(ALLOWED[name])
    assert (verdict.effect, verdict.policies, verdict.errors) == (VerdictKind.ALLOW, (name,), ())
    assert verdict.reasons == (BUNDLE.rules[name].reason,)


@pytest.mark.parametrize("name", DENIED)
def test_what_is_prohibited_is_denied_by_its_policy_and_no_approval_lifts_it(name: str) -> None:
    approved = {field: getattr(DENIED[name], field) for field in DENIED[name].__struct_fields__}
    for verdict in (
        BUNDLE.decide(DENIED[name]),
        BUNDLE.decide(ActionRequest(**{**approved, "approvals": EVERYBODY})),
    ):
        assert verdict.effect is VerdictKind.DENY
        assert name in verdict.policies
        assert BUNDLE.rules[name].reason in verdict.reasons
        assert (verdict.holds, verdict.errors) == ((), ())


def test_every_policy_of_the_default_bundle_decides_a_case_here() -> None:
    assert {*ALLOWED, *DENIED, *HELD} == set(BUNDLE.rules)


@pytest.mark.parametrize(
    ("permission", "name"),
    [
        ("pipelines.write", "standing.pipelines"),
        ("policies.write", "standing.policies"),
        ("prompts.write", "standing.prompts"),
        ("agents.write", "standing.agents"),
        ("production.write", "standing.production-files"),
    ],
)
def test_a_tool_whose_contract_changes_what_is_prohibited_is_denied(permission: str, name: str) -> None:
    verdict = BUNDLE.decide(request(permissions=("files.write", permission), approvals=EVERYBODY))
    assert (verdict.effect, verdict.policies) == (VerdictKind.DENY, (name,))


@pytest.mark.parametrize("principal", [USER, AGENT, SYSTEM], ids=["user", "agent", "system"])
def test_a_prohibited_file_is_prohibited_for_everybody(principal: Principal) -> None:
    verdict = BUNDLE.decide(
        apply_request(principal=principal, paths=("app/main.py", ".GitHub\\Workflows/x"), approvals=EVERYBODY)
    )
    assert (verdict.effect, verdict.policies) == (VerdictKind.DENY, ("standing.pipelines",))


def test_reading_in_production_is_no_write() -> None:
    production = Environment(region="prod-eu")
    assert BUNDLE.decide(request(effect=READ, environment=production)).effect is VerdictKind.ALLOW
    assert BUNDLE.decide(apply_request(environment=production)).effect is VerdictKind.DENY


def test_the_application_of_a_reviewed_change_waits_for_a_change_approver() -> None:
    verdict = BUNDLE.decide(apply_request())
    assert verdict.effect is VerdictKind.HOLD
    assert verdict.policies == tuple(HELD)
    (hold,) = verdict.holds
    assert (hold.id, hold.group, hold.ttl_seconds) == ("delivery.apply-approved", "change-approvers", 28_800)
    assert hold.text_digest == BUNDLE.rules[hold.id].text_digest


def test_an_approved_reviewed_change_is_applied() -> None:
    assert BUNDLE.decide(apply_request(approvals=("change-approvers",))).effect is VerdictKind.ALLOW
    assert BUNDLE.decide(apply_request(approvals=("sre",))).effect is VerdictKind.HOLD


@pytest.mark.parametrize(
    "facts",
    [{"reviewed": ()}, {"subject": "d2"}, {"subject": "", "reviewed": ("",)}, {"subject": "D1"}],
)
def test_a_review_of_another_diff_is_no_review(facts: dict[str, Any]) -> None:
    verdict = BUNDLE.decide(apply_request(**facts, approvals=EVERYBODY))
    assert (verdict.effect, verdict.policies) == (VerdictKind.DENY, ("delivery.apply-reviewed",))


@pytest.mark.parametrize(
    "facts",
    [
        {"effect": EXTERNAL},
        {"declared": False},
        {"effect": READ, "declared": False},
        {"kind": "model"},
        {"kind": "agent", "principal": USER},
        {"action": ActionKind.MODEL_CALL},
        {"action": ActionKind.MODEL_CALL, "kind": "model", "effect": EXTERNAL},
    ],
    ids=str,
)
def test_what_nothing_permits_is_denied_even_with_approval(facts: dict[str, Any]) -> None:
    verdict = BUNDLE.decide(request(**facts, approvals=EVERYBODY))
    assert (verdict.effect, verdict.policies) == (VerdictKind.DENY, ())
    assert verdict.reasons == ("no policy permits this action",)


@pytest.mark.parametrize("role", [*Role, None])
def test_the_engine_and_the_door_agree_on_who_submits(role: Role | None) -> None:
    allowed = BUNDLE.decide(submit(with_role(role))).effect is VerdictKind.ALLOW
    assert allowed == (role is not None and Permission.RUNS_SUBMIT in PERMISSIONS[role])


def test_the_platform_itself_acts_in_every_tenant() -> None:
    start = request(principal=SYSTEM, action=ActionKind.STEP_START, effect=READ, capability="$plan")
    assert BUNDLE.decide(start).effect is VerdictKind.ALLOW


def test_an_app_permits_an_external_action_by_name_and_standing_prohibitions_stay() -> None:
    own: Bundle = bundle_with(
        '@id("mine.mail") @reason("mail is wanted here")\n'
        'permit (principal, action == Action::"tool.call", resource == Capability::"mail.send");'
    )
    mail = {"capability": "mail.send", "effect": EXTERNAL}
    assert own.decide(request(**mail)).effect is VerdictKind.ALLOW
    assert own.decide(request(**mail | {"capability": "mail.delete"})).effect is VerdictKind.DENY
    assert own.decide(request(**mail, paths=("prompts/x",))).effect is VerdictKind.DENY
