"""The gate: contract, halt, policy, budget, approval, journal; every action passes here before it happens."""

import asyncio
from typing import assert_never

import msgspec
from msgspec.structs import replace

from bailiwick.base import Json, canonical, parse_canonical
from bailiwick.contract import EffectClass, ErrorCategory, Kind, WorkspaceUse
from bailiwick.plan import Plan
from bailiwick.policy import Verdict, VerdictKind
from bailiwick.ports import Dispatch, Outcome, Parked, Proposal, Recorded
from bailiwick.run import (
    Call,
    CallState,
    Journal,
    Park,
    Run,
    Settle,
    Step,
    doomed,
    is_probe,
    probed_in,
    recorded,
    repeatable,
    stalled,
    tree_of,
)
from bailiwick.service.core.acting import agent_of
from bailiwick.service.core.attempting import Attempting, Unfit
from bailiwick.service.core.bounds import told
from bailiwick.service.core.catalogue import Contracts
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.actions import Action, Actions, gone
from bailiwick.service.gate.dispatching import budget_fault, dispatch_of, held, in_flight, repeated
from bailiwick.service.gate.halts import Halts
from bailiwick.service.gate.holding import request_approval
from bailiwick.service.gate.judging import request_of
from bailiwick.service.gate.lines import Lines, Place, base_of
from bailiwick.service.gate.storage import Storage

_LOST = "it was on its way when its worker was lost"
_NO_PROBE_HOLD = "a policy holds this probe, and nobody waits for what a person may find out as well"
_NO_HOLD = "a policy holds this model call, and only tool calls can wait for people"

Answer = Dispatch | Recorded | Parked


class Free(msgspec.Struct, frozen=True):
    """A free read that was dispatched without an intent: its entry and its stored bytes."""

    call: Call
    body: bytes


class Turn(msgspec.Struct, frozen=True):
    """What the gate says to a proposal: an answer, what to commit before it is given, or an event to wait for.

    `unfit`: it is no action, and what is committed is only the note of it.
    """

    answer: Answer | None = None
    change: Change | None = None
    wait: asyncio.Event | None = None
    unfit: bool = False


class Gate:
    """Decides on actions; executes none."""

    def __init__(self, *, runs: Runs, actions: Actions, halts: Halts, storage: Storage) -> None:
        self._runs = runs
        self._storage = storage
        self._actions = actions
        self._halts = halts
        self._free: dict[tuple[str, str], dict[str, Free]] = {}
        self._withheld: set[str] = set()
        self._asks: dict[tuple[str, str], dict[str, str]] = {}
        self._absent: dict[tuple[str, str], dict[str, str]] = {}
        self.lines = Lines()
        self.attempting = Attempting(runs)

    async def act(self, proposal: Proposal, session: str) -> Answer:
        """Bring a proposed action before the gate.

        Returns:
            What is on record, a parking, or the dispatch to execute.

        Raises:
            LeaseLost: The step is no longer the caller's.
            HaltsUnconfirmed: Nobody knows whether a halt stands; ask again.
        """
        turn = Turn()

        async def consider(run: Run, plan: Plan) -> Change | None:
            nonlocal turn
            turn = await self._consider(run, plan, proposal, session, place)
            return turn.change

        with self.lines.place(proposal.run, proposal.step) as place:
            while True:
                with self._halts.passing():
                    await self._halts.confirm()
                    await self._runs.change(proposal.tenant, proposal.run, consider)
                    if turn.unfit:
                        self.attempting.answered(proposal, written=turn.change is not None)
                    if turn.answer is not None and await self._may_go(turn.answer):
                        return turn.answer
                if turn.wait is not None:
                    await turn.wait.wait()

    async def _may_go(self, answer: Answer) -> bool:
        """Look at the halts of a shared store once more after the commit, however long that took.

        A dispatch that may not go is withheld: nobody has seen it, so what becomes of it is decided anew.
        """
        if not self._halts.shared or not isinstance(answer, Dispatch):
            return True
        self._withheld.add(answer.key)
        await self._halts.confirm()
        entry = await self._runs.entry(answer.tenant, answer.run)
        agent = agent_of(entry.plan, entry.run.steps[answer.step])
        if self._halts.known(entry.run, agent, answer.capability) is not None:
            return False
        self._withheld.discard(answer.key)
        return True

    async def _consider(self, run: Run, plan: Plan, proposal: Proposal, session: str, place: Place) -> Turn:
        step = held(run, proposal.step, proposal.epoch, session)
        probing = probed_in(run, step) is not None
        if doomed(run) and not probing:
            return Turn(Parked("the run is ending", canceled=True))
        action = await self._actions.propose(run, plan, step, proposal)
        if isinstance(action, Unfit):
            change = self.attempting.noted(step, proposal, action, session)
            return Turn(action.answer, change, unfit=True)
        known = recorded(run, step, action.key)
        if known is not None:
            return Turn(await self.answer(run, known))
        before = run.calls.get(action.key)
        if before is not None and before.state is CallState.INTENDED and before.epoch == step.epoch:
            if before.again_at > self._runs.world.now():
                return Turn(await self.answer(run, before))
            if action.key in self._withheld:
                return self._withheld_one(run, plan, step, action, before)
            if not before.again_at:
                return self._under_way(run, plan, step, action, proposal, before)
        doubted = before is not None and before.again_at > 0  # whose turn it is already
        if not doubted and self._must_wait(run, step, action, place):
            return Turn(wait=place.called)
        missing = action.gone or self._missing(run, step, action)
        if missing:
            return _unknown(step, before, missing) if before and doubted else _parked(step, missing)
        if not doubted and action.contract.kind is Kind.TOOL:
            full = await self._storage.fault(run.tenant)
            if full is not None:
                told = f"{full.message}; {full.remedy}, then: bailiwick runs resume {run.id}"
                return _parked(step, told)
        turn = self._decide(run, plan, step, action, (await self._runs.pinned(run)).contracts)
        if isinstance(turn.answer, Dispatch) and proposal.ask:
            self._asks.setdefault((run.id, step.name), {})[action.key] = proposal.ask
        if turn.change is None:
            return turn
        return replace(turn, change=replace(turn.change, record=Record(f"worker:{session}")))

    def _must_wait(self, run: Run, step: Step, action: Action, place: Place) -> bool:
        """Whether another call that changes the same workspace is on its way, or was asked for earlier."""
        if action.contract.workspace is not WorkspaceUse.WRITES:
            return False
        free = {
            key: name
            for (id, name), found in self._free.items()
            if id == run.id
            for key, each in found.items()
            if each.call.base is not None
        }
        return self.lines.must_wait(place, run, step, action.key, free)

    def _under_way(
        self, run: Run, plan: Plan, step: Step, action: Action, proposal: Proposal, before: Call
    ) -> Turn:
        """The same effect is on its way in the same hands: whoever asks beside it waits for that outcome.

        Who asks again under the same name never got the dispatch, so it has executed nothing: it gets it now.
        """
        asked = self._asks.get((run.id, step.name), {}).get(action.key)
        if not proposal.ask or proposal.ask != asked:
            return Turn(wait=self._runs.stirring(run.id))
        halt = self.halted(run, plan, step, action.contract.ref)
        if halt is not None:
            return _parked(step, halt)
        return Turn(dispatch_of(run, step, action, before.tries))

    def _decide(self, run: Run, plan: Plan, step: Step, action: Action, contracts: Contracts) -> Turn:
        before = run.calls.get(action.key)
        doubted = before is not None and before.again_at > 0
        halt = self.halted(run, plan, step, action.contract.ref)
        if halt is not None:
            return _unknown(step, before, halt) if before is not None and doubted else _parked(step, halt)
        verdict = self._runs.bundle.decide(request_of(run, plan, step, action, contracts))
        call = self._call(run, step, action, verdict)
        reads = len(self.reading(run.id, step.name))
        stuck = stalled(run, plan, step, call, self._runs.world.now(), unjournaled=reads)
        probing = is_probe(run, step, call)
        if stuck and not probing:
            return _parked(step, stuck)
        if before is not None and before.state is CallState.INTENDED:
            return self._again(
                run,
                step,
                action,
                replace(call, approval=before.approval, terms=before.terms),
                before,
                verdict,
            )
        match verdict.effect:
            case VerdictKind.DENY:
                return _denied(action, call, verdict.reasons)
            case VerdictKind.HOLD if action.contract.kind is Kind.MODEL:
                return _denied(action, call, (_NO_HOLD,))
            case VerdictKind.HOLD if probing:
                return _denied(action, call, (_NO_PROBE_HOLD,))
            case VerdictKind.HOLD if in_flight(run, step):
                return Turn(wait=self._runs.stirring(run.id))
            case VerdictKind.HOLD:
                change, id = request_approval(self._runs.world, run, step, action, call, verdict)
                return Turn(Parked(f"waiting for approval {id}"), change)
            case VerdictKind.ALLOW:
                return self._let(run, step, action, call)
            case _:
                assert_never(verdict.effect)

    def _withheld_one(self, run: Run, plan: Plan, step: Step, action: Action, before: Call) -> Turn:
        """A dispatch that nobody has seen goes out now, or is closed as lost, at no cost: it was never sent."""
        halt = self.halted(run, plan, step, action.contract.ref)
        if halt is None:
            return Turn(dispatch_of(run, step, action, before.tries))
        self._withheld.discard(action.key)
        lost = Settle(before.key, step.epoch, CallState.LOST, reason=f"never sent: {halt}")
        return Turn(change=Change(lost, Record("platform:gate"), Extra(payload={"outcome": None})))

    def _again(
        self, run: Run, step: Step, action: Action, call: Call, before: Call, verdict: Verdict
    ) -> Turn:
        """An effect whose outcome nobody reported comes again: with its key if that is safe, else it is unknown."""
        covered = verdict.effect is VerdictKind.HOLD and bool(before.approval)
        if verdict.effect is not VerdictKind.ALLOW and not covered:
            return _unknown(step, before, "; ".join(verdict.reasons) or "policy no longer allows it")
        if not repeatable(before, action.contract, self._runs.world.now()):
            return _unknown(step, before, "")
        return self._let(run, step, action, repeated(call, before))

    def _let(self, run: Run, step: Step, action: Action, call: Call) -> Turn:
        before = run.calls.get(action.key)
        dispatch = dispatch_of(run, step, action, (before.tries if before is not None else 0) + 1)
        self.lines.sent(run.id, step.name, action.key)
        if action.contract.effect is EffectClass.READ_ONLY and action.estimate == 0:
            self._free.setdefault((run.id, step.name), {})[action.key] = Free(
                replace(call, judged=run.version), action.body
            )
            return Turn(dispatch)
        short = budget_fault(run, before, action.estimate)
        if short:
            return _parked(step, short)
        fresh = before is None or before.attempt != step.attempt
        extra = Extra(payload=action.payload()) if fresh else Extra()
        return Turn(dispatch, _change(Journal(replace(call, state=CallState.INTENDED)), extra))

    def halted(self, run: Run, plan: Plan, step: Step, capability: str) -> str | None:
        """Say which halt stops a capability in a step, or None."""
        return self._halts.stopping(run, agent_of(plan, step), capability)

    def pending(self, run: str, step: str, key: str, epoch: int) -> Free | None:
        """Find the free read that was dispatched without an intent; its verdict is committed with its outcome."""
        free = self._free.get((run, step), {}).get(key)
        return free if free is not None and free.call.epoch == epoch else None

    def reading(self, run: str, step: str) -> list[str]:
        """Name the capabilities of a step's free reads that are on their way."""
        return [free.call.capability for free in self._free.get((run, step), {}).values()]

    def settled(self, run: str, step: str, key: str) -> None:
        """Forget a free read: it has been recorded, or nobody waits for it."""
        self._free.get((run, step), {}).pop(key, None)
        self.lines.freed(run)

    def absent(self, outcome: Outcome, capability: str) -> None:
        """Note that what should serve a capability is not there, so that the step does not ask for it in vain.

        It is forgotten once the step leaves its worker's hands: whoever takes it up later looks again.
        """
        self._absent.setdefault((outcome.run, outcome.step), {})[capability] = told(outcome.reason)

    def _missing(self, run: Run, step: Step, action: Action) -> str:
        reason = self._absent.get((run.id, step.name), {}).get(action.contract.ref)
        return "" if reason is None else gone(run.id, action.contract, reason)

    def left(self, run: str, step: str) -> None:
        """Forget the free reads of a step that has left its worker's hands."""
        self._free.pop((run, step), None)
        self._asks.pop((run, step), None)
        self._absent.pop((run, step), None)
        self.lines.left(run, step)

    async def answer(self, run: Run, call: Call) -> Recorded:
        """Answer a call from the record."""
        outcome: Json = None
        soft = False
        step = run.steps[call.step]
        if call.outcome_seq:
            payload = await self._runs.payload(run.tenant, run.id, call.outcome_seq)
            if isinstance(payload, dict):
                # A copy, for whoever gets it may change it.
                outcome = parse_canonical(canonical(payload.get("outcome")))
                if call.outcome_seq == call.answer_seq:  # decided by its probe, which says what it answered
                    outcome = outcome.get("output")
                soft = "soft_limit" in payload
        return Recorded(
            key=call.key,
            state=call.state,
            outcome=outcome,
            category=call.category,
            reason=call.reason,
            # What was done outside in an earlier attempt stands, and the line goes on from another workspace.
            tree=tree_of(run, step) if call.tree and call.attempt < step.attempt else call.tree,
            unanswered=call.unanswered,
            soft_limit=soft,
            pause_seconds=max(call.again_at - self._runs.world.now(), 0) / 1e6 if call.again_at else 0.0,
        )

    def _call(self, run: Run, step: Step, action: Action, verdict: Verdict) -> Call:
        return Call(
            key=action.key,
            step=step.name,
            attempt=step.attempt,
            n=action.n,
            digest=action.digest,
            capability=action.contract.ref,
            contract=action.pin,
            effect=action.contract.effect,
            state=CallState.DONE,
            policies=verdict.policies,
            policy_version="" if verdict.version == run.policy_version else verdict.version,
            model=action.model,
            subject=action.subject,
            reserved=action.estimate,
            epoch=step.epoch,
            generated_prompt=action.generated_prompt,
            base=base_of(run, step, action.contract),
            served=action.served,
        )


def _unknown(step: Step, before: Call, why: str) -> Turn:
    """An effect that is in doubt may not be sent again: no denial, for it may have happened."""
    reason = f"{before.reason or _LOST}, and may not be repeated by itself{why and ': '}{why}"
    unknown = replace(before, state=CallState.UNKNOWN, epoch=step.epoch, reason=reason)
    return Turn(Parked("outcome unknown"), _change(Journal(unknown)))


def _denied(action: Action, call: Call, reasons: tuple[str, ...]) -> Turn:
    reason = action.strange or "; ".join(reasons) or "policy denies it"
    refused = replace(call, state=CallState.REFUSED, category=ErrorCategory.DENIED, reason=reason)
    answer = Recorded(key=call.key, state="refused", category=ErrorCategory.DENIED, reason=reason)
    return Turn(answer, _change(Journal(refused), Extra(payload=action.payload())))


def _parked(step: Step, reason: str) -> Turn:
    return Turn(Parked(reason), _change(Park(step.name, step.epoch, reason)))


def _change(command: Journal | Park, extra: Extra | None = None) -> Change:
    return Change(command, Record("platform:gate"), extra if extra is not None else Extra())
