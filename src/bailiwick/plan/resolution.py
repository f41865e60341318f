"""From the ranges that an author wrote to exact contracts: what is offered, what it reaches, what it pins."""

from collections.abc import Mapping

import msgspec

from bailiwick.contract import (
    Contract,
    EffectClass,
    InvalidReference,
    Kind,
    contract_digest,
    parse_ref,
    select_version,
)
from bailiwick.plan.findings import Finding
from bailiwick.plan.graph import Pin
from bailiwick.plan.reader import child
from bailiwick.plan.source import Workflow, walk

Catalogue = Mapping[str, Mapping[str, Contract]]
"""Name -> version -> contract: what an app may use."""


class Resolution(msgspec.Struct, frozen=True):
    """The contract that each written reference means, by that text; and all pins, tools of agents included."""

    contracts: Mapping[str, Contract]
    pins: tuple[Pin, ...]
    findings: tuple[Finding, ...]

    def ref(self, written: str) -> str:
        """The exact capability that a text means; empty for an empty or unknown one."""
        contract = self.contracts.get(written)
        return contract.ref if contract is not None else ""

    def digest(self, written: str) -> str:
        """The digest of the contract that a text means; empty for an empty or unknown one."""
        ref = self.ref(written)
        return next((pin.contract for pin in self.pins if pin.capability == ref), "")


def resolve_capabilities(workflow: Workflow, catalogue: Catalogue) -> Resolution:
    """Choose a contract for all that a workflow names, directly or through its agents' tools."""
    contracts: dict[str, Contract] = {}
    reached: dict[str, Contract] = {}
    findings: list[Finding] = []
    for written, pointer in _named(workflow):
        contract = contracts.get(written) or _select(written, catalogue)
        if contract is None:
            findings.append(_unknown(written, pointer, catalogue))
            continue
        contracts[written] = contract
        reached[contract.ref] = contract
        findings += _role_faults(contract, pointer)
        findings += _write_faults(contract, pointer)
        for tool in contract.tools if contract.kind is Kind.AGENT else ():
            offered = _select(tool, catalogue)
            if offered is None or offered.kind is not Kind.TOOL:
                detail = f"the agent {contract.ref} uses {tool!r}, which is not a tool that this app declares"
                findings.append(Finding("tool_not_declared", pointer, detail))
                continue
            reached[offered.ref] = offered
            findings += _write_faults(offered, pointer)
    pins = tuple(Pin(ref, contract_digest(reached[ref])) for ref in sorted(reached))
    return Resolution(contracts, pins, tuple(dict.fromkeys(findings)))


def _named(workflow: Workflow) -> list[tuple[str, str]]:
    found = [(workflow.planner, "/planner")] if workflow.planner else []
    found += [(item.uses, child(item.pointer, "uses")) for item in workflow.context]
    for step in walk(workflow.steps):
        found += [(step.uses, child(step.pointer, "uses"))] if step.uses else []
        found += [(step.fallback, child(step.pointer, "fallback"))] if step.fallback else []
        if step.compensate is not None and step.compensate.uses:
            found.append((step.compensate.uses, child(child(step.pointer, "compensate"), "uses")))
    return found


def _select(written: str, catalogue: Catalogue) -> Contract | None:
    try:
        ref = parse_ref(written)
    except InvalidReference:
        return None
    versions = catalogue.get(ref.name, {})
    version = select_version(versions, ref)
    return None if version is None else versions[version]


def _unknown(written: str, pointer: str, catalogue: Catalogue) -> Finding:
    offered = sorted(catalogue.get(written.partition("@")[0], {}))
    known = f"; offered are the versions {', '.join(offered)}" if offered else ""
    return Finding("unknown_capability", pointer, f"nobody offers {written!r}{known}")


def _role_faults(contract: Contract, pointer: str) -> list[Finding]:
    if pointer == "/planner" and contract.kind is not Kind.AGENT:
        return [
            Finding("not_an_agent", pointer, f"{contract.ref} is a {contract.kind}; a planner is an agent")
        ]
    if pointer.startswith("/context/") and contract.effect is not EffectClass.READ_ONLY:
        detail = f"{contract.ref} is {contract.effect}; context is loaded by read-only actions"
        return [Finding("context_not_read_only", pointer, detail)]
    if pointer.endswith("/compensate/uses") and contract.kind is not Kind.TOOL:
        detail = f"{contract.ref} is a {contract.kind}; a compensation is a tool, so that its price is known beforehand"
        return [Finding("not_a_tool", pointer, detail)]
    return []


def _write_faults(contract: Contract, pointer: str) -> list[Finding]:
    """A write that no key makes repeatable must say how it fails: that is what a person resolves it by."""
    keyless = contract.effect is EffectClass.EXTERNAL_ACTION or (
        contract.effect is EffectClass.IDEMPOTENT_WRITE and contract.key_kept_seconds == 0
    )
    if not keyless or contract.failure_modes:
        return []
    detail = f"{contract.ref} writes without a key, and its contract names no failure_modes to resolve it by"
    return [Finding("write_without_resolution", pointer, detail)]
