"""Judging again: the verdicts on an intent and on an action, given anew from what was recorded and the policies of that time."""

from typing import Any

from bailiwick.base import canonical, digest_of
from bailiwick.contract import Contract, ErrorCategory, contract_digest
from bailiwick.plan import Plan
from bailiwick.policy import Bundle, Principal, PrincipalKind, Role, Verdict, VerdictKind
from bailiwick.run import Call, CallState, Created, Run
from bailiwick.service.core.catalogue import Contracts, model_contract
from bailiwick.service.core.starting import submission_of
from bailiwick.service.gate.actions import Action
from bailiwick.service.gate.editions import first_edition
from bailiwick.service.gate.judging import request_of

_LET = (CallState.INTENDED, CallState.DONE, CallState.FAILED, CallState.CANCELED, CallState.LOST)


class Unkept(Exception):
    """What a decision rested on is no longer there."""


def admitted_again(opening: Created, plan: Plan, bundle: Bundle) -> str | None:
    """Give the verdict that let an intent in again, by the facts of its edition.

    Returns:
        How the verdicts differ, "" if they do not; None when it was not recorded as whom policy knew the requester.
    """
    admission = opening.admission
    if admission is None:
        return None
    try:
        role = Role(admission.role) if admission.role else None
    except ValueError:
        return f"there is no role {admission.role}"
    name, tenant = opening.requested_by, opening.tenant
    by = Principal(admission.principal, name, PrincipalKind.USER, tenant, role, admission.groups)
    question = submission_of(by, opening, plan)
    if not opening.edition:
        question = first_edition(question)
    return _compared((VerdictKind.ALLOW,), admission.policies, bundle.decide(question))


def judged_again(
    seen: Run,
    plan: Plan,
    call: tuple[Call | None, Call],
    content: dict[str, Any] | None,
    contracts: Contracts,
    bundle: Bundle,
) -> str | None:
    """Give the verdict on an action again and compare it with what was recorded.

    Args:
        seen: The state that policy saw.
        plan: The run's plan.
        call: The action's entry before (None: there was none) and after the gate's decision.
        content: The action as it was hashed; None if it was erased.
        contracts: The contracts of that time.
        bundle: The policies of that time.

    Returns:
        How the verdicts differ, "" if they do not; None when policy did not decide what is recorded.

    Raises:
        Unkept: The action or its contract is no longer there.
    """
    before, after = call
    wanted = _wanted(before, after)
    if wanted is None:
        return None
    if content is None:
        raise Unkept(f"the bytes of action {after.key} were erased")
    body = canonical(content)
    if digest_of(body) != after.digest:
        return f"the stored bytes have the digest {digest_of(body)[:16]}, the action {after.digest[:16]}"
    action = Action(
        _contract(after, contracts),
        after.contract,
        body,
        after.digest,
        after.key,
        after.n,
        content.get("facts", {}),
        after.model,
        after.reserved,
        0,
        after.generated_prompt,
        arguments=content["arguments"],
    )
    question = request_of(seen, plan, seen.steps[after.step], action, contracts)
    fault = _compared(wanted, after.policies, bundle.decide(question))
    if fault and not seen.edition:
        fault = _compared(wanted, after.policies, bundle.decide(first_edition(question, seen, action)))
    return fault


def _compared(wanted: tuple[VerdictKind, ...], by: tuple[str, ...], verdict: Verdict) -> str:
    if verdict.effect in wanted and verdict.policies == by:
        return ""
    said = f"{'/'.join(wanted)} by {', '.join(by) or 'nothing'}"
    return f"recorded {said}, given again {verdict.effect} by {', '.join(verdict.policies) or 'nothing'}"


def _wanted(before: Call | None, after: Call) -> tuple[VerdictKind, ...] | None:
    """Say which verdicts lead to what is recorded; None where another than policy decided."""
    taken_back = before is not None and before.state in (CallState.GRANTED, CallState.INTENDED)
    match after.state:
        case CallState.HELD:
            return (VerdictKind.HOLD,)
        case CallState.REFUSED if taken_back or after.category is not ErrorCategory.DENIED:
            return None
        case CallState.REFUSED if after.model:
            return (VerdictKind.DENY, VerdictKind.HOLD)
        case CallState.REFUSED:
            return (VerdictKind.DENY,)
        case CallState.GRANTED if not after.approval:
            return (VerdictKind.ALLOW,)
        case state if state in _LET:
            return (VerdictKind.ALLOW, VerdictKind.HOLD) if after.approval else (VerdictKind.ALLOW,)
        case _:
            return None


def _contract(call: Call, contracts: Contracts) -> Contract:
    """Find the very contract that the action was held to."""
    name = call.capability.partition("@")[0]
    contract = model_contract(call.model) if call.model else contracts.get(call.capability)
    if contract is None or contract.name != name or contract_digest(contract) != call.contract:
        raise Unkept(f"the contract of {call.capability} is not kept")
    return contract
