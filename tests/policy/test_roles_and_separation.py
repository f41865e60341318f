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
    assert all(PERMISSIONS[Role.VIEWER] <= PERMISSIONS[role] for role in Role)
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


def test_an_approver_of_the_group_decides_for_another_person() -> None:
    approver = person(Role.APPROVER, "change-approvers", "sre")
    assert may_decide(approver, "usr_1", asked("sre", "change-approvers"), NOW) == 0


@pytest.mark.parametrize("requester", ["usr_2", "grace", "USR_2", "Grace"])
def test_nobody_decides_what_they_asked_for_under_any_of_their_names(requester: str) -> None:
    with pytest.raises(SelfApproval) as refusal:
        may_decide(person(Role.ADMIN, "sre"), requester, asked("sre"), NOW)
    assert refusal.value.facts == {"principal": "usr_2", "requested_by": requester}


def test_an_admin_outside_the_group_does_not_decide() -> None:
    with pytest.raises(NotAnApprover) as refusal:
        may_decide(person(Role.ADMIN, "sre"), "usr_1", asked("sre", "change-approvers"), NOW)
    assert refusal.value.facts["missing"] == ["change-approvers"]


def test_a_member_of_the_group_without_the_role_does_not_decide() -> None:
    with pytest.raises(Forbidden):
        may_decide(person(Role.OPERATOR, "sre"), "usr_1", asked("sre"), NOW)


def test_a_request_that_names_no_group_is_decided_by_nobody() -> None:
    with pytest.raises(NotAnApprover):
        may_decide(person(Role.ADMIN, "sre"), "usr_1", (), NOW)


def test_an_agent_that_was_given_a_role_and_a_group_still_does_not_decide() -> None:
    agent = Principal(
        id="agt_1", name="a", kind=PrincipalKind.AGENT, tenant="acme", role=Role.ADMIN, groups=("sre",)
    )
    with pytest.raises(NotAnApprover):
        may_decide(agent, "usr_1", asked("sre"), NOW)


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
            assert may_decide(person(Role.APPROVER, *groups), "usr_1", ESCALATING, Instant(now)) == since
            continue
        with pytest.raises(NotAnApprover) as refusal:
            may_decide(person(Role.APPROVER, *groups), "usr_1", ESCALATING, Instant(now))
        assert str(refusal.value.facts["since"]).startswith("1970-01-01T00:00:00.00")
        assert "wait until" in refusal.value.remedy


@pytest.mark.parametrize("groups", [(), ("sre",), ("chiefs",), ("leads", "board"), ("chiefs", "sre"), ("",)])
def test_who_answers_for_one_hold_and_not_for_the_other_never_decides(groups: tuple[str, ...]) -> None:
    for now in (0, 9_999):
        with pytest.raises(NotAnApprover) as refusal:
            may_decide(person(Role.ADMIN, *groups), "usr_1", ESCALATING, Instant(now))
        assert refusal.value.facts["since"] == ""


def test_a_hold_without_an_escalation_is_answered_by_no_nameless_group() -> None:
    with pytest.raises(NotAnApprover):
        may_decide(person(Role.APPROVER, ""), "usr_1", asked("sre"), NOW)


def test_an_escalation_lets_nobody_decide_what_they_asked_for() -> None:
    with pytest.raises(SelfApproval):
        may_decide(person(Role.ADMIN, "chiefs", "board"), "GRACE", ESCALATING, Instant(9_999))
