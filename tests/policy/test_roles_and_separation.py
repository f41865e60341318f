"""Promises about roles, and about who may decide what somebody asked for."""

import pytest

from bailiwick.base import Instant
from bailiwick.policy import (
    PERMISSIONS,
    Asked,
    Forbidden,
    NotAnApprover,
    Permission,
    Principal,
    PrincipalKind,
    Requester,
    Role,
    SelfApproval,
    may_decide,
    require,
)


def person(role: Role | None, *groups: str, id: str = "usr_2", name: str = "grace") -> Principal:
    return Principal(id=id, name=name, kind=PrincipalKind.USER, tenant="acme", role=role, groups=groups)


NOW = Instant(1_000)


def asked(*groups: str) -> tuple[Asked, ...]:
    return tuple(Asked(group) for group in groups)


def test_a_viewer_only_reads() -> None:
    assert {p.value for p in PERMISSIONS[Role.VIEWER]} == {
        "runs.read",
        "approvals.read",
        "halts.read",
        "budgets.read",
        "audit.read",
        "artifacts.read",
        "cost.read",
    }


def test_every_role_reads_what_a_viewer_reads_and_the_admin_may_all() -> None:
    inside = [role for role in Role if role is not Role.PLATFORM]
    assert all(PERMISSIONS[Role.VIEWER] <= PERMISSIONS[role] for role in inside)
    assert PERMISSIONS[Role.ADMIN] == frozenset(Permission)


@pytest.mark.parametrize(
    "permission", ["runs.submit", "runs.cancel", "runs.resume", "runs.resolve", "halts.set"]
)
def test_an_operator_operates_and_an_approver_does_not(permission: str) -> None:
    require(person(Role.OPERATOR), Permission(permission))
    with pytest.raises(Forbidden):
        require(person(Role.APPROVER), Permission(permission))


@pytest.mark.parametrize("permission", ["approvals.decide", "keys.manage", "halts.lift"])
def test_an_operator_neither_decides_nor_weakens_controls(permission: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        require(person(Role.OPERATOR), Permission(permission))
    assert refusal.value.code == "forbidden"
    assert refusal.value.facts["permission"] == permission
    assert refusal.value.facts["role"] == "operator"
    assert refusal.value.facts["roles"] == [
        role.value for role in sorted(Role) if permission in PERMISSIONS[role]
    ]


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if kind is not PrincipalKind.USER])
def test_what_has_no_role_may_nothing(kind: PrincipalKind) -> None:
    nobody = Principal(id="x", name="x", kind=kind, tenant="acme")
    for permission in Permission:
        with pytest.raises(Forbidden):
            require(nobody, permission)


def test_who_stands_above_the_tenants_sees_nothing_inside_of_one() -> None:
    may = PERMISSIONS[Role.PLATFORM]
    assert Permission.TENANTS_MANAGE in may
    inside = {Permission.RUNS_READ, Permission.ARTIFACTS_READ, Permission.KEYS_MANAGE, Permission.AUDIT_READ}
    assert not may & (inside | {Permission.APPROVALS_DECIDE, Permission.RUNS_SUBMIT})


def test_an_approver_of_the_group_decides_for_another_person() -> None:
    approver = person(Role.APPROVER, "change-approvers", "sre")
    assert may_decide(approver, Requester("usr_1", "ada"), asked("sre", "change-approvers"), NOW) == 0


@pytest.mark.parametrize("requester", ["usr_2", "grace", "USR_2", "Grace"])
def test_nobody_decides_what_they_asked_for_under_any_of_their_names(requester: str) -> None:
    with pytest.raises(SelfApproval) as refusal:
        may_decide(person(Role.ADMIN, "sre"), Requester("", requester), asked("sre"), NOW)
    assert refusal.value.facts == {"principal": "usr_2", "requested_by": requester}


def test_identities_are_compared_and_not_names() -> None:
    grace = person(Role.ADMIN, "sre")
    with pytest.raises(SelfApproval):
        may_decide(grace, Requester("usr_2", "another name"), asked("sre"), NOW)


def test_who_bore_a_name_counts_as_the_requester_where_a_name_alone_was_recorded() -> None:
    grace = person(Role.ADMIN, "sre")
    with pytest.raises(SelfApproval):
        may_decide(grace, Requester("", "Gr\uff41ce Hopper"), asked("sre"), NOW, "grace hopper")
    assert may_decide(grace, Requester("usr_1", "grace hopper"), asked("sre"), NOW, "grace hopper") == 0


def test_a_service_decides_nothing() -> None:
    service = Principal("idn_1", "ci", PrincipalKind.USER, "acme", Role.ADMIN, ("sre",), person=False)
    with pytest.raises(NotAnApprover):
        may_decide(service, Requester("usr_1", "ada"), asked("sre"), NOW)


def test_an_admin_outside_the_group_does_not_decide() -> None:
    with pytest.raises(NotAnApprover) as refusal:
        may_decide(
            person(Role.ADMIN, "sre"), Requester("usr_1", "ada"), asked("sre", "change-approvers"), NOW
        )
    assert refusal.value.facts["missing"] == ["change-approvers"]


def test_a_member_of_the_group_without_the_role_does_not_decide() -> None:
    with pytest.raises(Forbidden):
        may_decide(person(Role.OPERATOR, "sre"), Requester("usr_1", "ada"), asked("sre"), NOW)


def test_a_request_that_names_no_group_is_decided_by_nobody() -> None:
    with pytest.raises(NotAnApprover):
        may_decide(person(Role.ADMIN, "sre"), Requester("usr_1", "ada"), (), NOW)


def test_an_agent_that_was_given_a_role_and_a_group_still_does_not_decide() -> None:
    agent = Principal(
        id="agt_1", name="a", kind=PrincipalKind.AGENT, tenant="acme", role=Role.ADMIN, groups=("sre",)
    )
    with pytest.raises(NotAnApprover):
        may_decide(agent, Requester("usr_1", "ada"), asked("sre"), NOW)


ESCALATING = (Asked("sre", "chiefs", Instant(500)), Asked("leads", "board", Instant(2_000)))


@pytest.mark.parametrize(
    ("groups", "since"),
    [
        (("sre", "leads"), 0),
        (("chiefs", "leads"), 500),
        (("sre", "board"), 2_000),
        (("chiefs", "board"), 2_000),
        (("sre", "leads", "chiefs", "board"), 0),
    ],
)
def test_a_group_that_a_hold_escalates_to_answers_for_it_from_the_instant_on(
    groups: tuple[str, ...], since: int
) -> None:
    for now in (0, 499, 500, 1_999, 2_000, 9_999):
        if now >= since:
            assert (
                may_decide(
                    person(Role.APPROVER, *groups), Requester("usr_1", "ada"), ESCALATING, Instant(now)
                )
                == since
            )
            continue
        with pytest.raises(NotAnApprover) as refusal:
            may_decide(person(Role.APPROVER, *groups), Requester("usr_1", "ada"), ESCALATING, Instant(now))
        assert str(refusal.value.facts["since"]).startswith("1970-01-01T00:00:00.00")
        assert "wait until" in refusal.value.remedy


@pytest.mark.parametrize("groups", [(), ("sre",), ("chiefs",), ("leads", "board"), ("chiefs", "sre"), ("",)])
def test_who_answers_for_one_hold_and_not_for_the_other_never_decides(groups: tuple[str, ...]) -> None:
    for now in (0, 9_999):
        with pytest.raises(NotAnApprover) as refusal:
            may_decide(person(Role.ADMIN, *groups), Requester("usr_1", "ada"), ESCALATING, Instant(now))
        assert refusal.value.facts["since"] == ""


def test_a_hold_without_an_escalation_is_answered_by_no_nameless_group() -> None:
    with pytest.raises(NotAnApprover):
        may_decide(person(Role.APPROVER, ""), Requester("usr_1", "ada"), asked("sre"), NOW)


def test_an_escalation_lets_nobody_decide_what_they_asked_for() -> None:
    with pytest.raises(SelfApproval):
        may_decide(
            person(Role.ADMIN, "chiefs", "board"), Requester("usr_2", "somebody"), ESCALATING, Instant(9_999)
        )
