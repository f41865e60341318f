"""Recovering: what the keeper finds overdue or orphaned, brought back under the machine. All idempotent."""

from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.ports import ApprovalState, Fenced, Queue, Task, TaskState, Views, World
from bailiwick.run import Fail, LeaseLost, NotAllowed, PassDeadline, Release, Run, StepStatus
from bailiwick.service.approving import Approving
from bailiwick.service.runs import Change, Changer, Record, Runs

BATCH = 200


class Recovering:
    """One method per duty; each looks, decides and commits, and may run any number of times."""

    def __init__(self, *, runs: Runs, queue: Queue, views: Views, approving: Approving, world: World) -> None:
        self._runs = runs
        self._queue = queue
        self._views = views
        self._approving = approving
        self._world = world

    async def reap(self) -> int:
        """Release the tasks of sessions that are gone; answer how many."""
        orphans = await self._queue.orphans(BATCH)
        for task in orphans:
            await self._release(task, "the worker's session ended")
        return len(orphans)

    async def _release(self, task: Task, reason: str) -> None:
        async def consider(run: Run, plan: Plan) -> Change | None:
            step = run.steps.get(task.step)
            if step is None or step.epoch != task.epoch or step.status is not StepStatus.RUNNING:
                return None
            return Change(Release(task.step, task.epoch, reason), Record("timer:reaper"))

        await self._quietly(task.tenant, task.run, consider)

    async def time_out(self) -> int:
        """Fail the attempts that run longer than they may; answer how many."""
        overdue = [task for task in await self._queue.overdue(BATCH) if task.state is TaskState.LEASED]
        for task in overdue:

            async def consider(run: Run, plan: Plan, task: Task = task) -> Change | None:
                step = run.steps.get(task.step)
                if step is None or step.epoch != task.epoch or step.status is not StepStatus.RUNNING:
                    return None
                reason = "the attempt ran longer than its timeout"
                command = Fail(
                    task.step, task.epoch, ErrorCategory.TIMEOUT, reason, spread=self._world.spread()
                )
                return Change(command, Record("timer:steps"))

            await self._quietly(task.tenant, task.run, consider)
        return len(overdue)

    async def pass_deadlines(self) -> int:
        """Tell the runs that are past their deadline; answer how many."""
        late = await self._views.late_runs(BATCH)
        for head in late:

            async def consider(run: Run, plan: Plan) -> Change | None:
                return (
                    None if run.expired or run.closed else Change(PassDeadline(), Record("timer:deadlines"))
                )

            await self._quietly(head.tenant, head.id, consider)
        return len(late)

    async def expire_approvals(self) -> int:
        """Close the requests that nobody answered in time; answer how many."""
        pending = await self._views.approvals("", state=ApprovalState.PENDING, run="", limit=BATCH)
        now = self._world.now()
        late = [approval for approval in pending if approval.expires_at <= now]
        for approval in late:
            await self._approving.expire(approval)
        return len(late)

    async def _quietly(self, tenant: str, run: str, consider: Changer) -> None:
        try:
            await self._runs.change(tenant, run, consider)
        except (Fenced, LeaseLost, NotAllowed):
            return  # the holder or another keeper was faster
