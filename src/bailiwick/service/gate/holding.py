"""Holding: the request to people that a held action becomes, and what exactly a grant of it covers."""

from msgspec.structs import replace

from bailiwick.base import BadInput, Digest, Instant, canonical, digest_of, format_instant, parse_instant
from bailiwick.policy import Asked, Hold, Verdict
from bailiwick.ports import Approval, ApprovalState, MoveApproval, World
from bailiwick.run import Call, CallState, Run, Step
from bailiwick.service.gate.actions import Action

APPROVAL_SECONDS = 86_400
OTHER_RULES = "other rules hold this action now; people are asked again"
UNKNOWN = "unknown"
"""The requester of a run that recorded a name alone: whoever bears the name, or bore it, counts as the requester."""

_MICROSECONDS = 1_000_000


def ask(
    world: World, run: Run, step: Step, action: Action, call: Call, verdict: Verdict, seq: int
) -> Approval:
    """Write the request to people; `seq` is the event that holds the action's bytes."""
    now = world.now()
    ttl = min((hold.ttl_seconds for hold in verdict.holds), default=APPROVAL_SECONDS)
    expires = _later(now, ttl)
    return Approval(
        id=world.new_id("apr"),
        tenant=run.tenant,
        run=run.id,
        step=step.name,
        call=call.key,
        capability=call.capability,
        digest=action.digest,
        seq=seq,
        groups=tuple(sorted({hold.group for hold in verdict.holds})),
        holds=_rules(verdict, now, expires),
        policy_version=verdict.version,
        requested_by=run.requested_by,
        requester=run.requester or UNKNOWN,
        requested_at=now,
        expires_at=expires,
        spent_micro_usd=run.allotment.spent,
        evidence=tuple(f"{name}:{done.output_digest}" for name, done in _done(run)),
    )


def terms_of(approval: Approval, contract: str) -> Digest:
    """Name, by one digest, all that an answer to a request covers; it lies in the run's sealed event.

    Bound are the action's digest (capability and version, arguments, tenant, app, run, step, environment,
    facts), the journal entry, the contract's text, the hold rules with id, group, text, reason and escalation, who
    asked, which groups are asked, and the expiry. What may change while a request waits (its state, the policy version that it was
    carried over to) is no part of it.
    """
    bound = {
        "approval": approval.id,
        "tenant": approval.tenant,
        "run": approval.run,
        "step": approval.step,
        "call": approval.call,
        "capability": approval.capability,
        "contract": contract,
        "digest": approval.digest,
        "seq": approval.seq,
        "groups": list(approval.groups),
        "holds": list(approval.holds),
        "requested_by": approval.requested_by,
        "expires_at": approval.expires_at,
    }
    if approval.requester:  # what was asked before there were identities names none
        bound["requester"] = approval.requester
    return digest_of(canonical(bound))


def _done(run: Run) -> list[tuple[str, Step]]:
    return [(name, step) for name, step in run.steps.items() if step.output_digest]


def _rules(verdict: Verdict, now: Instant, expires: Instant) -> tuple[dict[str, str], ...]:
    return tuple(
        {"id": hold.id, "group": hold.group, "text_digest": hold.text_digest, "reason": hold.reason}
        | _escalation(hold, now, expires)
        for hold in verdict.holds
    )


def _escalation(hold: Hold, now: Instant, expires: Instant) -> dict[str, str]:
    """Say who may answer as well, and from when on; nothing if another hold lets the request expire before."""
    at = _later(now, hold.escalate_after_seconds)
    if not hold.escalate_to or at >= expires:
        return {}
    return {"escalate_to": hold.escalate_to, "escalate_at": format_instant(at)}


def _later(now: Instant, seconds: int) -> Instant:
    return Instant(now + seconds * _MICROSECONDS)


def asked_of(approval: Approval) -> tuple[Asked, ...]:
    """Say whose approval each hold of a request asks, and who may answer as well from when on.

    It never raises: an escalation that cannot be read is none, and `terms_of` tells that the row was rewritten.
    """
    return tuple(_asked(rule) for rule in approval.holds)


def _asked(rule: dict[str, str]) -> Asked:
    group, to = rule.get("group", ""), rule.get("escalate_to", "")
    try:
        at = parse_instant(rule.get("escalate_at", ""))
    except BadInput:
        return Asked(group)
    return Asked(group, to, at) if to else Asked(group)


def escalated_to(approval: Approval, now: Instant) -> tuple[str, ...]:
    """Name the groups that a request is escalated to by now, or was when it was answered; sorted, each once."""
    at = approval.decided_at or now
    return tuple(
        sorted({one.escalate_to for one in asked_of(approval) if one.escalate_to and one.escalate_at <= at})
    )


def answers(approval: Approval, verdict: Verdict) -> bool:
    """Whether a request asks for exactly the hold rules, by id, group and text, that a verdict names now."""
    asked = {(rule["id"], rule["group"], rule["text_digest"]) for rule in approval.holds}
    return {(hold.id, hold.group, hold.text_digest) for hold in verdict.holds} == asked


def fault_of_grant(approval: Approval | None, run: Run, call: Call, action: Action, contract: str) -> str:
    """Say why an approval is no permission for an action; empty when it is.

    Args:
        approval: The request that people answered.
        run: The run that wants to use it.
        call: The journal entry of the held action.
        action: The stored bytes, as they are read now.
        contract: The digest of the contract that would serve it now.
    """
    if contract != call.contract:
        return f"the contract of {call.capability} has changed since people were asked about it"
    if call.digest != action.digest:
        return f"the stored action is {action.digest[:16]}, not {call.digest[:16]}"
    if not call.approval:
        return ""  # policy let it go while it waited; policy alone decides on it
    if approval is None:
        return "there is no such approval"
    bound = (approval.tenant, approval.run, approval.step, approval.call)
    if bound != (run.tenant, run.id, call.step, call.key):
        return f"the approval {approval.id} is for another run, step or action"
    if approval.digest != action.digest:
        return f"the approval covers action {approval.digest[:16]}, not {action.digest[:16]}"
    if terms_of(approval, call.contract) != call.terms:
        return (
            f"the approval {approval.id} is not what was asked: its rules, groups, requester or expiry differ"
        )
    used_up = call.state in (CallState.INTENDED, CallState.LOST)
    expected = ApprovalState.CONSUMED if used_up else ApprovalState.APPROVED
    if approval.state is not expected:
        return f"the approval {approval.id} is {approval.state}"
    return ""


def consumption(approval: Approval) -> MoveApproval:
    """Use a grant up, unless it has expired by the database's clock."""
    used = replace(approval, state=ApprovalState.CONSUMED)
    return MoveApproval(ApprovalState.APPROVED, used, unexpired=True)
