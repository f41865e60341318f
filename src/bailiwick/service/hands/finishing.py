"""Finishing: how an attempt ends, and which step of the run its session takes next in the same unit."""

import structlog

from bailiwick.base import Category, Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.plan import NodeKind, Plan, check_planned
from bailiwick.ports import Assignment, Fenced, Report, World
from bailiwick.run import (
    CONTEXT,
    PLAN,
    Fail,
    LeaseLost,
    NotAllowed,
    Offer,
    Run,
    Step,
    StepStatus,
    Succeed,
    capability_of,
    node_id,
)
from bailiwick.service.core.bounds import MAX_BYTES, MAX_FINDINGS, told
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.memory import Entry
from bailiwick.service.core.runs import Runs
from bailiwick.service.core.turns import lane_of
from bailiwick.service.gate.dispatching import held
from bailiwick.service.gate.halts import Halts
from bailiwick.service.hands.assigning import Assigning
from bailiwick.service.hands.sessions import Sessions, WorkerSession, actor_of

log = structlog.get_logger("bailiwick.finishing")
MAX_CHAIN = 32
CHAIN_MICROSECONDS = 250_000
TURN_STEPS = 4
TURN_MICROSECONDS = 20_000
"""How far a run goes on while others wait whose turn is before its own: to hand over at each step would cost all of
them most of what they are handed."""


class Finishing:
    """Records the ends of attempts."""

    def __init__(
        self, *, runs: Runs, sessions: Sessions, assigning: Assigning, halts: Halts, world: World
    ) -> None:
        self._runs = runs
        self._sessions = sessions
        self._assigning = assigning
        self._halts = halts
        self._world = world

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """Record the end of an attempt; hand out the run's next step if this session can serve it.

        A report that cannot be recorded as it is fails the attempt, so that no step is left in nobody's hands.

        Raises:
            LeaseLost, SessionLost: The session holds the step no longer; the report is thrown away.
            Refusal: The store cannot be written now (category unavailable); ask again.
        """
        known = self._sessions.find(session)
        try:
            return await self._finish(known, report)
        except (LeaseLost, Fenced):
            raise
        except Refusal as refusal:
            if refusal.category is Category.UNAVAILABLE:
                raise
            fault = f"{refusal.code}: {refusal.message}"
        except TypeError as error:
            fault = f"the output is not JSON: {error}"
        log.warning("finish.refused", run_id=report.run, step=report.step, reason=fault)
        failed = Report(
            report.task,
            report.tenant,
            report.run,
            report.step,
            report.epoch,
            category=ErrorCategory.INTERNAL,
            reason=fault,
        )
        return await self._finish(known, failed)

    async def _finish(self, session: WorkerSession, report: Report) -> Assignment | None:
        async def consider(run: Run, plan: Plan) -> Change | None:
            step = held(run, report.step, report.epoch, session.id)
            return await self._ending(run, plan, step, report, self._offer(session, run))

        with self._halts.passing():
            before, after = await self._runs.change(report.tenant, report.run, consider)
            for name in reversed(after.steps):  # what was taken is mostly what was opened last
                step = after.steps[name]
                if step is before.steps.get(name):
                    continue
                if step.session == session.id and step.status is StepStatus.RUNNING:
                    session.extend(after.id)
                    self._sessions.turns.serve(lane_of(after))
                    return await self._next(session, after, step)
        return None

    async def _next(self, session: WorkerSession, run: Run, step: Step) -> Assignment | None:
        """Hand out a step that was taken with the report; one that cannot be is left to the keeper.

        The report is on record, so the worker must not be told of a refusal: it would report again.
        """
        try:
            return await self._assigning.assign(run, step, session)
        except Refusal as refusal:
            log.warning("finish.next_refused", run_id=run.id, step=step.name, code=refusal.code)
            self._sessions.abandon(session, run.tenant, run.id, step.name)
            return None

    def _offer(self, session: WorkerSession, run: Run) -> Offer:
        """Offer the session's hands for the run's next step, unless others should have their turn."""
        now = self._world.now()
        waited_for = self._sessions.turns.yields(lane_of(run), session.keys, now)
        bounds = (TURN_STEPS, TURN_MICROSECONDS) if waited_for else (MAX_CHAIN, CHAIN_MICROSECONDS)
        going = session.may_go_on(run.id, now, *bounds) and not session.leaving
        free = going and not self._halts.any_active()
        return Offer(session.id, session.keys if free else frozenset())

    async def _ending(self, run: Run, plan: Plan, step: Step, report: Report, offer: Offer) -> Change:
        record = Record(actor_of(offer.session))
        if step.call and report.output is not None:
            raise NotAllowed(command="succeed", state="a granted action", run=run.id, of=step.name)
        if report.unanswered and _one_unanswered_action(run, plan, step):
            return Change(Succeed(step.name, report.epoch, ""), record, offer=offer)
        if report.output is None:
            return Change(self._failed(step, report, report.reason), record, offer=offer)
        body = canonical(report.output)
        entry = await self._runs.entry(run.tenant, run.id)
        wrong = (
            self._wrong(entry, run, step, report.output) if len(body) <= MAX_BYTES else _too_large(len(body))
        )
        if wrong:
            return Change(self._failed(step, report, wrong, invalid=True), record, offer=offer)
        attests = ""
        if report.output.get("verdict") == "pass":
            entry = await self._runs.entry(run.tenant, run.id)
            attests = await self._assigning.reviewed(entry, run, step)
        done = Succeed(
            step.name,
            report.epoch,
            digest_of(body),
            attests=attests,
            rules=report.rules,
        )
        return Change(done, record, Extra(payload={"output": report.output}), offer)

    def _failed(self, step: Step, report: Report, reason: str, *, invalid: bool = False) -> Fail:
        category = ErrorCategory.INVALID_OUTPUT if invalid else report.category
        return Fail(
            step.name,
            report.epoch,
            category if category is not None else ErrorCategory.INTERNAL,
            told(reason),
            spread=self._world.spread(),
            retry_after=report.retry_after,
            rules=report.rules,
            findings=tuple(told(finding) for finding in report.findings[:MAX_FINDINGS]),
        )

    def _wrong(self, entry: Entry, run: Run, step: Step, output: dict[str, object]) -> str:
        """Hold an output to its contract; the worker did so too, but the worker is not the platform."""
        if step.name == CONTEXT:
            return ""
        plan = entry.plan
        if step.name == PLAN:
            book = self._assigning.book(entry)
            checks = tuple(zip(plan.rules, plan.constraints, strict=True))
            return "; ".join(check_planned(output, book, checks).findings)
        contract = entry.pinned.contracts[capability_of(run, plan, step)]
        errors = validator_for(contract.output).errors(output)
        return "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors)


def _too_large(size: int) -> str:
    return f"the output has {size} bytes, at most {MAX_BYTES} are kept; store it and answer with its name"


def _one_unanswered_action(run: Run, plan: Plan, step: Step) -> bool:
    """Whether a step is nothing but one action, and that is done without a known answer."""
    if step.name.startswith("$") or plan.node(node_id(step.name)).kind is not NodeKind.TOOL:
        return False
    return any(call.step == step.name and call.unanswered for call in run.calls.values())
