"""Starting: a submission, and the start of a step, as policy sees them."""

from bailiwick.contract import Contract, EffectClass
from bailiwick.policy import ActionKind, ActionRequest, Principal, PrincipalKind


def start_of(contract: Contract, *, tenant: str, app: str, by: str) -> ActionRequest:
    """Put the question whether a step may start, in the name of whoever submitted the run."""
    return ActionRequest(
        principal=Principal(by, by, PrincipalKind.USER, tenant),
        action=ActionKind.STEP_START,
        capability=contract.name,
        version=contract.version,
        kind=contract.kind,
        effect=contract.effect,
        tenant=tenant,
        app=app,
        declared=True,
    )


def submission_of(principal: Principal, *, app: str, workflow: str) -> ActionRequest:
    """Put the question whether somebody may have a workflow carried out."""
    return ActionRequest(
        principal=principal,
        action=ActionKind.RUN_SUBMIT,
        capability=workflow,
        version="1.0.0",
        kind="workflow",
        effect=EffectClass.READ_ONLY,
        tenant=principal.tenant,
        app=app,
    )
