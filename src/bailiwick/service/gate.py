"""The gate: contract, halt, policy, budget, approval, journal; every action passes here before it happens."""

from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from bailiwick.base import Digest, Instant, Json, canonical, digest_of, parse_canonical
from bailiwick.budget import BudgetExhausted, PriceTable, estimate_call
from bailiwick.contract import (
    Contract,
    EffectClass,
    ErrorCategory,
    Kind,
    parse_ref,
    select_version,
    validator_for,
)
from bailiwick.plan import Plan
from bailiwick.policy import ActionKind, ActionRequest, Principal, PrincipalKind, Verdict, VerdictKind
from bailiwick.ports import (
    Approval,
    ApprovalState,
    CallFailed,
    Dispatch,
    GuardFailed,
    MoveApproval,
    Parked,
    Proposal,
    Recorded,
    ToolHost,
)
from bailiwick.run import (
    CONTEXT,
    PLAN,
    Call,
    CallState,
    Command,
    Journal,
    Park,
    Run,
    Step,
    effect_key,
    held_step,
    node_id,
    recorded,
)
from bailiwick.service.catalogue import Catalogue, model_contract
from bailiwick.service.halts import Halts
from bailiwick.service.refusals import NotFound
from bailiwick.service.runs import Change, Changer, Extra, Record, Runs

APPROVAL_SECONDS = 86_400
_MICROSECONDS = 1_000_000


class Action(msgspec.Struct, frozen=True):
    """One concrete thing to do: what is hashed, shown to approvers, stored, and executed."""

    contract: Contract
    body: bytes
    digest: Digest
    key: str
    n: int
    facts: dict[str, Any]
    model: str
    estimate: int
    timeout_seconds: float


class Free(msgspec.Struct, frozen=True):
    """A free read that was dispatched without an intent: its entry and its stored bytes."""

    call: Call
    body: bytes


class Gate:
    """Decides on actions; executes none."""

    def __init__(
        self, *, runs: Runs, catalogue: Catalogue, tools: ToolHost, prices: PriceTable, halts: Halts
    ) -> None:
        self._runs = runs
        self._catalogue = catalogue
        self._tools = tools
        self._prices = prices
        self._halts = halts
        self._free: dict[tuple[str, int], Free] = {}

    async def act(self, proposal: Proposal, session: str) -> Dispatch | Recorded | Parked:
        """Bring a proposed action before the gate.

        Returns:
            What is on record, a parking, or the dispatch to execute.

        Raises:
            LeaseLost: The step is no longer the caller's.
        """
        answer: list[Dispatch | Recorded | Parked] = []

        async def consider(run: Run, plan: Plan) -> Change | None:
            answer.clear()
            step = held(run, proposal.step, proposal.epoch)
            contract = self._contract(run, plan, step, proposal)
            if isinstance(contract, Recorded):
                answer.append(contract)
                return None
            action = await self._action(run, contract, proposal)
            known = recorded(run, step, action.key)
            if known is not None:
                answer.append(await self.answer(run, known))
                return None
            decided, change = await self._decide(run, plan, step, action)
            answer.append(decided)
            return change if change is None else replace(change, record=Record(f"worker:{session}"))

        await self._runs.change(proposal.tenant, proposal.run, consider)
        return answer[0]

    async def dispatch_granted(self, tenant: str, run_id: str, step_name: str, epoch: int) -> Dispatch | None:
        """Dispatch the action that humans granted and this session has claimed: the stored bytes, once.

        Halt, policy and budget are checked again; the grant is consumed in the transaction that writes
        the intent. None when it may not go on: the step was parked or the grant was voided.
        """
        dispatch: list[Dispatch | None] = [None]

        async def consider(run: Run, plan: Plan) -> Change | None:
            dispatch[0] = None
            step = held(run, step_name, epoch)
            call = run.calls[step.call]
            action = await self._stored(run, call)
            halt = self._halts.stopping(run, agent_of(plan, step), call.capability)
            if halt is not None:
                return Change(Park(step.name, epoch, halt), Record("platform:gate"))
            repeat = call.state is CallState.INTENDED
            verdict = self._judge(run, plan, step, action, approvals=await self._groups(run, call))
            if verdict.effect is not VerdictKind.ALLOW:
                return self._void(run, step, call, verdict, repeat=repeat)
            intended = replace(
                call, state=CallState.INTENDED, attempt=step.attempt, epoch=epoch, policies=verdict.policies
            )
            moved = () if repeat else (await self._consume(run, call),)
            dispatch[0] = self._dispatch(run, step, action, call.tries + 1)
            return Change(Journal(intended), Record("platform:gate"), Extra(moved_approvals=moved))

        try:
            await self._runs.change(tenant, run_id, consider)
        except GuardFailed:
            await self._runs.change(tenant, run_id, _expired(step_name, epoch))
            return None
        return dispatch[0]

    def pending(self, key: str, epoch: int) -> Free | None:
        """Take the free read that was dispatched without an intent; its verdict is committed with its outcome."""
        return self._free.pop((key, epoch), None)

    async def answer(self, run: Run, call: Call) -> Recorded:
        """Answer a call from the record."""
        outcome: Json = None
        if call.outcome_seq:
            payload = await self._runs.payload(run.tenant, run.id, call.outcome_seq)
            outcome = payload.get("outcome") if isinstance(payload, dict) else None
        return Recorded(
            key=call.key,
            state=call.state,
            outcome=outcome,
            category=call.category,
            reason=call.reason,
            tree=call.tree,
        )

    def _contract(self, run: Run, plan: Plan, step: Step, proposal: Proposal) -> Contract | Recorded:
        name = proposal.capability
        if name.startswith("model:"):
            return model_contract(name.removeprefix("model:"))
        ref = parse_ref(name)
        version = select_version(self._catalogue.versions.get(ref.name, {}), ref)
        if version is None:
            known = ", ".join(sorted(self._declared(run, plan, step))) or "none"
            reason = f"there is no capability {name}; this step may use: {known}"
            return Recorded(key="", state="refused", category=ErrorCategory.DENIED, reason=reason)
        contract = self._catalogue.versions[ref.name][version]
        errors = validator_for(contract.input).errors(proposal.arguments)
        if errors:
            detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:5])
            reason = f"the arguments do not fit {contract.ref}: {detail}"
            return Recorded(key="", state="refused", category=ErrorCategory.INVALID_OUTPUT, reason=reason)
        return contract

    async def _action(self, run: Run, contract: Contract, proposal: Proposal) -> Action:
        facts = await self._facts(run, contract, proposal.arguments)
        content: dict[str, Any] = {
            "capability": contract.ref,
            "arguments": proposal.arguments,
            "scope": {"tenant": run.tenant, "app": run.app, "run": run.id},
        }
        if facts:
            content["facts"] = facts
        body = canonical(content)
        digest = digest_of(body)
        n = proposal.n
        key = effect_key(
            tenant=run.tenant, run=run.id, step=proposal.step, digest=Digest(proposal.key or digest), n=n
        )
        model = str(proposal.arguments.get("model", "")) if contract.kind is Kind.MODEL else ""
        estimate = contract.price_micro_usd
        if model:
            limit = int(proposal.arguments["parameters"]["max_output_tokens"])
            price = self._prices.price(model, self._runs.world.now(), proposal.input_tokens)
            estimate = estimate_call(price, proposal.input_tokens, limit).micro_usd
        return Action(contract, body, digest, key, n, facts, model, estimate, contract.timeout_seconds)

    async def _stored(self, run: Run, call: Call) -> Action:
        payload = await self._runs.payload(run.tenant, run.id, call.action_seq)
        content = payload["action"]
        contract = self._catalogue.contracts[call.capability]
        body = canonical(content)
        assert digest_of(body) == call.digest, "the stored bytes are those that were approved"
        return Action(
            contract, body, call.digest, call.key, call.n, content.get("facts", {}), "", call.reserved,
            contract.timeout_seconds,
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

    async def _decide(
        self, run: Run, plan: Plan, step: Step, action: Action
    ) -> tuple[Dispatch | Recorded | Parked, Change | None]:
        contract = action.contract
        halt = self._halts.stopping(run, agent_of(plan, step), contract.ref)
        if halt is not None:
            return Parked(halt), _change(Park(step.name, step.epoch, halt))
        verdict = self._judge(run, plan, step, action)
        call = self._call(run, step, action, verdict)
        if verdict.effect is VerdictKind.HOLD and contract.kind is Kind.MODEL:
            reason = "a policy holds this model call, and only tool calls can wait for people"
            verdict = replace(verdict, effect=VerdictKind.DENY, reasons=(reason,))
        before = run.calls.get(action.key)
        repeat = before is not None and before.state is CallState.INTENDED and before.epoch < step.epoch
        if verdict.effect is VerdictKind.DENY and repeat and before is not None:
            return Parked("outcome unknown"), self._void(run, step, before, verdict, repeat=True)
        match verdict.effect:
            case VerdictKind.DENY:
                reason = "; ".join(verdict.reasons) or "policy denies it"
                refused = replace(call, state=CallState.REFUSED, category=ErrorCategory.DENIED, reason=reason)
                answer = Recorded(key=call.key, state="refused", category=ErrorCategory.DENIED, reason=reason)
                return answer, _change(Journal(refused), Extra(payload=_payload(action)))
            case VerdictKind.HOLD if not repeat:
                return self._hold(run, step, action, call, verdict)
            case VerdictKind.HOLD | VerdictKind.ALLOW:
                return self._let(
                    run, step, action, call, fresh=before is None or before.attempt != step.attempt
                )
            case _:
                assert_never(verdict.effect)

    def _let(
        self, run: Run, step: Step, action: Action, call: Call, *, fresh: bool
    ) -> tuple[Dispatch | Parked, Change | None]:
        before = run.calls.get(action.key)
        dispatch = self._dispatch(run, step, action, (before.tries if before is not None else 0) + 1)
        if action.contract.effect is EffectClass.READ_ONLY and action.estimate == 0:
            self._free[action.key, step.epoch] = Free(call, action.body)
            return dispatch, None
        held_back = before.reserved if before is not None and before.state is CallState.INTENDED else 0
        try:
            replace(run.allotment, reserved=run.allotment.reserved - held_back).reserve(action.estimate)
        except BudgetExhausted as exhausted:
            reason = f"budget exhausted: {exhausted.message}; raise it: bailiwick runs resume {run.id} --add-usd AMOUNT"
            return Parked(reason), _change(Park(step.name, step.epoch, reason))
        extra = Extra(payload=_payload(action)) if fresh else Extra()
        return dispatch, _change(Journal(replace(call, state=CallState.INTENDED)), extra)

    def _hold(
        self, run: Run, step: Step, action: Action, call: Call, verdict: Verdict
    ) -> tuple[Parked, Change]:
        now = self._runs.world.now()
        id = self._runs.world.new_id("apr")
        ttl = min((hold.ttl_seconds for hold in verdict.holds), default=APPROVAL_SECONDS)
        approval = Approval(
            id=id,
            tenant=run.tenant,
            run=run.id,
            step=step.name,
            call=call.key,
            capability=call.capability,
            digest=action.digest,
            seq=run.version + 1,
            groups=tuple(sorted({hold.group for hold in verdict.holds})),
            holds=tuple(
                {"id": hold.id, "group": hold.group, "text_digest": hold.text_digest, "reason": hold.reason}
                for hold in verdict.holds
            ),
            policy_version=verdict.version,
            requested_by=run.requested_by,
            requested_at=now,
            expires_at=Instant(now + ttl * _MICROSECONDS),
            spent_micro_usd=run.allotment.spent,
            evidence=tuple(
                f"{name}:{done.output_digest}" for name, done in run.steps.items() if done.output_digest
            ),
        )
        held_call = replace(call, state=CallState.HELD, approval=id)
        extra = Extra(payload=_payload(action), new_approvals=(approval,))
        return Parked(f"waiting for approval {id}"), _change(Journal(held_call), extra)

    def _void(self, run: Run, step: Step, call: Call, verdict: Verdict, *, repeat: bool) -> Change:
        """A write that was under way and is now refused has an unknown outcome; a mere grant is void."""
        reason = "; ".join(verdict.reasons) or "policy no longer allows it"
        if repeat:
            return _change(Journal(replace(call, state=CallState.UNKNOWN, epoch=step.epoch, reason=reason)))
        refused = replace(
            call, state=CallState.REFUSED, category=ErrorCategory.DENIED, reason=reason, epoch=step.epoch
        )
        return _change(Journal(refused), Extra(payload={"outcome": None}))

    async def _groups(self, run: Run, call: Call) -> tuple[str, ...]:
        approval = await self._approval(run, call)
        return approval.groups

    async def _consume(self, run: Run, call: Call) -> MoveApproval:
        approval = await self._approval(run, call)
        assert approval.digest == call.digest, "a grant covers exactly one digest"
        return MoveApproval(
            ApprovalState.APPROVED, replace(approval, state=ApprovalState.CONSUMED), unexpired=True
        )

    async def _approval(self, run: Run, call: Call) -> Approval:
        approval = await self._runs.views.approval(run.tenant, call.approval)
        if approval is None:
            raise NotFound("approval", call.approval)
        return approval

    def _judge(
        self, run: Run, plan: Plan, step: Step, action: Action, approvals: tuple[str, ...] = ()
    ) -> Verdict:
        contract = action.contract
        agent = agent_of(plan, step)
        kind = ActionKind.MODEL_CALL if contract.kind is Kind.MODEL else ActionKind.TOOL_CALL
        declared = contract.kind is Kind.MODEL or contract.name in self._declared(run, plan, step)
        return self._runs.bundle.decide(
            ActionRequest(
                principal=Principal(agent, agent, PrincipalKind.AGENT, run.tenant),
                action=kind,
                capability=contract.name,
                version=contract.version,
                kind=contract.kind,
                effect=contract.effect,
                tenant=run.tenant,
                app=run.app,
                permissions=contract.permissions,
                allowed_apis=contract.allowed_apis,
                declared=declared,
                subject=str(action.facts.get("subject", "")),
                reviewed=run.reviewed,
                paths=_paths(action.facts),
                branch=str(action.facts.get("branch", "")),
                spent_micro_usd=run.allotment.spent,
                remaining_micro_usd=run.allotment.remaining,
                estimate_micro_usd=action.estimate,
                untrusted=run.untrusted,
                approvals=approvals,
            )
        )

    def _declared(self, run: Run, plan: Plan, step: Step) -> tuple[str, ...]:
        """Name the tools that a step may use: the one it is, its context's, or its agent's."""
        if step.name == CONTEXT:
            return tuple(item.uses.partition("@")[0] for item in plan.context)
        ref = plan.planner if step.name == PLAN else used_by(plan, step)
        contract = self._catalogue.contracts.get(ref)
        if contract is None:
            return ()
        if contract.kind is Kind.TOOL:
            return (contract.name,)
        return tuple(parse_ref(tool).name for tool in contract.tools)

    def _call(self, run: Run, step: Step, action: Action, verdict: Verdict) -> Call:
        return Call(
            key=action.key,
            step=step.name,
            attempt=step.attempt,
            n=action.n,
            digest=action.digest,
            capability=action.contract.ref,
            contract=self._catalogue.digest(action.contract.ref),
            effect=action.contract.effect,
            state=CallState.DONE,
            policies=verdict.policies,
            policy_version="" if verdict.version == run.policy_version else verdict.version,
            model=action.model,
            subject=str(action.facts.get("subject", "")),
            reserved=action.estimate,
            epoch=step.epoch,
        )

    def _dispatch(self, run: Run, step: Step, action: Action, tries: int) -> Dispatch:
        return Dispatch(
            key=action.key,
            tenant=run.tenant,
            run=run.id,
            step=step.name,
            epoch=step.epoch,
            capability=action.contract.ref,
            effect=action.contract.effect,
            digest=action.digest,
            body=action.body.decode(),
            timeout_seconds=action.timeout_seconds,
            tree=run.tree,
            spend_limit_micro_usd=action.estimate,
            attempt_of_effect=tries,
        )


def _expired(step_name: str, epoch: int) -> Changer:
    """A grant that was not used in time is void; the step goes on with the refusal."""

    async def consider(run: Run, plan: Plan) -> Change | None:
        step = held(run, step_name, epoch)
        call = run.calls[step.call]
        void = replace(
            call,
            state=CallState.REFUSED,
            category=ErrorCategory.REJECTED,
            reason="the grant expired before it was used",
            epoch=epoch,
        )
        return _change(Journal(void), Extra(payload={"outcome": None}))

    return consider


def held(run: Run, step: str, epoch: int) -> Step:
    """Find the step that a session says it holds.

    Raises:
        LeaseLost: It does not hold it.
    """
    return held_step(run, step, epoch)


def used_by(plan: Plan, step: Step) -> str:
    """Name the capability that serves a step."""
    node = plan.node(node_id(step.name))
    return node.fallback if step.fallback else node.uses


def agent_of(plan: Plan, step: Step) -> str:
    """Name who acts in a step: its agent, or the step's tool, or the platform for system steps."""
    if step.name == CONTEXT:
        return "system.context"
    return plan.planner if step.name == PLAN else used_by(plan, step)


def _paths(facts: dict[str, Any]) -> tuple[str, ...]:
    return tuple(facts.get("paths", ()))


def _payload(action: Action) -> dict[str, Json]:
    return {"action": parse_canonical(action.body)}


def _change(command: Command, extra: Extra | None = None) -> Change:
    return Change(command, Record("platform:gate"), extra if extra is not None else Extra())
