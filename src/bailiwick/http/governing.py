"""Governing shapes: how approvals, halts, keys and audit answers look in JSON, and what their routes take."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bailiwick.http.shapes import Money, instant, money
from bailiwick.ports import Approval, Budget, Halt, Identity, RunHead, Tenant
from bailiwick.service import ApprovalView, Held, taken_on


class Hold(msgspec.Struct, frozen=True):
    """A hold rule that a request for approval answers: its id, the group it asks, why it holds, and its text.

    From `escalate_at` on, the group `escalate_to` may answer as well; both are "" without an escalation.
    """

    id: str
    group: str
    reason: str
    text_digest: str
    escalate_to: str = ""
    escalate_at: str = ""


class AbleView(msgspec.Struct, frozen=True):
    """What lets somebody decide (created, role, groups, state, key), and who gave it; `by_identity` "": the platform."""

    what: str
    detail: str
    by: str
    by_identity: str
    at: str


class ApprovalRow(msgspec.Struct, frozen=True):
    """A request to humans for exactly one action digest.

    `escalated_to` names the groups that may answer as well by now, or could when it was answered. `requester` and
    `decider` are ids of identities ("" where there were none yet), `able` says who had made the decider able to answer.
    """

    id: str
    run: str
    step: str
    capability: str
    digest: str
    state: str
    groups: list[str]
    escalated_to: list[str]
    holds: list[Hold]
    policy_version: str
    requested_by: str
    requested_at: str
    expires_at: str
    decided_by: str
    decided_at: str
    reason: str
    spent: Money
    evidence: list[str]
    requester: str
    decider: str
    decider_key: str
    able: list[AbleView]


class ApprovalPage(msgspec.Struct, frozen=True):
    """Approvals, oldest first."""

    approvals: list[ApprovalRow]
    next_cursor: str


class ApprovalRun(msgspec.Struct, frozen=True):
    """The run that an approval belongs to."""

    id: str
    title: str
    status: str
    workflow: str
    spent: Money


class ShownAction(msgspec.Struct, frozen=True):
    """The action for eyes, made of the bytes that were hashed; two actions look the same only if they are.

    `action` is what the platform wrote, `arguments` and `artifacts` what an agent wrote or a plan took from outputs.
    JSON is ASCII; in artifacts, what does not show by itself or is drawn like something else stands there by its
    number. `careful` counts the characters that do not show.
    """

    action: str
    arguments: str
    artifacts: dict[str, str]
    careful: int


class ApprovalDetail(msgspec.Struct, frozen=True):
    """An approval with the very action that would run, and the text of the artifacts that it names.

    `action` and `artifacts` are raw; show people `shown`. `erased`: the action is null, for its bytes are gone.
    """

    approval: ApprovalRow
    action: Any
    artifacts: dict[str, str]
    shown: ShownAction
    run: ApprovalRun
    erased: bool


class HaltView(msgspec.Struct, frozen=True):
    """An entry of the kill switch."""

    id: str
    scope: str
    target: str
    reason: str
    set_by: str
    set_at: str
    lifted_by: str
    lifted_at: str


class HaltPage(msgspec.Struct, frozen=True):
    """The halts in force."""

    halts: list[HaltView]
    next_cursor: str


class BudgetView(msgspec.Struct, frozen=True):
    """A limit that runs share, what they have taken of it today or in all, and what is left."""

    id: str
    scope: str
    name: str
    period: str
    limit: Money
    taken: Money
    left: Money
    set_by: str
    set_at: str


class BudgetPage(msgspec.Struct, frozen=True):
    """The tenant's shared budgets."""

    budgets: list[BudgetView]
    next_cursor: str


class KeyView(msgspec.Struct, frozen=True):
    """An API key, without its secret, and the identity that holds it (`identity` is its id, `name` its name).

    `created_by` is the id of the identity that minted it, "" for the platform; `expires_at` is "" for a key that never does.
    """

    id: str
    identity: str
    name: str
    kind: str
    role: str
    groups: list[str]
    created_at: str
    created_by: str
    expires_at: str
    revoked_at: str


class KeyPage(msgspec.Struct, frozen=True):
    """The tenant's keys, revoked ones too."""

    keys: list[KeyView]
    next_cursor: str


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made; the secret is shown this once."""

    key: KeyView
    secret: str


class IdentityView(msgspec.Struct, frozen=True):
    """Who may act in the tenant: a person or a service. `formerly`: what its key was called before there were identities."""

    id: str
    name: str
    kind: str
    role: str
    groups: list[str]
    created_at: str
    created_by: str
    disabled_at: str
    formerly: str


class IdentityPage(msgspec.Struct, frozen=True):
    """The tenant's identities by name, disabled ones too."""

    identities: list[IdentityView]
    next_cursor: str


class TenantView(msgspec.Struct, frozen=True):
    """A tenant of the deployment."""

    id: str
    created_at: str
    created_by: str
    disabled_at: str


class TenantPage(msgspec.Struct, frozen=True):
    """The tenants, disabled ones too."""

    tenants: list[TenantView]
    next_cursor: str


class NewTenant(msgspec.Struct, frozen=True):
    """A tenant that was just made, with the key of its first admin; the secret is shown this once."""

    tenant: TenantView
    key: KeyView
    secret: str


class CheckpointView(msgspec.Struct, frozen=True):
    """The newest signed head of the tenant's log, and the key that checks its signature."""

    log: str
    size: int
    note: str
    verifier_key: str


class GrowthView(msgspec.Struct, frozen=True):
    """What a witness is shown: the proof (base64) that the newest head grew out of the first `old` events."""

    origin: str
    old: int
    proof: list[str]
    note: str
    verifier_key: str
    rotations: str


def approval_row(approval: Approval, escalated: Sequence[str]) -> ApprovalRow:
    """Show an approval, and the groups that it is escalated to."""
    return ApprovalRow(
        id=approval.id,
        run=approval.run,
        step=approval.step,
        capability=approval.capability,
        digest=approval.digest,
        state=approval.state,
        groups=list(approval.groups),
        escalated_to=list(escalated),
        holds=[msgspec.convert(hold, Hold) for hold in approval.holds],
        policy_version=approval.policy_version,
        requested_by=approval.requested_by,
        requested_at=instant(approval.requested_at),
        expires_at=instant(approval.expires_at),
        decided_by=approval.decided_by,
        decided_at=instant(approval.decided_at),
        reason=approval.reason,
        spent=money(approval.spent_micro_usd),
        evidence=list(approval.evidence),
        requester=approval.requester,
        decider=approval.decider,
        decider_key=approval.decider_key,
        able=[
            AbleView(one.what, one.detail, one.by, one.by_identity, instant(one.at)) for one in approval.able
        ],
    )


def approval_detail(view: ApprovalView, escalated: Sequence[str], head: RunHead) -> ApprovalDetail:
    """Show an approval and what would run."""
    run = ApprovalRun(head.id, head.title, head.status, head.workflow, money(head.spent_micro_usd))
    shown = ShownAction(*msgspec.structs.astuple(view.shown))
    row = approval_row(view.approval, escalated)
    return ApprovalDetail(row, view.action, view.artifacts, shown, run, view.erased)


def halt_view(halt: Halt) -> HaltView:
    """Show a halt."""
    return HaltView(
        id=halt.id,
        scope=halt.scope,
        target=halt.target,
        reason=halt.reason,
        set_by=halt.set_by,
        set_at=instant(halt.set_at),
        lifted_by=halt.lifted_by,
        lifted_at=instant(halt.lifted_at),
    )


def budget_view(budget: Budget, today: int) -> BudgetView:
    """Show a shared budget as it stands on a UTC day."""
    taken = taken_on(budget, today if budget.period == "day" else 0)
    return BudgetView(
        id=budget.id,
        scope=budget.scope,
        name=budget.name,
        period=budget.period,
        limit=money(budget.limit_micro_usd),
        taken=money(taken),
        left=money(max(budget.limit_micro_usd - taken, 0)),
        set_by=budget.set_by,
        set_at=instant(budget.set_at),
    )


def key_view(held: Held) -> KeyView:
    """Show a key and who holds it."""
    key, identity = held.key, held.identity
    return KeyView(
        id=key.id,
        identity=identity.id,
        name=identity.name,
        kind=identity.kind,
        role=identity.role,
        groups=list(identity.groups),
        created_at=instant(key.created_at),
        created_by=key.created_by,
        expires_at=instant(key.expires_at),
        revoked_at=instant(key.revoked_at),
    )


def identity_view(identity: Identity) -> IdentityView:
    """Show an identity."""
    return IdentityView(
        id=identity.id,
        name=identity.name,
        kind=identity.kind,
        role=identity.role,
        groups=list(identity.groups),
        created_at=instant(identity.created_at),
        created_by=identity.created_by,
        disabled_at=instant(identity.disabled_at),
        formerly=identity.formerly,
    )


def tenant_view(tenant: Tenant) -> TenantView:
    """Show a tenant."""
    return TenantView(tenant.id, instant(tenant.created_at), tenant.created_by, instant(tenant.disabled_at))
