"""Work: sessions of workers, what they claim, what they are told, and how an attempt ends."""

import asyncio

import msgspec
from msgspec.structs import replace

from bailiwick.base import Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.plan import Plan, check_brief, parse_brief, resolve, with_brief
from bailiwick.ports import (
    Assignment,
    Fenced,
    Hello,
    Notice,
    Queue,
    Report,
    Session,
    Task,
    World,
)
from bailiwick.run import (
    CONTEXT,
    HEARTBEAT_SECONDS,
    INTENT_SEQ,
    LEASE_SECONDS,
    PLAN,
    Claim,
    ContentNeeded,
    Fail,
    LeaseLost,
    NotAllowed,
    Offer,
    Park,
    Run,
    Sight,
    Step,
    StepStatus,
    Succeed,
    brief_of,
    capability_of,
    doomed,
    held_step,
    input_of,
    node_id,
    output_of,
    queue_key,
    values_for,
)
from bailiwick.service.catalogue import Catalogue
from bailiwick.service.gate import Gate
from bailiwick.service.halts import Halts
from bailiwick.service.refusals import SessionLost
from bailiwick.service.rows import task_id, timeout_of
from bailiwick.service.runs import Change, Entry, Extra, Record, Runs

MAX_CLAIM = 64


class Held(msgspec.Struct, frozen=True):
    """A task in a session's hands."""

    tenant: str
    run: str
    step: str
    epoch: int


class WorkerSession:
    """A worker's session as this process knows it."""

    def __init__(self, id: str, worker: str, capabilities: frozenset[str]) -> None:
        self.id = id
        self.worker = worker
        self.capabilities = capabilities
        self.holds: dict[str, Held] = {}
        self.notices: list[Notice] = []
        self.told = asyncio.Event()

    def tell(self, notice: Notice) -> None:
        """Queue a notice; the waiting heartbeat answers at once."""
        self.notices.append(notice)
        self.told.set()


class Work:
    """What workers ask of the control plane about their tasks."""

    def __init__(
        self, *, runs: Runs, queue: Queue, gate: Gate, halts: Halts, catalogue: Catalogue, world: World
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._gate = gate
        self._halts = halts
        self._catalogue = catalogue
        self._world = world
        self.sessions: dict[str, WorkerSession] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Tell waiting workers that there may be work."""
        self._wake.set()

    async def hello(self, hello: Hello) -> Session:
        """Open a session; an earlier one of the same worker ends, its tasks go to others."""
        id = self._world.new_id("ses")
        for old in [session for session in self.sessions.values() if session.worker == hello.worker]:
            for task, held in old.holds.items():
                old.tell(Notice(task, held.epoch, "lost", "the worker opened a new session"))
            del self.sessions[old.id]
        await self._queue.open_session(id, hello.worker, LEASE_SECONDS)
        self.sessions[id] = WorkerSession(id, hello.worker, frozenset(hello.capabilities))
        return Session(id, LEASE_SECONDS, HEARTBEAT_SECONDS)

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """Renew the lease and answer notices, at once when there are any.

        Raises:
            SessionLost: The session has expired or was ended.
        """
        known = self._session(session)
        if not await self._queue.renew_session(session, LEASE_SECONDS):
            self.sessions.pop(session, None)
            raise SessionLost(session)
        try:
            async with asyncio.timeout(wait_seconds):
                await known.told.wait()
        except TimeoutError:
            return ()
        notices = tuple(known.notices)
        known.notices.clear()
        known.told.clear()
        return notices

    def _session(self, session: str) -> WorkerSession:
        if session not in self.sessions:
            raise SessionLost(session)
        return self.sessions[session]

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """Take up to `limit` due tasks, waiting for work if there is none."""
        known = self._session(session)
        limit = min(limit, MAX_CLAIM)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            self._wake.clear()
            tasks = await self._queue.claimable(sorted(known.capabilities), limit)
            taken = await asyncio.gather(*(self._claim(known, task) for task in tasks))
            assignments = tuple(assignment for assignment in taken if assignment is not None)
            left = deadline - asyncio.get_running_loop().time()
            if assignments or left <= 0:
                return assignments
            if tasks:
                continue
            await self._wait_for_work(left)

    async def _wait_for_work(self, left: float) -> None:
        due = await self._queue.next_due()
        if due:
            left = min(left, max((due - self._world.now()) / 1e6, 0.01))
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self, session: WorkerSession, task: Task) -> Assignment | None:
        async def consider(run: Run, plan: Plan) -> Change | None:
            step = run.steps.get(task.step)
            if step is None or step.epoch != task.epoch or run.closed is not None:
                return None
            served = capability_of(run, plan, step)
            command = Claim(task.step, task.epoch + 1, session.id, served)
            return Change(command, Record(f"worker:{session.id}"))

        try:
            _, after = await self._runs.change(task.tenant, task.run, consider)
        except (Fenced, LeaseLost, NotAllowed):
            return None  # another was faster
        step = after.steps[task.step]
        halt = self._halts.stopping(after, task.capability.partition("@")[0], task.capability)
        if halt is not None and step.session == session.id:
            await self.park(session.id, Held(task.tenant, task.run, task.step, step.epoch), halt)
            return None
        if (
            step.session != session.id
            or step.epoch != task.epoch + 1
            or step.status is not StepStatus.RUNNING
        ):
            return None
        return await self.assignment(after, step, session)

    async def assignment(self, run: Run, step: Step, session: WorkerSession) -> Assignment | None:
        """Describe a step that the session has just claimed; None when its granted action may not go on."""
        entry = await self._runs.entry(run.tenant, run.id)
        session.holds[task_id(run.id, step.name)] = Held(run.tenant, run.id, step.name, step.epoch)
        try:
            assignment = await self._describe(run, entry.plan, step)
        except Refusal as refusal:
            await self._fail(run, step, session, refusal)
            return None
        if not step.call:
            return assignment
        dispatch = await self._gate.dispatch_granted(run.tenant, run.id, step.name, step.epoch)
        if dispatch is None:
            session.holds.pop(assignment.task, None)
            return None
        return replace(assignment, kind="action", dispatch=dispatch)

    async def _fail(self, run: Run, step: Step, session: WorkerSession, refusal: Refusal) -> None:
        """Fail a step that cannot even be described: no worker will ever do better."""
        session.holds.pop(task_id(run.id, step.name), None)
        reason = f"{refusal.code}: {refusal.message}"
        failed = Fail(step.name, step.epoch, ErrorCategory.INTERNAL, reason)

        async def consider(state: Run, plan: Plan) -> Change | None:
            return Change(failed, Record("platform:work"))

        await self._runs.change(run.tenant, run.id, consider)

    async def _describe(self, run: Run, plan: Plan, step: Step) -> Assignment:
        capability = capability_of(run, plan, step)
        kind = "context" if step.name == CONTEXT else self._kind(capability)
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
            input={} if step.call else await self._input(run, plan, step),
            timeout_seconds=timeout_of(plan, step),
            tree=run.tree,
            tree_before=run.base_tree,
            traceparent=run.trace,
            feedback=step.reason if step.attempt > 1 else "",
            checks=await self._checks(run, plan),
            phrases=self._catalogue.app(run.app).rules.phrases,
            reviews=await self._reviewed(run, plan, step),
            constraints=plan.constraints,
        )

    async def _checks(self, run: Run, plan: Plan) -> tuple[tuple[str, str], ...]:
        """Name the architect rules that hold: the plan's, and those that the brief added."""
        brief = run.steps.get(PLAN)
        if not plan.planner or brief is None or brief.status is not StepStatus.SUCCEEDED:
            return tuple(zip(plan.rules, plan.constraints, strict=True))
        entry = await self._runs.entry(run.tenant, run.id)
        if brief.output_seq not in entry.contents:
            await self._runs.fill(entry, (brief.output_seq,))
        said = parse_brief(brief_of(run, plan, self._runs.sight(entry)))
        full = with_brief(plan, said, self._catalogue.app(run.app).rules)
        return tuple(zip(full.rules, full.constraints, strict=True))

    def _kind(self, capability: str) -> str:
        return str(self._catalogue.contracts[capability].kind)

    async def _input(self, run: Run, plan: Plan, step: Step) -> dict[str, object]:
        entry = await self._runs.entry(run.tenant, run.id)
        if step.name == CONTEXT:
            return await self._context_items(entry)
        while True:
            sight = self._runs.sight(entry)
            try:
                if step.name == PLAN:
                    return planner_input(run, plan, sight)
                return input_of(run, plan, plan.node(node_id(step.name)), step.name, sight)
            except ContentNeeded as needed:
                await self._runs.fill(entry, needed.seqs)

    async def _context_items(self, entry: Entry) -> dict[str, object]:
        """Name the actions whose outputs the run begins with; their inputs may cite the intent."""
        while True:
            sight = self._runs.sight(entry)
            try:
                return {
                    item.id: {
                        "uses": item.uses,
                        "input": resolve(
                            item.input, values_for(entry.run, entry.plan, CONTEXT, (), item.input, sight)
                        ),
                    }
                    for item in entry.plan.context
                }
            except ContentNeeded as needed:
                await self._runs.fill(entry, needed.seqs)

    async def _reviewed(self, run: Run, plan: Plan, step: Step) -> str:
        if step.name.startswith("$") or step.call:
            return ""
        node = plan.node(node_id(step.name))
        if not node.reviews:
            return ""
        entry = await self._runs.entry(run.tenant, run.id)
        while True:
            try:
                values = values_for(run, plan, step.name, (), node.reviews, self._runs.sight(entry))
                return str(resolve(node.reviews, values))
            except ContentNeeded as needed:
                await self._runs.fill(entry, needed.seqs)

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """Record the end of an attempt; hand out the run's next step if this session can serve it."""
        known = self._session(session)
        known.holds.pop(report.task, None)
        offer = Offer(known.id, known.capabilities)
        if self._halts.any_active():
            offer = Offer(known.id, frozenset())

        async def consider(run: Run, plan: Plan) -> Change | None:
            step = held_step(run, report.step, report.epoch)
            return await self._ending(run, plan, step, report, offer)

        before, after = await self._runs.change(report.tenant, report.run, consider)
        for name, step in after.steps.items():
            old = before.steps.get(name)
            if step is not old and step.session == known.id and step.status is StepStatus.RUNNING:
                return await self.assignment(after, step, known)
        return None

    async def _ending(self, run: Run, plan: Plan, step: Step, report: Report, offer: Offer) -> Change:
        record = Record(f"worker:{offer.session}")
        if report.output is None:
            category = report.category or ErrorCategory.INTERNAL
            failed = Fail(
                step.name,
                report.epoch,
                category,
                report.reason,
                spread=self._world.spread(),
                retry_after=report.retry_after,
                rules=report.rules,
                findings=report.findings,
            )
            return Change(failed, record, offer=offer)
        wrong = self._wrong(run, plan, step, report.output)
        if wrong:
            failed = Fail(step.name, report.epoch, ErrorCategory.INVALID_OUTPUT, wrong, rules=report.rules)
            return Change(failed, record, offer=offer)
        attests = await self._reviewed(run, plan, step) if report.output.get("verdict") == "pass" else ""
        done = Succeed(
            step.name,
            report.epoch,
            digest_of(canonical(report.output)),
            attests=attests,
            rules=report.rules,
        )
        return Change(done, record, Extra(payload={"output": report.output}), offer)

    def _wrong(self, run: Run, plan: Plan, step: Step, output: dict[str, object]) -> str:
        """Hold an output to its contract; the worker did so too, but the worker is not the platform."""
        if step.name == CONTEXT:
            return ""
        if step.name == PLAN:
            found = check_brief(output, self._catalogue.app(run.app).rules.phrases, plan.constraints)
            return "; ".join(f"{finding.pointer}: {finding.detail}" for finding in found)
        contract = self._catalogue.contracts[capability_of(run, plan, step)]
        errors = validator_for(contract.output).errors(output)
        return "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors)

    async def park(self, session: str, held: Held, reason: str) -> None:
        """Block a step that its session cannot work on."""

        async def consider(run: Run, plan: Plan) -> Change | None:
            return Change(Park(held.step, held.epoch, reason), Record(f"worker:{session}"))

        await self._runs.change(held.tenant, held.run, consider)

    def observe(self, before: Run | None, after: Run) -> None:
        """Look at a committed change: wake workers for new work, tell holders what concerns them."""
        for name, step in after.steps.items():
            old = before.steps.get(name) if before is not None else None
            if step is old:
                continue
            if step.status in (StepStatus.READY, StepStatus.WAITING):
                self._wake.set()
            if old is not None and old.status is StepStatus.RUNNING and old.epoch > 0:
                self._left(after.id, old, step)
        if after.ending and before is not None and not before.ending:
            self.tell_run(after, "cancel", "the run was asked to end")
        elif after.closed is None and before is not None:
            self._tell_doomed(before, after)

    def _tell_doomed(self, before: Run, after: Run) -> None:
        entry = self._runs.known(after.id)
        if entry is not None and doomed(after, entry.plan) and not doomed(before, entry.plan):
            self.tell_run(after, "cancel", "another step of the run has failed")

    def _left(self, run: str, old: Step, now: Step) -> None:
        session = self.sessions.get(old.session)
        if session is None or (now.status is StepStatus.RUNNING and now.session == old.session):
            return
        task = task_id(run, old.name)
        held = session.holds.get(task)
        if held is not None and held.epoch == old.epoch and now.status is not StepStatus.SUCCEEDED:
            session.holds.pop(task)
            session.tell(Notice(task, old.epoch, "lost", now.reason or f"the step is {now.status}"))

    def tell_run(self, run: Run, what: str, reason: str) -> None:
        """Tell every session that holds a step of the run."""
        for session in self.sessions.values():
            for task, held in session.holds.items():
                if held.run == run.id:
                    session.tell(Notice(task, held.epoch, what, reason))

    async def tell_halted(self) -> None:
        """Tell every session whose task is stopped by a halt in force."""
        for session in list(self.sessions.values()):
            for task, held in list(session.holds.items()):
                entry = await self._runs.entry(held.tenant, held.run)
                step = entry.run.steps[held.step]
                capability = capability_of(entry.run, entry.plan, step)
                reason = self._halts.stopping(entry.run, capability, capability)
                if reason is not None:
                    session.tell(Notice(task, held.epoch, "halt", reason))


def planner_input(run: Run, plan: Plan, sight: Sight) -> dict[str, object]:
    """Gather what a planner is told: the intent, the loaded context, and the workflow in words."""
    intent = sight.payload(INTENT_SEQ)["intent"]
    return {
        "intent": intent,
        "context": output_of(run.steps.get(CONTEXT), sight) if plan.context else {},
        "workflow": {"name": plan.name, "steps": [node.id for node in plan.children("")]},
        "constraints": list(plan.constraints),
    }


def keys_of(capabilities: list[str]) -> tuple[str, ...]:
    """Turn exact capabilities into the queue keys that a worker offers."""
    return tuple(sorted({queue_key(capability) for capability in capabilities}))
