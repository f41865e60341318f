"""Claiming: due tasks go to the sessions that can serve them; one session wins each."""

import asyncio
from collections.abc import Awaitable, Iterable
from enum import Enum

import structlog

from bailiwick.base import Refusal
from bailiwick.plan import Plan
from bailiwick.ports import Assignment, Fenced, Queue, Task, World
from bailiwick.run import Claim, LeaseLost, NotAllowed, Run, StepStatus, queue_key
from bailiwick.service.core.changes import Change, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.hands.assigning import Assigning
from bailiwick.service.hands.sessions import Held, Sessions, WorkerSession, actor_of

log = structlog.get_logger("bailiwick.claiming")
MAX_CLAIM = 64
POLL_SECONDS = 2.0
MAX_GONE = 8
_LEAST_SECONDS = 0.01


class Miss(Enum):
    """Why a due task was not taken: it is gone (another has it, or it was moved on), or it was refused."""

    GONE = 1
    REFUSED = 2


class Claiming:
    """Hands out tasks."""

    def __init__(
        self, *, runs: Runs, queue: Queue, sessions: Sessions, assigning: Assigning, world: World
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._sessions = sessions
        self._assigning = assigning
        self._world = world

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """Take up to `limit` due tasks, waiting for work if there is none.

        Raises:
            SessionLost: The session is over.
        """
        limit = min(limit, MAX_CLAIM)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        gone = 0
        while True:
            known = self._sessions.alive(session)
            if known.leaving:
                return ()
            known.work.clear()
            given, known.given = known.given, []
            if given:
                taken = await asyncio.gather(*(self._handed(known, held) for held in given))
                return tuple(each for each in taken if isinstance(each, Assignment))
            room = limit - known.reserved
            due = await self._queue.claimable(known.sorted_keys, room) if room > 0 else ()
            tasks = self._sessions.draw(known, due, room) if due else ()
            try:
                taken = await asyncio.gather(*(self._claim(known, task) for task in tasks))
            finally:
                self._sessions.taking.subtract(task.tenant for task in tasks)
            assignments = tuple(each for each in taken if isinstance(each, Assignment))
            left = deadline - asyncio.get_running_loop().time()
            if assignments or left <= 0:
                return assignments
            gone = gone + 1 if Miss.GONE in taken else 0
            if not 0 < gone < MAX_GONE:  # what others took may have hidden more behind it
                gone = 0
                await self._wait_for_work(known, left, room)

    async def _wait_for_work(self, session: WorkerSession, left: float, room: int) -> None:
        """Wait until a commit says that there may be work, a retry becomes due, or it is time to look anyway."""
        due = await self._queue.next_due()
        if due:
            ahead = (due - self._world.now()) / 1e6
            left = min(left, max(ahead, _LEAST_SECONDS) if ahead > 0 else POLL_SECONDS)
        session.room = room
        try:
            async with asyncio.timeout(min(left, POLL_SECONDS)):
                await session.work.wait()
        except TimeoutError:
            return
        finally:
            session.room = 0

    async def _claim(self, session: WorkerSession, task: Task) -> Assignment | Miss:
        held = Held(task.tenant, task.run, task.step, task.epoch + 1)
        return await self._unless_refused(self._taken(session, task), session, held)

    async def _handed(self, session: WorkerSession, held: Held) -> Assignment | Miss:
        """Describe a step that was taken for this session in another unit."""
        return await self._unless_refused(self._described(session, held), session, held)

    async def _unless_refused(
        self, work: Awaitable[Assignment | None], session: WorkerSession, held: Held
    ) -> Assignment | Miss:
        try:
            return await work or Miss.GONE
        except (Fenced, LeaseLost, NotAllowed):
            return Miss.GONE  # another was faster
        except Refusal as refusal:
            # One bad task must not keep its neighbours from being worked on; a commit may have happened all the same.
            log.warning("claim.refused", run_id=held.run, step=held.step, code=refusal.code)
            self._sessions.abandon(session, held.tenant, held.run, held.step)
            return Miss.REFUSED

    async def _described(self, session: WorkerSession, held: Held) -> Assignment | None:
        with self._assigning.passing():
            run = (await self._runs.entry(held.tenant, held.run)).run
            step = run.steps[held.step]
            if step.epoch != held.epoch or step.status is not StepStatus.RUNNING:
                return None
            session.begin(run.id, self._world.now())
            return await self._assigning.assign(run, step, session)

    async def _taken(self, session: WorkerSession, task: Task) -> Assignment | None:
        async def consider(run: Run, plan: Plan) -> Change | None:
            step = run.steps.get(task.step)
            if step is None or step.epoch != task.epoch or run.closed is not None:
                return None
            served = await self._assigning.served(run, plan, step)
            command = Claim(task.step, task.epoch + 1, session.id, served)
            return Change(command, Record(actor_of(session.id)))

        with self._assigning.passing():
            _, after = await self._runs.change(task.tenant, task.run, consider)
            step = after.steps.get(task.step)
            mine = step is not None and step.session == session.id and step.epoch == task.epoch + 1
            if step is None or not mine or step.status is not StepStatus.RUNNING:
                return None
            session.begin(task.run, self._world.now())
            return await self._assigning.assign(after, step, session)


def keys_of(capabilities: Iterable[str]) -> tuple[str, ...]:
    """Turn exact capabilities into the queue keys that a worker offers."""
    return tuple(sorted({queue_key(capability) for capability in capabilities}))
