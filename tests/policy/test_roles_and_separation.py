"""Promises about roles, and about who may decide what somebody asked for."""

import pytest

from bailiwick.policy import (
    PERMISSIONS,
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
    assert may_decide(approver, "usr_1", ("sre", "change-approvers")) is None


@pytest.mark.parametrize("requester", ["usr_2", "grace", "USR_2", "Grace"])
def test_nobody_decides_what_they_asked_for_under_any_of_their_names(requester: str) -> None:
    with pytest.raises(SelfApproval) as refusal:
        may_decide(person(Role.ADMIN, "sre"), requester, ("sre",))
    assert refusal.value.facts == {"principal": "usr_2", "requested_by": requester}


def test_an_admin_outside_the_group_does_not_decide() -> None:
    with pytest.raises(NotAnApprover) as refusal:
        may_decide(person(Role.ADMIN, "sre"), "usr_1", ("sre", "change-approvers"))
    assert refusal.value.facts["missing"] == ["change-approvers"]


def test_a_member_of_the_group_without_the_role_does_not_decide() -> None:
    with pytest.raises(Forbidden):
        may_decide(person(Role.OPERATOR, "sre"), "usr_1", ("sre",))


def test_a_request_that_names_no_group_is_decided_by_nobody() -> None:
    with pytest.raises(NotAnApprover):
        may_decide(person(Role.ADMIN, "sre"), "usr_1", ())


def test_an_agent_that_was_given_a_role_and_a_group_still_does_not_decide() -> None:
    agent = Principal(
        id="agt_1", name="a", kind=PrincipalKind.AGENT, tenant="acme", role=Role.ADMIN, groups=("sre",)
    )
    with pytest.raises(NotAnApprover):
        may_decide(agent, "usr_1", ("sre",))
