"""Actions: from what an agent proposes to the one concrete thing that is hashed, shown, stored and executed."""

from typing import Any

import msgspec

from bailiwick.base import Category, Digest, Json, Refusal, canonical, digest_of, parse_canonical
from bailiwick.budget import PriceTable, estimate_call
from bailiwick.contract import Contract, ErrorCategory, Kind, parse_ref, select_version, validator_for
from bailiwick.plan import Plan
from bailiwick.ports import CallFailed, Proposal, Recorded, ToolHost
from bailiwick.run import Call, Run, Step, effect_key
from bailiwick.service.acting import agent_of, declared
from bailiwick.service.catalogue import Catalogue, model_contract
from bailiwick.service.refusals import NotFound
from bailiwick.service.runs import Runs

_MODEL = "model:"
_MAX_ERRORS = 5


class Action(msgspec.Struct, frozen=True):
    """One concrete thing to do. `estimate` in micro-USD; `body` is the canonical JSON that `digest` names.

    `pin` is the digest of the contract that serves it: an approval and a dispatch hold good for that text alone.
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

    @property
    def subject(self) -> str:
        """The digest of the artifact that the action is about, or empty."""
        return str(self.facts.get("subject", ""))

    def payload(self) -> dict[str, Json]:
        """Write the action as an event's payload holds it."""
        return {"action": parse_canonical(self.body)}


class Actions:
    """Makes actions of proposals, and finds stored ones again."""

    def __init__(self, *, runs: Runs, catalogue: Catalogue, tools: ToolHost, prices: PriceTable) -> None:
        self._runs = runs
        self._catalogue = catalogue
        self._tools = tools
        self._prices = prices

    async def propose(self, run: Run, plan: Plan, step: Step, proposal: Proposal) -> Action | Recorded:
        """Hold a proposal to its contract; what does not fit gets a typed answer that names the fault.

        Raises:
            Refusal: What the proposal names cannot be read now.
        """
        try:
            contract = self._contract(run, plan, step, proposal)
            facts = await self._facts(run, contract, proposal.arguments)
        except Refusal as refusal:
            if refusal.category is Category.UNAVAILABLE:
                raise  # not the agent's mistake, and not on its record
            return _refused(ErrorCategory.INVALID_OUTPUT, f"{refusal.message}; {refusal.remedy}")
        except _Unfit as unfit:
            return _refused(unfit.category, str(unfit))
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
        digest = digest_of(body)
        # An author's own key stands in the place of the occurrence, so it names the same effect each time.
        named = Digest(f"{digest}\0{proposal.key}") if proposal.key else digest
        n = 0 if proposal.key else proposal.n
        model = contract.name.removeprefix(_MODEL) if contract.kind is Kind.MODEL else ""
        return Action(
            contract,
            self._catalogue.digest(run.app, contract),
            body,
            digest,
            effect_key(tenant=run.tenant, run=run.id, step=proposal.step, digest=named, n=n),
            n,
            facts,
            model,
            self._model_estimate(model, proposal) if model else contract.price_micro_usd,
            contract.timeout_seconds,
            bool(model) and self._generated(run, plan, step, proposal.arguments),
        )

    def _generated(self, run: Run, plan: Plan, step: Step, arguments: dict[str, Any]) -> bool:
        """Say whether a platform-run agent would be instructed by anything but the prompt that its author wrote."""
        agent = self._catalogue.app(run.app).agents.get(agent_of(plan, step))
        if agent is None or agent.run is not None:
            return False
        told = [message for message in arguments["messages"] if message["role"] == "system"]
        missing = not arguments["previous"] and not told
        return missing or any(not message["text"].startswith(agent.prompt) for message in told)

    async def stored(self, run: Run, call: Call) -> Action:
        """Find the action whose bytes were stored when it was held.

        Raises:
            NotFound: The bytes were erased, or no tool serves the capability any more.
        """
        payload = await self._runs.payload(run.tenant, run.id, call.action_seq)
        if payload is None:
            raise NotFound("payload", f"{run.id}.{call.action_seq}")
        content = payload["action"]
        contract = self._catalogue.contracts(run.app)[call.capability]
        body = canonical(content)
        pin = self._catalogue.digest(run.app, contract)
        return Action(
            contract, pin, body, digest_of(body), call.key, call.n, content.get("facts", {}), call.model,
            call.reserved, contract.timeout_seconds,
        )  # fmt: skip

    def _contract(self, run: Run, plan: Plan, step: Step, proposal: Proposal) -> Contract:
        if proposal.capability.startswith(_MODEL):
            contract = model_contract(proposal.capability.removeprefix(_MODEL))
        else:
            contract = self._tool(run, plan, step, proposal.capability)
        errors = validator_for(contract.input).errors(proposal.arguments)
        if errors:
            detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:_MAX_ERRORS])
            raise _Unfit(ErrorCategory.INVALID_OUTPUT, f"the arguments do not fit {contract.ref}: {detail}")
        return contract

    def _tool(self, run: Run, plan: Plan, step: Step, name: str) -> Contract:
        """Choose the version that the run has pinned; what it has not is looked up, to be judged undeclared."""
        ref = parse_ref(name)
        contracts = self._catalogue.contracts(run.app)
        pinned = [pin.capability.rpartition("@") for pin in plan.pins]
        version = select_version((version for pin, _, version in pinned if pin == ref.name), ref)
        if version is None:
            version = select_version(contracts.versions.get(ref.name, {}), ref)
        if version is None:
            known = ", ".join(sorted(declared(contracts, plan, step))) or "none"
            reason = f"there is no capability {name}; this step may use: {known}"
            raise _Unfit(ErrorCategory.DENIED, reason)
        return contracts[f"{ref.name}@{version}"]

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


class _Unfit(Exception):
    """A proposal that cannot become an action; the agent is told why."""

    def __init__(self, category: ErrorCategory, reason: str) -> None:
        super().__init__(reason)
        self.category = category


def _refused(category: ErrorCategory, reason: str) -> Recorded:
    return Recorded(key="", state="refused", category=category, reason=reason)
