"""Actions: from what an agent proposes to the one concrete thing that is hashed, shown, stored and executed."""

from typing import Any

import msgspec

from bailiwick.base import Category, Digest, Json, Refusal, canonical, digest_of, parse_canonical
from bailiwick.budget import PriceTable, estimate_call
from bailiwick.contract import (
    Contract,
    ErrorCategory,
    Kind,
    contract_digest,
    parse_ref,
    select_version,
    validator_for,
)
from bailiwick.plan import Plan
from bailiwick.ports import CallFailed, Proposal, Recorded, ToolHost
from bailiwick.run import Bar, Call, Run, Standing, StandingKind, Step, effect_key
from bailiwick.service.core.acting import agent_of, is_declared, unknown
from bailiwick.service.core.attempting import Unfit
from bailiwick.service.core.bounds import MAX_BYTES
from bailiwick.service.core.catalogue import Catalogue, Contracts, digest_of_contract, model_contract
from bailiwick.service.core.pinned import AgentText, prompted
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.instructions import Instructions

_MODEL = "model:"
_MAX_ERRORS = 5
_SAID = ("user", "assistant", "tool")


class Action(msgspec.Struct, frozen=True):
    """One concrete thing to do. `estimate` in micro-USD; `body` is the canonical JSON that `digest` names.

    `contract` is the one that the run has pinned, `pin` its digest: all is decided by that text. `server` is what
    serves it now, `serves` that one's digest: an approval and a dispatch hold good for that text alone. `gone` says why
    nothing serves it, and who can change that.
    `strange` is what an agent is told that was not given this tool, if policy denies it: nothing about the tool.
    """

    contract: Contract
    pin: Digest
    body: bytes
    digest: Digest
    key: str
    n: int
    facts: dict[str, Any]
    model: str
    estimate: int
    timeout_seconds: float
    generated_prompt: bool = False
    strange: str = ""
    arguments: dict[str, Any] = {}
    server: Contract | None = None
    serves: Digest = Digest("")
    gone: Bar | None = None

    @property
    def served(self) -> str:
        """What serves it, where that is another text than the pinned one: its name and digest."""
        return f"{self.server.ref} {self.serves}" if self.server and self.serves != self.pin else ""

    @property
    def subject(self) -> str:
        """The digest of the artifact that the action is about, or empty."""
        return str(self.facts.get("subject", ""))

    def payload(self) -> dict[str, Json]:
        """Write the action as an event's payload holds it."""
        return {"action": parse_canonical(self.body)}


def gone(run: str, contract: Contract, reason: str) -> Bar:
    """Say that nothing serves what a run holds on to, and what helps."""
    again = "offer it again as it was, or a compatible version"
    wanted = "configure it" if contract.kind is Kind.MODEL else again
    told = f"{contract.ref} is gone: {reason}; {wanted}, then: bailiwick runs resume {run}"
    return Bar(told, Standing(StandingKind.CAPABILITY, contract.ref))


class Actions:
    """Makes actions of proposals, and finds stored ones again."""

    def __init__(self, *, runs: Runs, catalogue: Catalogue, tools: ToolHost, prices: PriceTable) -> None:
        self._runs = runs
        self._catalogue = catalogue
        self._tools = tools
        self._prices = prices
        self._instructions = Instructions(runs)

    async def propose(self, run: Run, plan: Plan, step: Step, proposal: Proposal) -> Action | Unfit:
        """Hold a proposal to its contract; what does not fit gets a typed answer that names the fault.

        Raises:
            Refusal: What the proposal names cannot be read now.
        """
        if proposal.unread:
            return _refused("unreadable_arguments", proposal.unread)
        pinned = await self._runs.pinned(run)
        contracts = pinned.contracts
        try:
            contract = _named(contracts, plan, proposal)
        except Refusal as refusal:
            return _refused(refusal.code, f"{refusal.message}; {refusal.remedy}")
        strange = (
            "" if is_declared(contracts, plan, step, contract) else unknown(contracts, plan, step, proposal)
        )
        if contract is None:
            return _refused("unknown_capability", "", strange)
        text = pinned.agents.get(agent_of(plan, step))
        try:
            _check_arguments(contract, proposal.arguments)
            _check_model(contract, text)
            server, serves, fault = self._serving(run, contracts, contract)
            facts = {} if fault else await self._facts(run, server, proposal.arguments)
        except Refusal as refusal:
            if refusal.category is Category.UNAVAILABLE:
                raise  # not the agent's mistake, and not on its record
            return _refused(refusal.code, f"{refusal.message}; {refusal.remedy}", strange)
        except _Misfit as misfit:
            return _refused(misfit.code, str(misfit), strange)
        content: dict[str, Any] = {
            "capability": contract.ref,
            "arguments": proposal.arguments,
            "scope": {"tenant": run.tenant, "app": run.app, "run": run.id, "step": step.name},
        }
        if run.environment:
            content["environment"] = run.environment
        if facts:
            content["facts"] = facts
        body = canonical(content)
        if len(body) > MAX_BYTES:
            reason = f"the arguments have {len(body)} bytes, at most {MAX_BYTES} are taken; store them and hand over a name"
            return _refused("arguments_too_large", reason, strange)
        digest = digest_of(body)
        # An author's own key stands in the place of the occurrence, so it names the same effect each time.
        named = Digest(f"{digest}\0{proposal.key}") if proposal.key else digest
        n = 0 if proposal.key else proposal.n
        model = contract.name.removeprefix(_MODEL) if contract.kind is Kind.MODEL else ""
        return Action(
            contract,
            digest_of_contract(contracts, contract),
            body,
            digest,
            effect_key(tenant=run.tenant, run=run.id, step=proposal.step, digest=named, n=n),
            n,
            facts,
            model,
            self._model_estimate(model, proposal) if model else contract.price_micro_usd,
            contract.timeout_seconds,
            bool(model) and await self._generated(run, text, proposal.arguments),
            strange,
            proposal.arguments,
            server,
            serves,
            fault,
        )

    async def _generated(self, run: Run, agent: AgentText | None, arguments: dict[str, Any]) -> bool:
        """Say whether a model would be instructed by what a model wrote.

        A platform-run agent's instructions begin with the prompt that its run has pinned; whatever else it, or a code
        agent, tells a model must not be what a model of this run has answered.
        """
        told = [message["text"] for message in arguments["messages"] if message["role"] not in _SAID]
        if agent is not None:
            missing = not arguments["previous"] and not told
            if missing or any(not prompted(agent, text) for text in told):
                return True
            told = [text.removeprefix(agent.prompt) for text in told]
        return await self._instructions.generated(run, told)

    def _serving(
        self, run: Run, contracts: Contracts, contract: Contract
    ) -> tuple[Contract, Digest, Bar | None]:
        """Find what serves a pinned contract now, and its digest; or say why nothing does, and what helps."""
        pin = digest_of_contract(contracts, contract)
        server = self._catalogue.serving(run.tenant, run.app, contract, pin)
        if isinstance(server, Contract):
            return server, pin if server is contract else contract_digest(server), None
        return contract, pin, gone(run.id, contract, server)

    async def stored(self, run: Run, call: Call) -> Action:
        """Find the action whose bytes were stored when it was held.

        Raises:
            NotFound: The bytes were erased, or no tool serves the capability any more.
        """
        payload = await self._runs.payload(run.tenant, run.id, call.action_seq)
        if payload is None:
            raise NotFound("payload", f"{run.id}.{call.action_seq}")
        content = payload["action"]
        contracts = (await self._runs.pinned(run)).contracts
        contract = await self._runs.contract(run, call.capability)
        server, serves, fault = self._serving(run, contracts, contract)
        body = canonical(content)
        pin = digest_of_contract(contracts, contract)
        return Action(
            contract, pin, body, digest_of(body), call.key, call.n, content.get("facts", {}), call.model,
            call.reserved, contract.timeout_seconds, arguments=content["arguments"], server=server, serves=serves,
            gone=fault,
        )  # fmt: skip

    async def _facts(self, run: Run, contract: Contract, arguments: dict[str, Any]) -> dict[str, Any]:
        need = self._tools.facts(contract, arguments) if contract.kind is Kind.TOOL else None
        if need is None:
            return {}
        artifacts: dict[Digest, bytes] = {}
        for digest in need.artifacts:
            body = await self._runs.blobs.get(run.tenant, digest)
            if body is None:
                raise NotFound("artifact", digest)
            artifacts[digest] = body
        try:
            return self._tools.derive_facts(contract, arguments, artifacts)
        except CallFailed as failed:
            return {"paths": [], "suspicious": failed.message}

    def _model_estimate(self, model: str, proposal: Proposal) -> int:
        limit = int(proposal.arguments["parameters"]["max_output_tokens"])
        price = self._prices.price(model, self._runs.world.now(), proposal.input_tokens)
        return estimate_call(price, max(proposal.input_tokens, 0), limit).micro_usd


class _Misfit(Exception):
    """Arguments that do not fit the contract, or a model that the run has not pinned; the agent is told why."""

    def __init__(self, reason: str, code: str = "arguments_do_not_fit") -> None:
        super().__init__(reason)
        self.code = code


def _named(contracts: Contracts, plan: Plan, proposal: Proposal) -> Contract | None:
    """Choose the version that the run has pinned; what it has not is looked up, to be judged undeclared."""
    if proposal.capability.startswith(_MODEL):
        return model_contract(proposal.capability.removeprefix(_MODEL))
    ref = parse_ref(proposal.capability)
    pinned = [pin.capability.rpartition("@") for pin in plan.pins]
    version = select_version((version for pin, _, version in pinned if pin == ref.name), ref)
    if version is None:
        version = select_version(contracts.versions.get(ref.name, {}), ref)
    return contracts[f"{ref.name}@{version}"] if version is not None else None


def _check_model(contract: Contract, agent: AgentText | None) -> None:
    """Hold a platform-run agent to the model that its run has pinned, whoever runs it."""
    if agent is not None and contract.kind is Kind.MODEL and contract.name != f"{_MODEL}{agent.model}":
        raise _Misfit(
            f"this run goes on with the model {agent.model}, not {contract.name.removeprefix(_MODEL)}",
            "another_model",
        )


def _check_arguments(contract: Contract, arguments: dict[str, Any]) -> None:
    errors = validator_for(contract.input).errors(arguments)
    if errors:
        detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:_MAX_ERRORS])
        raise _Misfit(f"the arguments do not fit {contract.ref}: {detail}")


def _refused(code: str, reason: str, strange: str = "") -> Unfit:
    """Answer a proposal that becomes no action; about a tool that the step was not given, nothing is told."""
    category = ErrorCategory.DENIED if strange else ErrorCategory.INVALID_OUTPUT
    return Unfit(Recorded(key="", state="refused", category=category, reason=strange or reason), code)
