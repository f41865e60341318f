"""Recovering: what the keeper finds overdue or orphaned, brought back under the machine. All idempotent."""

import structlog

from bailiwick.base import Category, Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.ports import (
    Approval,
    ApprovalState,
    Fenced,
    Queue,
    StaleVersion,
    Task,
    TaskState,
    Views,
    World,
)
from bailiwick.run import Fail, LeaseLost, NotAllowed, PassDeadline, Phase, Release, Run, Step, StepStatus
from bailiwick.service.core.changes import Change, Changer, Record
from bailiwick.service.core.refusals import ApprovalAltered
from bailiwick.service.core.runs import Runs
from bailiwick.service.hands.sessions import Held, Sessions
from bailiwick.service.people.approving import Approving

_GONE = "the worker's session ended"
_UNTOLD = "the step could not be handed out"
log = structlog.get_logger("bailiwick.recovering")
BATCH = 200
STUCK = 2_000
"""How many late runs and open requests are looked at: those that stay must not hide the others."""


class Recovering:
    """One method per duty; each looks, decides and commits, may run any number of times, and answers how much it did."""

    def __init__(
        self,
        *,
        runs: Runs,
        queue: Queue,
        views: Views,
        sessions: Sessions,
        approving: Approving,
        world: World,
    ) -> None:
        self._runs = runs
        self._sessions = sessions
        self._queue = queue
        self._views = views
        self._approving = approving
        self._world = world
        self._told: dict[str, tuple[str, ...]] = {}

    async def reap(self) -> int:
        """Release the tasks of sessions that are gone, and those that were taken for a session that was not told."""
        count = 0
        for task in await self._queue.orphans(BATCH):
            count += await self._release(Held(task.tenant, task.run, task.step, task.epoch), _GONE)
        doubts, self._sessions.doubts = self._sessions.doubts, {}
        for tenant, run in doubts:
            count += await self._find_astray(tenant, run)
        return count

    async def _find_astray(self, tenant: str, run_id: str) -> int:
        """Release what a commit with an unknown answer took for a session that knows nothing of it."""
        count = 0

        async def consider(run: Run, plan: Plan) -> Change | None:
            for step in run.steps.values():
                if self._sessions.astray(run.id, step):
                    return Change(Release(step.name, step.epoch, _UNTOLD), Record("timer:reaper"))
            return None

        while True:
            try:
                before, after = await self._runs.change(tenant, run_id, consider)
            except Refusal as refusal:
                if refusal.category is Category.UNAVAILABLE:
                    self._sessions.doubt(tenant, run_id)
                return count
            if before is after:
                return count
            count += 1

    async def _release(self, held: Held, reason: str) -> bool:
        async def consider(run: Run, plan: Plan) -> Change | None:
            if not _in_hand(run.steps.get(held.step), held.epoch):
                return None
            return Change(Release(held.step, held.epoch, reason), Record("timer:reaper"))

        return await self._done(held.tenant, held.run, consider)

    async def take_up_stranded(self) -> int:
        """Take up the steps that no session offers to serve; for the only process of a store, since no other will come."""
        return self._sessions.serve_stranded(await self._queue.wanted())

    async def time_out(self) -> int:
        """Fail the attempts that run longer than they may."""
        overdue = [task for task in await self._queue.overdue(BATCH) if task.state is TaskState.LEASED]
        return sum([await self._time_out(task) for task in overdue])

    async def _time_out(self, task: Task) -> bool:
        async def consider(run: Run, plan: Plan) -> Change | None:
            if not _in_hand(run.steps.get(task.step), task.epoch):
                return None
            reason = "the attempt ran longer than its timeout"
            spread = self._world.spread()
            failed = Fail(task.step, task.epoch, ErrorCategory.TIMEOUT, reason, spread=spread)
            return Change(failed, Record("timer:steps"))

        return await self._done(task.tenant, task.run, consider)

    async def pass_deadlines(self) -> int:
        """Tell the runs that are past their deadline."""

        async def consider(run: Run, plan: Plan) -> Change | None:
            over = run.expired or run.closed or run.phase is Phase.COMPENSATING
            return None if over else Change(PassDeadline(), Record("timer:deadlines"))

        late = await self._views.late_runs(STUCK)
        return sum([await self._done(head.tenant, head.id, consider) for head in late])

    async def expire_approvals(self) -> int:
        """Close the requests that nobody answered in time."""
        pending = await self._views.approvals("", state=ApprovalState.PENDING, run="", limit=STUCK)
        now = self._world.now()
        late = [approval for approval in pending if approval.expires_at <= now]
        return sum([await self._approving.expire(approval) for approval in late])

    async def escalate_approvals(self) -> int:
        """Write into the logs of runs whose requests more people may answer now, because nobody did in time."""
        pending = await self._views.approvals("", state=ApprovalState.PENDING, run="", limit=STUCK)
        # What waits long after its escalation is not looked up in its run each time.
        self._told = {each.id: self._told[each.id] for each in pending if each.id in self._told}
        return sum([await self._escalate(approval) for approval in pending])

    async def _escalate(self, approval: Approval) -> bool:
        due = self._approving.escalated(approval)
        if self._told.get(approval.id, ()) == due:
            return False
        written = False
        try:
            written = await self._approving.escalate(approval)
        except (NotAllowed, StaleVersion):
            return False  # the run stands still, or others were faster
        except Refusal as refusal:
            log.warning("recovering.refused", run_id=approval.run, code=refusal.code, reason=refusal.message)
            if not isinstance(refusal, ApprovalAltered):
                return False
        self._told[approval.id] = due
        return written

    async def _done(self, tenant: str, run: str, consider: Changer) -> bool:
        """Make a change; what cannot be read or changed is reported and does not stop the rest."""
        try:
            before, after = await self._runs.change(tenant, run, consider)
        except (Fenced, LeaseLost, NotAllowed, StaleVersion):
            return False  # the holder or another keeper was faster
        except Refusal as refusal:
            log.warning("recovering.refused", run_id=run, code=refusal.code, reason=refusal.message)
            return False
        return before is not after


def _in_hand(step: Step | None, epoch: int) -> bool:
    return step is not None and step.epoch == epoch and step.status is StepStatus.RUNNING
