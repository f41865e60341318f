"""Assigning: a claimed step described so that a worker far away can work on it, or parked if it may not start."""

from collections import ChainMap
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from msgspec.structs import replace

from bailiwick.base import Category, Json, Refusal, canonical, parse_canonical
from bailiwick.contract import Contract, ErrorCategory, Kind
from bailiwick.plan import (
    Plan,
    RuleBook,
    UnknownRule,
    brief_schema,
    builtin_rules,
    parse_brief,
    resolve,
    with_brief,
)
from bailiwick.ports import Assignment, AssignmentKind, Notice
from bailiwick.run import (
    CONTEXT,
    INTENT_SEQ,
    PLAN,
    Bar,
    Call,
    ContentNeeded,
    Fail,
    Park,
    Run,
    Sight,
    Standing,
    StandingKind,
    Step,
    StepStatus,
    brief_of,
    capability_of,
    doomed,
    input_of,
    node_id,
    output_of,
    probed_in,
    values_for,
)
from bailiwick.service.core.changes import Change, Record
from bailiwick.service.core.memory import Entry
from bailiwick.service.core.refusals import NotFound, NotKept
from bailiwick.service.core.rows import task_id, timeout_of
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.granting import Granting
from bailiwick.service.gate.halts import Halts
from bailiwick.service.hands.mandating import mandate_of
from bailiwick.service.hands.sessions import Held, WorkerSession, actor_of

T = TypeVar("T")


class Assigning:
    """Describes claimed steps."""

    def __init__(self, *, runs: Runs, granting: Granting, halts: Halts) -> None:
        self._runs = runs
        self._granting = granting
        self._halts = halts

    def passing(self) -> AbstractContextManager[None]:
        """Be waited for by whoever sets a halt, from the claim until the assignment is handed out."""
        return self._halts.passing()

    async def served(self, run: Run, plan: Plan, step: Step) -> str:
        """Name what serves a step now: what its run has pinned, or of a code agent that is gone a later version."""
        wanted = capability_of(run, plan, step)
        pinned = await self._runs.pinned(run)
        app = self._runs.catalogue.find(run.tenant, run.app)
        contract = pinned.contracts.get(wanted)
        code = contract is not None and contract.kind is Kind.AGENT and wanted not in pinned.agents
        return (app.coded(wanted) if app is not None and code else "") or wanted

    async def assign(self, run: Run, step: Step, session: WorkerSession) -> Assignment | None:
        """Describe a step that the session has just claimed; None when it may not go on now.

        Raises:
            Refusal: The store cannot be read or written now; whoever asked gives the step up.
        """
        entry = await self._runs.entry(run.tenant, run.id)
        held = Held(run.tenant, run.id, step.name, step.epoch)
        task = task_id(run.id, step.name)
        session.holds[task] = held
        if doomed(run) and probed_in(run, step) is None:
            session.tell(Notice(task, step.epoch, "cancel", "the run is ending"))
        wanted = capability_of(run, entry.plan, step)
        await self._halts.confirm()
        halt = self._halts.stopping(run, wanted, wanted)
        if halt is not None:
            await self._park(held, session, halt)
            return None
        try:
            return await self._described(entry, run, step, session)
        except NotFound as gone:
            told = f"{gone.message}; offer it again, then: bailiwick runs resume {run.id}"
            await self._park(held, session, Bar(told, Standing(StandingKind.CAPABILITY, wanted)))
        except (NotKept, UnknownRule) as gone:
            told = f"{gone.message}; {gone.remedy}; then: bailiwick runs resume {run.id}"
            await self._park(held, session, Bar(told, Standing(StandingKind.CAPABILITY, wanted)))
        except Refusal as refusal:
            if refusal.category is Category.UNAVAILABLE:
                raise
            await self._fail(held, session, refusal)
        return None

    async def _described(
        self, entry: Entry, run: Run, step: Step, session: WorkerSession
    ) -> Assignment | None:
        asked = probed_in(run, step)
        if asked is not None:
            return await self._probe(run, step, asked)
        assignment = await self._describe(entry, run, step)
        if not step.call:
            return assignment
        dispatch = await self._granting.dispatch(run.tenant, run.id, step.name, step.epoch, session.id)
        return (
            replace(assignment, kind=AssignmentKind.ACTION, dispatch=dispatch)
            if dispatch is not None
            else None
        )

    async def _probe(self, run: Run, step: Step, asked: Call) -> Assignment:
        """Describe the probe of an action: it is handed the effect's key, and what the action was made with."""
        payload = await self._runs.payload(run.tenant, run.id, asked.action_seq)
        contract = await self._runs.contract(run, asked.probe)
        return Assignment(
            task=task_id(run.id, step.name),
            tenant=run.tenant,
            app=run.app,
            run=run.id,
            step=step.name,
            attempt=step.attempt,
            epoch=step.epoch,
            kind=AssignmentKind.PROBE,
            capability=asked.probe,
            input={"key": asked.key, "arguments": payload["action"]["arguments"] if payload else {}},
            timeout_seconds=float(contract.timeout_seconds),
            tree=run.tree,
            traceparent=run.trace,
        )

    async def _park(self, held: Held, session: WorkerSession, bar: Bar) -> None:
        async def consider(run: Run, plan: Plan) -> Change | None:
            stop = Park(held.step, held.epoch, bar.reason, bar.standing)
            return Change(stop, Record(actor_of(session.id)))

        await self._runs.change(held.tenant, held.run, consider)

    async def _fail(self, held: Held, session: WorkerSession, refusal: Refusal) -> None:
        """Fail a step that cannot even be described: no worker will ever do better."""
        reason = f"{refusal.code}: {refusal.message}"

        async def consider(run: Run, plan: Plan) -> Change | None:
            failed = Fail(held.step, held.epoch, ErrorCategory.INTERNAL, reason)
            return Change(failed, Record(actor_of(session.id)))

        await self._runs.change(held.tenant, held.run, consider)

    async def _describe(self, entry: Entry, run: Run, step: Step) -> Assignment:
        plan, wanted = entry.plan, capability_of(run, entry.plan, step)
        capability = await self.served(run, plan, step)
        kind, output = AssignmentKind.CONTEXT, {}
        if step.name != CONTEXT:
            contract = self._contract(entry, wanted, capability)
            kind, output = AssignmentKind(contract.kind), contract.output
        book = self.book(entry)
        if step.name == PLAN:
            kind, output = AssignmentKind.PLAN, brief_schema(book.phrases)
        return Assignment(
            task=task_id(run.id, step.name),
            tenant=run.tenant,
            app=run.app,
            run=run.id,
            step=step.name,
            attempt=step.attempt,
            epoch=step.epoch,
            kind=kind,
            capability=capability,
            input={} if step.call else await self._input(entry, run, step),
            timeout_seconds=timeout_of(plan, step),
            tree=run.tree if step.tree_before is None else step.tree_before,
            tree_before=run.base_tree,
            traceparent=run.trace,
            feedback=step.feedback,
            checks=await self._checks(entry, run),
            phrases=book.meanings,
            reviews=await self.reviewed(entry, run, step),
            constraints=plan.constraints,
            output=output,
            mandate=mandate_of(entry.pinned, wanted),
        )

    def _contract(self, entry: Entry, wanted: str, served: str) -> Contract:
        """Find the contract that a step's run has pinned, and make sure that what it is for can be served.

        Raises:
            NotFound: The contract, the agent's text or its code is gone.
        """
        pinned = entry.pinned
        contract = None if wanted in pinned.gone else pinned.contracts.get(wanted)
        if contract is None:
            raise NotKept(wanted, pinned.gone.get(wanted, "its contract is not kept"))
        app = self._runs.catalogue.find(entry.run.tenant, entry.run.app)
        coded = contract.kind is Kind.AGENT and wanted not in pinned.agents
        if coded and (app is None or not app.coded(served)):
            raise NotKept(wanted, "its code is not loaded here")
        return contract

    def book(self, entry: Entry) -> RuleBook:
        """Give the architect rules, with what constraints meant when the run began.

        Raises:
            UnknownRule: One is not registered any more.
        """
        app = self._runs.catalogue.find(entry.run.tenant, entry.run.app)
        return entry.pinned.book(app.rules if app is not None else builtin_rules())

    async def _seen(self, entry: Entry, run: Run, look: Callable[[Sight], T]) -> T:
        """Look at recorded contents, reading what is not in memory."""
        fresh: dict[int, Json] = {}
        while True:
            try:
                known = ChainMap(fresh, entry.contents)
                return look(self._runs.sight_of(run, entry.plan, known, entry.pinned.contracts))
            except ContentNeeded as needed:
                fresh.update(await self._runs.memory.read(entry, needed.seqs))

    async def _checks(self, entry: Entry, run: Run) -> tuple[tuple[str, str], ...]:
        """Name the architect rules that hold: the plan's, and those that the brief added."""
        plan = entry.plan
        brief = run.steps.get(PLAN)
        if plan.planner and brief is not None and brief.status is StepStatus.SUCCEEDED:
            said = parse_brief(await self._seen(entry, run, lambda sight: brief_of(run, plan, sight)))
            plan = with_brief(plan, said, self.book(entry))
        book = self.book(entry)
        for rule in plan.rules:
            book.rule(rule)  # a rule that is gone must not turn a promise into none
        return tuple(zip(plan.rules, plan.constraints, strict=True))

    async def _input(self, entry: Entry, run: Run, step: Step) -> dict[str, Any]:
        plan = entry.plan

        def look(sight: Sight) -> dict[str, Any]:
            if step.name == CONTEXT:
                return _context_items(run, plan, sight)
            if step.name == PLAN:
                return planner_input(run, plan, sight)
            return input_of(run, plan, plan.node(node_id(step.name)), step.name, sight)

        # A copy: an agent may change what it is given, and memory must not change with it.
        given = parse_canonical(canonical(await self._seen(entry, run, look)))
        assert isinstance(given, dict), "an input is an object"
        return given

    async def reviewed(self, entry: Entry, run: Run, step: Step) -> str:
        """Name what a reviewing step reviews, by digest; empty for all other steps."""
        if step.name.startswith("$") or step.call:
            return ""
        plan = entry.plan
        template = plan.node(node_id(step.name)).reviews
        if not template:
            return ""

        def look(sight: Sight) -> str:
            return str(resolve(template, values_for(run, plan, step.name, (), template, sight)))

        return await self._seen(entry, run, look)


def _context_items(run: Run, plan: Plan, sight: Sight) -> dict[str, Any]:
    """List the actions whose outputs the run begins with, in order; their inputs may cite the intent."""
    return {
        "items": [
            {
                "id": item.id,
                "uses": item.uses,
                "input": resolve(item.input, values_for(run, plan, CONTEXT, (), item.input, sight)),
            }
            for item in plan.context
        ]
    }


def planner_input(run: Run, plan: Plan, sight: Sight) -> dict[str, Any]:
    """Gather what a planner is told: the intent, the loaded context, and the workflow in words."""
    return {
        "intent": sight.payload(INTENT_SEQ)["intent"],
        "context": output_of(run.steps.get(CONTEXT), sight) if plan.context else {},
        "workflow": {"name": plan.name, "steps": [node.id for node in plan.children("")]},
        "constraints": list(plan.constraints),
    }
