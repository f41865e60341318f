"""What a run holds on to: contracts, prompts, models and meanings, as they were when it began, read back by digest."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from bailiwick.base import Category, Refusal, parse_canonical
from bailiwick.contract import contract_digest
from bailiwick.plan import Plan, RuleBook
from bailiwick.ports import FEEDBACK
from bailiwick.run import Run
from bailiwick.service.core.catalogue import AppEntry, Contracts, contracts_of

Read = Callable[[str], Awaitable[bytes | None]]
"""Reads a blob of the run's tenant by its digest; None when it is not there."""


class AgentText(msgspec.Struct, frozen=True):
    """What a platform-run agent works by, beside its contract."""

    ref: str
    prompt: str
    tools: tuple[str, ...]
    max_turns: int
    max_output_tokens: int
    model: str


class Pinned(msgspec.Struct, frozen=True):
    """What one run holds on to.

    Attributes:
        contracts: All that was offered to the run, by exact name.
        agents: The platform-run agents that its plan reaches; all others are code.
        meanings: What each constraint meant that its planner may ask for; None: what it means now.
        gone: What is not kept any more, by capability, and why.
    """

    contracts: Contracts
    agents: Mapping[str, AgentText] = {}
    meanings: tuple[tuple[str, str], ...] | None = None
    gone: Mapping[str, str] = {}

    def book(self, rules: RuleBook) -> RuleBook:
        """Give the rules the meanings that the run began with.

        Raises:
            UnknownRule: A rule is not registered any more.
        """
        return rules if self.meanings is None else rules.held_to(self.meanings)


def pins_of(plan: Plan, app: AppEntry) -> dict[str, Any]:
    """Name what the run holds on to: contracts by digest, each agent's prompt and model, what constraints mean."""
    reached = (plan.planner, *(pin.capability for pin in plan.pins))
    pins: dict[str, Any] = {
        "contracts": {pin.capability: pin.contract for pin in plan.pins},
        "agents": {ref: app.pins[ref] for ref in reached if ref in app.pins},
    }
    if plan.planner:
        pins["meanings"] = app.meanings[0]
    return pins


async def pinned_of(run: Run, plan: Plan, app: AppEntry | None, offered: Contracts, read: Read) -> Pinned:
    """Read back what a run holds on to; what the app still has is not read.

    Args:
        run: The run.
        plan: Its plan.
        app: Its app as it is loaded now; None when it is gone.
        offered: The contracts that are offered to it now.
        read: Reads blobs.

    Raises:
        Refusal: The store cannot be read now (category unavailable).
    """
    gone: dict[str, str] = {}
    contracts = await _contracts(run, plan, offered, read, gone)
    agents: dict[str, AgentText] = {}
    for ref, pin in run.pins.get("agents", {}).items():
        text = await _agent(ref, pin, app, read)
        if isinstance(text, AgentText):
            agents[ref] = text
        elif text:
            gone[ref] = text
    return Pinned(contracts, agents, await _meanings(run, app, read), gone)


async def _contracts(run: Run, plan: Plan, offered: Contracts, read: Read, gone: dict[str, str]) -> Contracts:
    if run.catalogue == offered.digest:
        return offered
    body = await _kept(run.catalogue, read)
    if body is not None:
        return contracts_of(body)
    same = [
        offered[pin.capability]
        for pin in plan.pins
        if pin.capability in offered and contract_digest(offered[pin.capability]) == pin.contract
    ]
    found = Contracts(same)
    gone |= {pin.capability: "its contract is not kept" for pin in plan.pins if pin.capability not in found}
    return found


async def _agent(ref: str, pin: Mapping[str, Any], app: AppEntry | None, read: Read) -> AgentText | str:
    """Find what an agent works by; empty for code, else why it is gone."""
    own = app.agents.get(ref) if app is not None else None
    if pin.get("code"):
        return ""
    if own is not None and own.run is None and app is not None and app.pins[ref]["prompt"] == pin["prompt"]:
        return agent_text(own.text, pin["model"])
    body = await _kept(pin["prompt"], read)
    if body is not None:
        return agent_text(body, pin["model"])
    # A run that began before texts were kept does not say whether its agent is code.
    return "" if own is not None and own.run is not None else "its prompt is not kept"


async def _meanings(run: Run, app: AppEntry | None, read: Read) -> tuple[tuple[str, str], ...] | None:
    digest = run.pins.get("meanings", "")
    if not digest or (app is not None and app.meanings[0] == digest):
        return None
    body = await _kept(digest, read)
    return None if body is None else tuple((phrase, ref) for phrase, ref in parse_canonical(body))


async def _kept(digest: str, read: Read) -> bytes | None:
    """Read what is kept; what is damaged is not."""
    if not digest:
        return None
    try:
        return await read(digest)
    except Refusal as refusal:
        if refusal.category is Category.UNAVAILABLE:
            raise
        return None


def prompted(agent: AgentText, said: str) -> bool:
    """Whether a system message is the agent's pinned prompt, with nothing behind it but why an attempt failed."""
    return said == agent.prompt or said.startswith(agent.prompt + FEEDBACK)


def agent_text(body: bytes, model: str) -> AgentText:
    """Read a pinned text back."""
    ref, prompt, tools, turns, tokens = parse_canonical(body)
    return AgentText(ref, prompt, tuple(tools), turns, tokens, model)
