"""Judging: an action of a step as policy sees it, with facts from server state alone."""

from bailiwick.contract import Kind
from bailiwick.plan import Plan
from bailiwick.policy import ActionKind, ActionRequest, Principal, PrincipalKind, written_by
from bailiwick.run import Run, Step, probed_in
from bailiwick.service.core.acting import agent_of, is_declared
from bailiwick.service.core.catalogue import Contracts
from bailiwick.service.core.starting import place_of
from bailiwick.service.gate.actions import Action


def request_of(
    run: Run,
    plan: Plan,
    step: Step,
    action: Action,
    contracts: Contracts,
    approvals: tuple[str, ...] = (),
) -> ActionRequest:
    """Put the question whether a step may take an action; `approvals` are the groups that granted it."""
    contract = action.contract
    agent = agent_of(plan, step)
    model = contract.kind is Kind.MODEL
    written = written_by(contract, action.arguments, action.facts)
    return ActionRequest(
        principal=Principal(agent, agent, PrincipalKind.AGENT, run.tenant),
        action=ActionKind.MODEL_CALL if model else ActionKind.TOOL_CALL,
        capability=contract.name,
        version=contract.version,
        kind=contract.kind,
        effect=contract.effect,
        tenant=run.tenant,
        app=run.app,
        permissions=contract.permissions,
        allowed_apis=contract.allowed_apis,
        declared=is_declared(contracts, plan, step, contract) or _asks(run, step, contract.ref),
        subject=action.subject,
        reviewed=run.reviewed,
        paths=written.paths,
        classes=written.classes,
        branch=str(action.facts.get("branch", "")),
        host=str(action.facts.get("host", "")),
        method=str(action.facts.get("method", "")),
        url_path=str(action.facts.get("url_path", "")),
        spent_micro_usd=run.allotment.spent,
        remaining_micro_usd=run.allotment.remaining,
        estimate_micro_usd=action.estimate,
        environment=place_of(run.environment),
        untrusted=bool(plan.context),
        generated_prompt=action.generated_prompt,
        approvals=approvals,
    )


def _asks(run: Run, step: Step, ref: str) -> bool:
    """Whether a capability is the probe that a step was taken for: the contract of the action names it."""
    asked = probed_in(run, step)
    return asked is not None and asked.probe == ref
