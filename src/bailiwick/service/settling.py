"""Settling: what became of a dispatched action, what it cost, and the line it leaves in the cost ledger."""

from msgspec.structs import replace

from bailiwick.base import canonical, digest_of, parse_canonical
from bailiwick.budget import PriceTable, cost_micro_usd
from bailiwick.contract import EffectClass
from bailiwick.plan import Plan
from bailiwick.ports import Outcome, Posting, Recorded
from bailiwick.run import Call, CallState, Journal, LeaseLost, Run, Settle, node_id
from bailiwick.service.gate import Free, Gate
from bailiwick.service.runs import Change, Extra, Record, Runs

_ENDED = {
    CallState.DONE: "completed",
    CallState.CANCELED: "canceled",
    CallState.FAILED: "failed",
    CallState.UNKNOWN: "unknown",
}


class Settling:
    """Records outcomes."""

    def __init__(self, *, runs: Runs, gate: Gate, prices: PriceTable) -> None:
        self._runs = runs
        self._gate = gate
        self._prices = prices

    async def settle(self, outcome: Outcome, session: str) -> Recorded:
        """Record an outcome and answer what is on record now.

        Raises:
            LeaseLost: The session holds the step no longer; the outcome is thrown away.
        """
        free = self._gate.pending(outcome.key, outcome.epoch)

        async def consider(run: Run, plan: Plan) -> Change | None:
            call = run.calls.get(outcome.key)
            if call is not None and call.state is CallState.UNKNOWN and call.epoch == outcome.epoch:
                return None  # it was reported as unknown before: the report came twice
            if free is not None:
                return self._record_free(free, outcome, session)
            return self._record(run, plan, outcome, session)

        _, after = await self._runs.change(outcome.tenant, outcome.run, consider)
        return await self._gate.answer(after, after.calls[outcome.key])

    def _record_free(self, free: Free, outcome: Outcome, session: str) -> Change:
        settled = replace(
            free.call,
            state=CallState(outcome.state),
            category=outcome.category,
            reason=outcome.reason,
            tree=outcome.tree,
            outcome_digest=_digest(outcome),
        )
        payload = {"action": parse_canonical(free.body), "outcome": outcome.outcome}
        return Change(Journal(settled), Record(f"worker:{session}"), Extra(payload=payload))

    def _record(self, run: Run, plan: Plan, outcome: Outcome, session: str) -> Change:
        call = run.calls.get(outcome.key)
        if call is None:
            raise LeaseLost(step=outcome.step, epoch=outcome.epoch, held=0)
        cost, estimated = self._cost(call, outcome)
        late = "landed after the cancel request" if run.cancel_requested and call.effect in _WRITES else ""
        command = Settle(
            key=outcome.key,
            epoch=outcome.epoch,
            state=CallState(outcome.state),
            outcome_digest=_digest(outcome),
            cost=cost,
            estimated=estimated,
            tree=outcome.tree,
            category=outcome.category,
            reason=outcome.reason or late,
        )
        posting = self._posting(run, plan, call, outcome, cost)
        extra = Extra(payload={"outcome": outcome.outcome}, postings=(posting,))
        return Change(command, Record(f"worker:{session}"), extra)

    def _cost(self, call: Call, outcome: Outcome) -> tuple[int, bool]:
        """Price what was used; what nobody knows is charged at its reservation and marked."""
        if not call.model:
            return (call.reserved, False) if outcome.state != "failed" else (0, False)
        if outcome.usage is None:
            unsent = outcome.state == "failed" and outcome.tries == 0
            return (0, False) if unsent else (call.reserved, True)
        price = self._prices.price(call.model, self._runs.world.now(), outcome.usage.input_tokens)
        guessed = outcome.usage.source != "reported" or price.estimated
        return cost_micro_usd(price, outcome.usage), guessed

    def _posting(self, run: Run, plan: Plan, call: Call, outcome: Outcome, cost: int) -> Posting:
        usage = outcome.usage
        return Posting(
            id=self._runs.world.new_id("pst"),
            tenant=run.tenant,
            app=run.app,
            run=run.id,
            step=call.step,
            role=role_of(plan, call.step),
            call=call.key,
            capability=call.capability,
            at=self._runs.world.now(),
            cost_micro_usd=cost,
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else 0,
            usage_source=usage.source if usage else "none",
            ended=_ENDED[CallState(outcome.state)],
            duration_ms=outcome.duration_ms,
            first_token_ms=outcome.first_token_ms,
            tries=outcome.tries,
            interruptions=len(outcome.interruptions),
            feature=run.feature,
            team=run.team,
        )


_WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)


def role_of(plan: Plan, step: str) -> str:
    """Name the role that a step is worked in: the agent's name, without its version."""
    if step.startswith("$"):
        return plan.planner.partition("@")[0] if step == "$plan" and plan.planner else "platform"
    return plan.node(node_id(step)).uses.partition("@")[0]


def _digest(outcome: Outcome) -> str:
    return digest_of(canonical(outcome.outcome)) if outcome.outcome is not None else ""
