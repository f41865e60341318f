"""The gate: contract, halt, policy, budget, approval, journal; every action passes here before it happens."""

import asyncio
from typing import assert_never

import msgspec

from bailiwick.base import Json, canonical, parse_canonical
from bailiwick.contract import Kind, WorkspaceUse
from bailiwick.plan import Plan
from bailiwick.ports import Dispatch, Outcome, Parked, Proposal, Recorded
from bailiwick.run import (
    ENDING,
    Bar,
    Call,
    CallState,
    Park,
    Propose,
    Ruled,
    Run,
    Settle,
    Standing,
    StandingKind,
    Step,
    doomed,
    probed_in,
    recorded,
    tree_of,
)
from bailiwick.service.core.acting import agent_of
from bailiwick.service.core.attempting import Attempting, Unfit
from bailiwick.service.core.bounds import told
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.actions import Action, Actions, gone
from bailiwick.service.gate.dispatching import dispatch_of, held
from bailiwick.service.gate.gathering import Gathered, judged, ruled
from bailiwick.service.gate.halts import Halts
from bailiwick.service.gate.lines import Lines, Place, base_of
from bailiwick.service.gate.storage import Storage

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
        self._withheld: dict[tuple[str, str], set[str]] = {}
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
        withheld = self._withheld.setdefault((answer.run, answer.step), set())
        withheld.add(answer.key)
        await self._halts.confirm()
        entry = await self._runs.entry(answer.tenant, answer.run)
        agent = agent_of(entry.plan, entry.run.steps[answer.step])
        if self._halts.known(entry.run, agent, answer.capability) is not None:
            return False
        withheld.discard(answer.key)
        return True

    async def _consider(self, run: Run, plan: Plan, proposal: Proposal, session: str, place: Place) -> Turn:
        step = held(run, proposal.step, proposal.epoch, session)
        probing = probed_in(run, step) is not None
        if doomed(run) and not probing:
            return Turn(Parked(ENDING, canceled=True))
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
            if action.key in self._withheld.get((run.id, step.name), ()):
                return self._withheld_one(run, plan, step, action, before)
            if not before.again_at:
                return self._under_way(run, plan, step, action, proposal, before)
        doubted = before is not None and before.again_at > 0  # whose turn it is already
        if not doubted and self._must_wait(run, step, action, place):
            return Turn(wait=place.called)
        contracts = (await self._runs.pinned(run)).contracts
        call = self._call(run, step, action)
        bar = await self._bar(run, plan, step, action, doubted=doubted)
        if bar is not None:
            found = ruled(self._runs, run, plan, Propose(call, bar=bar), contracts)
        else:
            reads = len(self.reading(run.id, step.name))
            found = judged(self._runs, run, plan, step, action, call, contracts, reads=reads)
        turn = await self._turn(run, step, action, found, Record(f"worker:{session}"))
        if isinstance(turn.answer, Dispatch) and proposal.ask:
            self._asks.setdefault((run.id, step.name), {})[action.key] = proposal.ask
        return turn

    async def _bar(self, run: Run, plan: Plan, step: Step, action: Action, *, doubted: bool) -> Bar | None:
        """Say what bars an action, whatever policy says of it; None when nothing does."""
        missing = action.gone or self._missing(run, step, action)
        if missing is not None:
            return missing
        if not doubted and action.contract.kind is Kind.TOOL:
            full = await self._storage.fault(run.tenant)
            if full is not None:
                reason = f"{full.message}; {full.remedy}, then: bailiwick runs resume {run.id}"
                return Bar(reason, Standing(StandingKind.ROOM))
        return self.halted(run, plan, step, action.contract.ref)

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
            stop = Park(step.name, step.epoch, halt.reason, halt.standing)
            return Turn(Parked(halt.reason), Change(stop, Record("platform:gate")))
        return Turn(dispatch_of(run, step, action, before.tries))

    async def _turn(self, run: Run, step: Step, action: Action, found: Gathered, record: Record) -> Turn:
        """Turn a ruling into the answer, and into what is committed before it is given."""
        ruling, call = found.ruling, found.ruling.call
        match ruling.kind:
            case Ruled.RECORDED:
                return Turn(await self.answer(run, call))
            case Ruled.ENDING:
                return Turn(Parked(ENDING, canceled=True))
            case Ruled.WAITS:
                return Turn(wait=self._runs.stirring(run.id))
            case Ruled.FREE | Ruled.INTENDED:
                return self._let(run, step, action, found, record)
            case Ruled.HELD | Ruled.GRANTED:
                asked = (found.asked,) if found.asked is not None else ()
                extra = Extra(payload=action.payload(), new_approvals=asked)
                return Turn(Parked(f"waiting for approval {call.approval}"), found.change(record, extra))
            case Ruled.REFUSED:
                refused = Recorded(call.key, "refused", category=call.category, reason=ruling.reason)
                return Turn(refused, found.change(record, Extra(payload=action.payload())))
            case Ruled.UNKNOWN:
                return Turn(Parked("outcome unknown"), found.change(record))
            case Ruled.PARKED:
                return Turn(Parked(ruling.reason), found.change(record))
            case _:
                assert_never(ruling.kind)

    def _withheld_one(self, run: Run, plan: Plan, step: Step, action: Action, before: Call) -> Turn:
        """A dispatch that nobody has seen goes out now, or is closed as lost, at no cost: it was never sent."""
        halt = self.halted(run, plan, step, action.contract.ref)
        if halt is None:
            return Turn(dispatch_of(run, step, action, before.tries))
        self._withheld[run.id, step.name].discard(action.key)
        lost = Settle(before.key, step.epoch, CallState.LOST, reason=f"never sent: {halt.reason}")
        return Turn(change=Change(lost, Record("platform:gate"), Extra(payload={"outcome": None})))

    def _let(self, run: Run, step: Step, action: Action, found: Gathered, record: Record) -> Turn:
        """Let an action go: a free read at once, all others once their intent is on record."""
        before = run.calls.get(action.key)
        dispatch = dispatch_of(run, step, action, (before.tries if before is not None else 0) + 1)
        self.lines.sent(run.id, step.name, action.key)
        if found.ruling.kind is Ruled.FREE:
            free = Free(found.ruling.call, action.body)
            self._free.setdefault((run.id, step.name), {})[action.key] = free
            return Turn(dispatch)
        fresh = before is None or before.attempt != step.attempt
        return Turn(dispatch, found.change(record, Extra(payload=action.payload()) if fresh else None))

    def halted(self, run: Run, plan: Plan, step: Step, capability: str) -> Bar | None:
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

    def _missing(self, run: Run, step: Step, action: Action) -> Bar | None:
        reason = self._absent.get((run.id, step.name), {}).get(action.contract.ref)
        return None if reason is None else gone(run.id, action.contract, reason)

    def left(self, run: str, step: str) -> None:
        """Forget the free reads of a step that has left its worker's hands."""
        self._free.pop((run, step), None)
        self._asks.pop((run, step), None)
        self._withheld.pop((run, step), None)
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

    def _call(self, run: Run, step: Step, action: Action) -> Call:
        """Write the entry of an action, without what policy says of it."""
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
            model=action.model,
            subject=action.subject,
            reserved=action.estimate,
            epoch=step.epoch,
            generated_prompt=action.generated_prompt,
            base=base_of(run, step, action.contract),
            served=action.served,
        )
