"""Starting: a submission, and the start of a step, as policy sees them; and where both execute."""

from collections.abc import Mapping

from bailiwick.contract import EffectClass
from bailiwick.plan import Plan
from bailiwick.policy import ActionKind, ActionRequest, Environment, Principal, PrincipalKind, Role
from bailiwick.run import Created, Run, Start

ONLY = "default"
"""The one pool of workers and the one sandbox profile that a deployment has so far."""
_ROLES = {role.value: role for role in Role}


def place_of(environment: Mapping[str, str]) -> Environment:
    """Say where a run executes: what its intent names, and for all else what this deployment has."""
    return Environment(
        pool=environment.get("pool", ONLY),
        sandbox=environment.get("sandbox", ONLY),
        region=environment.get("region", ""),
        scope=environment.get("scope", ""),
    )


def requester_of(run: Run) -> Principal:
    """Name who submitted a run, with the role and the groups that policy knew then, whatever became of the key."""
    known = run.admission
    if known is None:
        return Principal(run.requested_by, run.requested_by, PrincipalKind.USER, run.tenant)
    role = _ROLES.get(known.role)
    return Principal(known.principal, run.requested_by, PrincipalKind.USER, run.tenant, role, known.groups)


def start_of(start: Start, plan: Plan) -> ActionRequest:
    """Put the question whether a step may start, in the name of whoever submitted the run."""
    run, contract = start.run, start.contract
    return ActionRequest(
        principal=requester_of(run),
        action=ActionKind.STEP_START,
        capability=contract.name,
        version=contract.version,
        kind=contract.kind,
        effect=contract.effect,
        tenant=run.tenant,
        app=run.app,
        permissions=contract.permissions,
        allowed_apis=contract.allowed_apis,
        environment=place_of(run.environment),
        declared=True,
        reviewed=run.reviewed,
        spent_micro_usd=run.allotment.spent,
        remaining_micro_usd=run.allotment.remaining,
        estimate_micro_usd=contract.price_micro_usd,
        untrusted=bool(plan.context),
    )


def submission_of(principal: Principal, opening: Created, plan: Plan) -> ActionRequest:
    """Put the question whether somebody may have a workflow carried out."""
    name, _, version = opening.workflow.partition("@")
    return ActionRequest(
        principal=principal,
        action=ActionKind.RUN_SUBMIT,
        capability=name,
        version=version,
        kind="workflow",
        effect=EffectClass.READ_ONLY,
        tenant=opening.tenant,
        app=opening.app,
        environment=place_of(opening.environment),
        declared=True,
        remaining_micro_usd=opening.allotment,
        estimate_micro_usd=opening.allotment,
        untrusted=bool(plan.context),
    )
