"""Acting: who acts in a step, and which tools it was given."""

from bailiwick.contract import Contract, Kind, parse_ref
from bailiwick.plan import Plan
from bailiwick.ports import Proposal
from bailiwick.run import CONTEXT, PLAN, Step, node_id
from bailiwick.service.core.catalogue import Contracts


def used_by(plan: Plan, step: Step) -> str:
    """Name the capability that serves a step."""
    node = plan.node(node_id(step.name))
    return node.fallback if step.fallback else node.uses


def agent_of(plan: Plan, step: Step) -> str:
    """Name who acts in a step: its agent, or the step's tool, or the platform for system steps."""
    if step.name == CONTEXT:
        return "system.context"
    return plan.planner if step.name == PLAN else used_by(plan, step)


def declared(contracts: Contracts, plan: Plan, step: Step) -> tuple[str, ...]:
    """Name the tools that a step may use: the one it is, its context's, or its agent's."""
    if step.name == CONTEXT:
        return tuple(item.uses.partition("@")[0] for item in plan.context)
    contract = contracts[agent_of(plan, step)]
    if contract.kind is Kind.TOOL:
        return (contract.name,)
    return tuple(parse_ref(tool).name for tool in contract.tools)


def is_declared(contracts: Contracts, plan: Plan, step: Step, contract: Contract | None) -> bool:
    """Whether a step was given a capability; a model it may always name."""
    if contract is None:
        return False
    return contract.kind is Kind.MODEL or contract.name in declared(contracts, plan, step)


def unknown(contracts: Contracts, plan: Plan, step: Step, proposal: Proposal) -> str:
    """Say that a step has no such tool; the same, whether there is none or it was given to others."""
    known = ", ".join(sorted(declared(contracts, plan, step))) or "none"
    return f"there is no capability {proposal.capability}; this step may use: {known}"
