"""Mandating: what a platform-run agent works by, from what its run has pinned and nothing else."""

from bailiwick.contract import Contract, parse_ref, select_version
from bailiwick.ports import Mandate, ToolSpec
from bailiwick.service.core.pinned import Pinned
from bailiwick.service.core.refusals import NotKept


def mandate_of(pinned: Pinned, agent: str) -> Mandate | None:
    """Write the mandate of a platform-run agent; None for everything else.

    Raises:
        NotKept: The contract of a tool that it may call is gone.
    """
    text = pinned.agents.get(agent)
    if text is None:
        return None
    return Mandate(
        text.prompt,
        text.model,
        text.max_turns,
        text.max_output_tokens,
        tuple(_spec(tool, _contract(pinned, tool)) for tool in text.tools),
        text.tools,
    )


def _contract(pinned: Pinned, tool: str) -> Contract:
    ref = parse_ref(tool)
    versions = pinned.contracts.versions.get(ref.name, {})
    chosen = select_version(versions, ref)
    if chosen is None:
        raise NotKept(tool, "its contract is not kept")
    return versions[chosen]


def _spec(tool: str, contract: Contract) -> ToolSpec:
    return ToolSpec(parse_ref(tool).name, contract.summary, contract.input)
