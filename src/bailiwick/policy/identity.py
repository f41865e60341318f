"""Who acts and what a role lets them do at the doors: principals, roles, permissions, separation of duties."""

import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

import msgspec

from bailiwick.base import Category, Instant, Refusal, format_instant


class Role(StrEnum):
    """What an identity was given; agents, workers and timers have none."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"
    PLATFORM = "platform"


class Permission(StrEnum):
    """One thing that a door may be asked for."""

    RUNS_READ = "runs.read"
    RUNS_SUBMIT = "runs.submit"
    RUNS_CANCEL = "runs.cancel"
    RUNS_RESUME = "runs.resume"
    RUNS_RESOLVE = "runs.resolve"
    RUNS_ROLLBACK = "runs.rollback"
    APPROVALS_READ = "approvals.read"
    APPROVALS_DECIDE = "approvals.decide"
    HALTS_READ = "halts.read"
    HALTS_SET = "halts.set"
    HALTS_LIFT = "halts.lift"
    POLICIES_ACTIVATE = "policies.activate"
    BUDGETS_READ = "budgets.read"
    BUDGETS_SET = "budgets.set"
    KEYS_MANAGE = "keys.manage"
    AUDIT_READ = "audit.read"
    ARTIFACTS_READ = "artifacts.read"
    COST_READ = "cost.read"
    PAYLOADS_ERASE = "payloads.erase"
    TENANTS_MANAGE = "tenants.manage"


_READS = frozenset(permission for permission in Permission if permission.endswith(".read"))
_OPERATES = frozenset(
    {
        Permission.RUNS_SUBMIT,
        Permission.RUNS_CANCEL,
        Permission.RUNS_RESUME,
        Permission.RUNS_RESOLVE,
        Permission.RUNS_ROLLBACK,
        Permission.HALTS_SET,
    }
)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _READS,
        Role.OPERATOR: _READS | _OPERATES,
        # Whoever decides does not also submit: one leaked key is then not enough to do both.
        Role.APPROVER: _READS | {Permission.APPROVALS_DECIDE},
        Role.ADMIN: frozenset(Permission),
        # Above the tenants, and of no use inside of one: it sees neither runs nor artifacts.
        Role.PLATFORM: frozenset(
            {
                Permission.TENANTS_MANAGE,
                Permission.HALTS_READ,
                Permission.HALTS_SET,
                Permission.HALTS_LIFT,
            }
        ),
    }
)
"""What each role may do. Weakening a control (lifting a halt, managing keys, changing policies) and erasing are the admin's alone."""


class PrincipalKind(StrEnum):
    """What sort of actor it is."""

    USER = "user"
    AGENT = "agent"
    WORKER = "worker"
    TIMER = "timer"
    SYSTEM = "system"


class Principal(msgspec.Struct, frozen=True):
    """Somebody or something that acts.

    `id` is the identity: stable and unique within the tenant; `name` is for people, and as unique. `role` is None for
    all that is not a user; `groups` are the approver groups that a user belongs to. `key` is the key that was shown,
    `person` whether a human being holds it: a service may ask, and never decides.
    """

    id: str
    name: str
    kind: PrincipalKind
    tenant: str
    role: Role | None = None
    groups: tuple[str, ...] = ()
    key: str = ""
    person: bool = True


class Forbidden(Refusal, code="forbidden", category=Category.FORBIDDEN):
    """The principal's role does not include what was asked."""

    def __init__(self, principal: Principal, permission: Permission) -> None:
        allowed = sorted(role.value for role, granted in PERMISSIONS.items() if permission in granted)
        role = principal.role.value if principal.role is not None else ""
        super().__init__(
            f"{principal.name} ({role or principal.kind.value}) may not {permission.value}",
            remedy=f"use a key with one of the roles {', '.join(allowed)}",
            principal=principal.id,
            role=role,
            permission=permission.value,
            roles=allowed,
        )


class SelfApproval(Refusal, code="self_approval", category=Category.FORBIDDEN):
    """Whoever asked for an action cannot be the one who approves it."""

    def __init__(self, principal: Principal, requested_by: str) -> None:
        super().__init__(
            f"{principal.name} requested this and cannot decide it",
            remedy="ask another member of the approver group",
            principal=principal.id,
            requested_by=requested_by,
        )


class Asked(msgspec.Struct, frozen=True):
    """One group whose approval is asked, and the group that may answer as well from an instant on; "" for none."""

    group: str
    escalate_to: str = ""
    escalate_at: Instant = Instant(0)


class NotAnApprover(Refusal, code="not_an_approver", category=Category.FORBIDDEN):
    """The principal belongs to none, or not to all, of the groups whose approval is asked, or not yet to one that may answer."""

    def __init__(self, principal: Principal, missing: Sequence[str], since: Instant | None = None) -> None:
        at = format_instant(since) if since is not None else ""
        named = ", ".join(missing) or "any group: only people decide"
        wait = f", or wait until {at}: from then on {principal.name} may answer" if at else ""
        super().__init__(
            f"{principal.name} does not speak for {named}{f' before {at}' if at else ''}",
            remedy=f"ask a person who is a member of every group named{wait}",
            principal=principal.id,
            kind=principal.kind.value,
            missing=list(missing),
            since=at,
        )


def require(principal: Principal, permission: Permission) -> None:
    """Let a principal pass whose role includes the permission.

    Raises:
        Forbidden: It has no role, or one that does not include it.
    """
    if principal.role is None or permission not in PERMISSIONS[principal.role]:
        raise Forbidden(principal, permission)


class Requester(msgspec.Struct, frozen=True):
    """On whose behalf a run acts: the identity, and its name at that time.

    `identity` is "" where a name alone was recorded; then whoever bears that name, or bore it, counts as the requester.
    """

    identity: str
    name: str

    def is_(self, principal: Principal, formerly: str = "") -> bool:
        """Whether a principal is the requester, as far as anybody can know."""
        if self.identity and self.identity == principal.id:
            return True
        # A name is one identity's for good; that its look-alikes count, too, costs nobody anything.
        bore = [formerly] if formerly and not self.identity else []
        return _folded(self.name) in [_folded(name) for name in (principal.id, principal.name, *bore)]


def may_decide(
    principal: Principal, requester: Requester, asked: Sequence[Asked], now: Instant, formerly: str = ""
) -> Instant:
    """Let a principal pass who may approve or reject a request for approval.

    Args:
        principal: Who wants to decide.
        requester: On whose behalf the run acts.
        asked: Whose approval each hold rule asks that the request answers; at least one.
        now: The instant of the decision.
        formerly: The name of the principal's key before there were identities, or "".

    Returns:
        The instant from which on the principal may, `now` at the latest; 0 without an escalation.

    Raises:
        Forbidden: The role does not include deciding.
        NotAnApprover: It is not a person, or answers for one of the groups not at all or not yet.
        SelfApproval: It is the requester, whichever of its keys it shows.
    """
    require(principal, Permission.APPROVALS_DECIDE)
    if principal.kind is not PrincipalKind.USER or not principal.person:
        raise NotAnApprover(principal, ())
    if requester.is_(principal, formerly):
        raise SelfApproval(principal, requester.name)
    lacking = [one for one in asked if one.group not in principal.groups]
    groups = sorted({one.group for one in lacking})
    if not asked or any(not one.escalate_to or one.escalate_to not in principal.groups for one in lacking):
        raise NotAnApprover(principal, groups)
    since = max((one.escalate_at for one in lacking), default=Instant(0))
    if since > now:
        raise NotAnApprover(principal, groups, since)
    return since


def _folded(name: str) -> str:
    """Bring a name to one form, whatever its case or Unicode form."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
