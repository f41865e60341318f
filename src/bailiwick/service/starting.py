"""Starting: the start of a step as policy sees it."""

from bailiwick.contract import Contract
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
