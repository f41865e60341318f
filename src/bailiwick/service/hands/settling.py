"""Settling: what became of a dispatched action, what it cost, and whether money is running short."""

from msgspec.structs import replace

from bailiwick.base import Json, canonical, digest_of, parse_canonical
from bailiwick.budget import Allotment, PriceTable
from bailiwick.contract import EffectClass, ProbeAnswer, answer_of, validator_for
from bailiwick.plan import Plan
from bailiwick.ports import Outcome, Recorded
from bailiwick.run import (
    ANSWERED,
    Call,
    CallState,
    Journal,
    LeaseLost,
    Run,
    Settle,
    is_probe,
    outdated,
    probed_in,
)
from bailiwick.service.core.bounds import told
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.charging import Charge, charge_of
from bailiwick.service.core.postings import posting_of
from bailiwick.service.core.refusals import InvalidOutcome
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.dispatching import held
from bailiwick.service.gate.gate import Free, Gate
from bailiwick.service.hands.repeating import again_at, given_up, is_over, of_all_tries
from bailiwick.service.hands.sessions import Sessions

_WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
_REPORTED = (CallState.DONE, CallState.FAILED, CallState.CANCELED, CallState.UNKNOWN, CallState.LOST)
_RESTS_ON_BASE = (CallState.DONE, CallState.FAILED)
_LATE = "landed after the request to end the run"
_OUTDATED = "its line has come to another workspace than the one that it began with"


class Settling:
    """Records outcomes."""

    def __init__(self, *, runs: Runs, gate: Gate, sessions: Sessions, prices: PriceTable) -> None:
        self._runs = runs
        self._sessions = sessions
        self._gate = gate
        self._prices = prices

    async def settle(self, outcome: Outcome, session: str) -> Recorded:
        """Record an outcome and answer what is on record now; a report that comes twice is recorded once.

        What was done on a workspace that is not its line's any more is answered as lost: it is asked for again.

        Raises:
            LeaseLost: The session holds the step no longer; the outcome is thrown away.
            InvalidOutcome: The state is none that a worker reports.
        """
        if outcome.state not in _REPORTED:
            raise InvalidOutcome(outcome.state)
        try:
            return await self._settle(outcome, session)
        except (LeaseLost, InvalidOutcome):
            raise  # nothing of it counts, and the step has left these hands already
        except BaseException:
            # Whether it is recorded is not known; whoever waits for the workspace need not wait for that.
            self._gate.lines.doubt(outcome.run, outcome.step, outcome.key)
            raise

    async def _settle(self, outcome: Outcome, session: str) -> Recorded:
        free = self._gate.pending(outcome.run, outcome.step, outcome.key, outcome.epoch)
        lost = ""

        async def consider(run: Run, plan: Plan) -> Change | None:
            nonlocal lost
            call = run.calls.get(outcome.key)
            if (
                call is not None
                and call.state in (*ANSWERED, CallState.UNKNOWN)
                and call.epoch == outcome.epoch
            ):
                return None
            if call is not None and is_over(call, outcome):
                return None
            if free is not None:
                held(run, outcome.step, outcome.epoch, session)
                lost = _lost_read(run, free, outcome)
                return None if lost else await self._record_free(run, free, outcome, session)
            if call is None or call.step != outcome.step:
                raise LeaseLost(step=outcome.step, epoch=outcome.epoch, held=0)
            lost = _OUTDATED if _of_another_try(call, outcome) else ""
            return None if lost else await self._record(run, plan, call, outcome, session)

        _, after = await self._runs.change(outcome.tenant, outcome.run, consider)
        if lost:
            if free is not None and not _of_another_try(free.call, outcome):
                self._gate.lines.doubt(outcome.run, outcome.step, outcome.key)
            return Recorded(key=outcome.key, state=CallState.LOST, reason=lost)
        self._gate.settled(outcome.run, outcome.step, outcome.key)
        if outcome.gone and outcome.state == CallState.LOST:
            self._gate.absent(outcome, after.calls[outcome.key].capability)
        return await self._gate.answer(after, after.calls[outcome.key])

    async def _record_free(self, run: Run, free: Free, outcome: Outcome, session: str) -> Change:
        settled = replace(
            free.call,
            state=CallState(outcome.state),
            category=outcome.category,
            reason=told(outcome.reason),
            tree=outcome.tree,
            outcome_digest=_digest(outcome),
            judged=0 if free.call.judged == run.version else free.call.judged,
        )
        payload = {"action": parse_canonical(free.body), **_payload(run.allotment, outcome, Charge(0))}
        return Change(
            await self._told(run, settled, outcome), Record(f"worker:{session}"), Extra(payload=payload)
        )

    async def _told(self, run: Run, settled: Call, outcome: Outcome) -> Journal:
        """Record a free read; of a probe also what it says, and whether a policy lets that decide.

        What does not fit the contract of the action is no more than evidence.
        """
        step = run.steps[settled.step]
        asked = probed_in(run, step)
        if asked is None or not is_probe(run, step, settled):
            return Journal(settled)
        said = answer_of(outcome.outcome)
        by = ", ".join(self._runs.bundle.deciding(settled.policies))
        output = outcome.outcome.get("output") if said is ProbeAnswer.APPLIED else None
        if output is None:
            return Journal(settled, said.value, by)
        contract = (await self._runs.pinned(run)).contracts.get(asked.capability)
        fits = contract is not None and validator_for(contract.output).fits(output)
        return Journal(settled, said.value, by if fits else "", digest_of(canonical(output)))

    async def _record(self, run: Run, plan: Plan, call: Call, outcome: Outcome, session: str) -> Change:
        if not self._sessions.may_report(session, run.id, run.steps[call.step]):
            raise LeaseLost(step=outcome.step, epoch=outcome.epoch, held=call.epoch)
        outcome = _on_the_line(run, call, outcome)
        outcome = of_all_tries(call, outcome)
        again = await again_at(self._runs, self._gate, run, plan, call, outcome)
        if outcome.state == CallState.UNKNOWN and not again:
            outcome = replace(outcome, reason=given_up(call, outcome.reason))
        charge = charge_of(self._prices, call, outcome)
        late = _LATE if run.ending and call.effect in _WRITES and outcome.state == CallState.DONE else ""
        command = Settle(
            key=outcome.key,
            epoch=outcome.epoch,
            state=CallState(outcome.state),
            outcome_digest=_digest(outcome),
            cost=charge.cost,
            estimated=charge.estimated,
            tree=outcome.tree,
            category=outcome.category,
            reason=told(outcome.reason) or late,
            tokens=usage.input_tokens + usage.output_tokens if (usage := charge.usage) else 0,
            again_at=again,
        )
        posting = posting_of(self._runs.world, run, plan, call, outcome, charge)
        payload = _payload(run.allotment, outcome, charge)
        return Change(command, Record(f"worker:{session}"), Extra(payload=payload, postings=(posting,)))


def _lost_read(run: Run, free: Free, outcome: Outcome) -> str:
    """Say why a call that stands in no journal is lost; empty for one that can be recorded."""
    if outcome.state == CallState.LOST:
        return outcome.reason or "it was stopped"
    if outcome.tree and free.call.base is None:
        raise InvalidOutcome(f"a workspace of {free.call.capability}")
    rests = outcome.state in _RESTS_ON_BASE and outdated(run, run.steps[outcome.step], free.call)
    return _OUTDATED if rests or _of_another_try(free.call, outcome) else ""


def _of_another_try(call: Call, outcome: Outcome) -> bool:
    """Whether a report belongs to an earlier dispatch of the call, which began with another workspace."""
    return call.base is not None and outcome.base not in (None, call.base)


def _on_the_line(run: Run, call: Call, outcome: Outcome) -> Outcome:
    """Turn an outcome on a workspace that the line has left into a lost one; of what cannot be repeated nobody knows.

    Raises:
        InvalidOutcome: It brings a workspace, and its contract says that it changes none.
    """
    if outcome.tree and call.base is None:
        raise InvalidOutcome(f"a workspace of {call.capability}")
    if outcome.state not in _RESTS_ON_BASE or not outdated(run, run.steps[call.step], call):
        return outcome
    once = call.effect is EffectClass.EXTERNAL_ACTION
    state = CallState.UNKNOWN if once else CallState.LOST
    return replace(outcome, state=state, outcome=None, tree="", reason=_OUTDATED)


def _payload(allotment: Allotment, outcome: Outcome, charge: Charge) -> dict[str, Json]:
    """Write an outcome, with the mark that the soft limit is reached: recorded, so that a replay sees the same."""
    payload: dict[str, Json] = {"outcome": outcome.outcome, **charge.told()}
    if replace(allotment, spent=allotment.spent + charge.cost).soft_limit_reached:
        payload["soft_limit"] = True
    return payload


def _digest(outcome: Outcome) -> str:
    return digest_of(canonical(outcome.outcome)) if outcome.outcome is not None else ""
