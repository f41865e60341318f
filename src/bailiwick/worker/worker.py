"""The worker: a leased session that claims tasks, works on several at once, and heeds notices."""

import asyncio
from collections import OrderedDict

import structlog
from structlog.contextvars import bind_contextvars

from bailiwick.base import Category, Refusal
from bailiwick.ports import Assignment, Hello, Notice, Report, Session, SessionLost, WorkerPort
from bailiwick.worker.insisting import insist
from bailiwick.worker.leash import Leash
from bailiwick.worker.runner import Runner

log = structlog.get_logger("bailiwick.worker")
CLAIM_WAIT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
MAX_EARLY = 256
LOOK_SECONDS = 0.5


class Hand:
    """A task that is being worked on."""

    def __init__(self, assignment: Assignment, leash: Leash, work: asyncio.Task[None]) -> None:
        self.assignment = assignment
        self.leash = leash
        self.work = work

    def heed(self, notice: Notice) -> None:
        """Stop what a notice says; a task that others have is left at once."""
        self.leash.pull(notice.what, notice.reason)
        if notice.what in ("lost", "timeout"):
            self.work.cancel()


class Worker:
    """Runs until canceled; its session is opened again when it was lost.

    Args:
        port: The control plane.
        runner: Does the work.
        name: Names the worker; a second session under one name ends the first.
        capabilities: The queue keys that it serves.
        slots: How many tasks it works on at once.
    """

    def __init__(
        self, *, port: WorkerPort, runner: Runner, name: str, capabilities: tuple[str, ...], slots: int = 8
    ) -> None:
        self._port = port
        self._runner = runner
        self._hello = Hello(name, capabilities)
        self._slots = slots
        self._hands: dict[str, Hand] = {}
        self._early: OrderedDict[tuple[str, int], Notice] = OrderedDict()
        self._free = asyncio.Event()
        self._draining = False
        self._session_id = ""

    async def drain(self, seconds: float) -> int:
        """Take nothing more, and leave to others what is in no call; answer how many tasks were in one at the end.

        Args:
            seconds: How long to wait for calls; `run` must be canceled afterwards.
        """
        self._draining = True
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while True:
            left = give_up - loop.time()
            await self._leave(max(left, LOOK_SECONDS))
            if not self._hands or left <= 0:
                return len(self._hands)
            work = [hand.work for hand in self._hands.values()]
            await asyncio.wait(work, timeout=min(left, LOOK_SECONDS))

    async def _leave(self, seconds: float) -> None:
        if not self._session_id:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._port.leave(self._session_id)
        except (Refusal, TimeoutError) as error:
            log.info("worker.not_left", reason=type(error).__name__)

    async def run(self) -> None:
        """Work until canceled."""
        while True:
            try:
                await self._session()
            except* Refusal as refused:
                log.warning("worker.session_lost", reasons=[str(error) for error in refused.exceptions])
            except* Exception as failed:  # a fault in one task must not leave the others without a worker
                log.exception("worker.failed", exc_info=failed)
            finally:
                for hand in self._hands.values():
                    hand.work.cancel()
                self._hands.clear()
                self._early.clear()
            _end_if_told()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _session(self) -> None:
        session = await insist(lambda: self._port.hello(self._hello))
        log.info("worker.session", session=session.id, worker=self._hello.worker)
        async with asyncio.TaskGroup() as group:
            self._session_id = session.id
            group.create_task(self._claim(session, group))
            await self._heartbeat(session)  # in the group's body: see `_end_if_told`

    async def _heartbeat(self, session: Session) -> None:
        while True:
            try:
                notices = await self._port.heartbeat(session.id, session.heartbeat_seconds)
            except Refusal as refusal:
                await _outlive(refusal)
                continue
            for notice in notices:
                self._heed(notice)

    def _heed(self, notice: Notice) -> None:
        hand = self._hands.get(notice.task)
        if hand is not None and hand.assignment.epoch == notice.epoch:
            hand.heed(notice)
            return
        # It may speak of a task whose assignment is still on its way to us.
        self._early[notice.task, notice.epoch] = notice
        if len(self._early) > MAX_EARLY:
            self._early.popitem(last=False)

    async def _claim(self, session: Session, group: asyncio.TaskGroup) -> None:
        while not self._draining:
            free = self._slots - len(self._hands)
            if free <= 0:
                self._free.clear()
                await self._free.wait()
                continue
            try:
                assignments = await self._port.claim(session.id, free, CLAIM_WAIT_SECONDS)
            except Refusal as refusal:
                await _outlive(refusal)
                continue
            for assignment in assignments:
                leash = Leash()
                work = group.create_task(self._work(session, assignment, leash))
                self._take(assignment, leash, work)

    def _take(self, assignment: Assignment, leash: Leash, work: asyncio.Task[None]) -> None:
        hand = self._hands[assignment.task] = Hand(assignment, leash, work)
        early = self._early.pop((assignment.task, assignment.epoch), None)
        if early is not None:
            hand.heed(early)

    async def _work(self, session: Session, assignment: Assignment, leash: Leash) -> None:
        """Work on an assignment, and on what follows from it in the same session."""
        current: Assignment | None = assignment
        try:
            while current is not None:
                bind_contextvars(
                    **_context_of(current)
                )  # this task's own, and all three anew for each assignment
                report = await self._runner.run(session.id, current, leash)
                following = await self._finish(session, report) if report is not None else None
                self._drop(current)
                current = following
                if current is not None:
                    leash = Leash()
                    task = asyncio.current_task()
                    assert task is not None, "this runs in a task"
                    self._take(current, leash, task)
        finally:
            if current is not None:
                self._drop(current)
            self._free.set()

    def _drop(self, assignment: Assignment) -> None:
        hand = self._hands.get(assignment.task)
        if hand is not None and hand.assignment.epoch == assignment.epoch:
            del self._hands[assignment.task]

    async def _finish(self, session: Session, report: Report) -> Assignment | None:
        """Hand a report in; one that comes too late is thrown away.

        Raises:
            SessionLost: All tasks of the session are lost.
            Refusal: The store cannot be written for long; the session ends, so that its tasks are found again.
        """
        try:
            return await insist(lambda: self._port.finish(session.id, report))
        except SessionLost:
            raise
        except Refusal as refusal:
            if refusal.category is Category.UNAVAILABLE:
                raise
            log.info("step.fenced", code=refusal.code)
            return None


def _end_if_told() -> None:
    """End now if this task was canceled: a group that fails at that moment raises its errors and keeps the cancel.

    The count of cancels tells, as long as the body of the group waits for something: a task that fails while the
    group only waits for its tasks leaves a count of its own behind. From Python 3.13 on a group does neither; see
    https://github.com/python/cpython/issues/116720.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _outlive(refusal: Refusal) -> None:
    """Wait while the store cannot be asked; every other refusal ends the session."""
    if refusal.category is not Category.UNAVAILABLE:
        raise refusal
    log.warning("worker.waits", code=refusal.code)
    await asyncio.sleep(PAUSE_SECONDS)


def _context_of(assignment: Assignment) -> dict[str, str]:
    parts = assignment.traceparent.split("-")
    trace = parts[1] if len(parts) == 4 else ""
    return {"run_id": assignment.run, "trace_id": trace, "step": assignment.step}
