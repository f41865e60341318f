"""The worker: a leased session that claims tasks, works on several at once, and heeds notices."""

import asyncio

import structlog

from bailiwick.base import Refusal
from bailiwick.ports import Assignment, Hello, Notice, Session, Stop, WorkerPort
from bailiwick.worker.runner import Runner

log = structlog.get_logger("bailiwick.worker")
CLAIM_WAIT_SECONDS = 5.0


class Hand:
    """A task that is being worked on."""

    def __init__(self, assignment: Assignment, stop: Stop, work: asyncio.Task[None]) -> None:
        self.assignment = assignment
        self.stop = stop
        self.work = work


class Worker:
    """Runs until canceled; its session is opened again when it was lost.

    Args:
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
        self._free = asyncio.Event()

    async def run(self) -> None:
        """Work until canceled."""
        while True:
            session = await self._port.hello(self._hello)
            log.info("worker.session", session=session.id, worker=self._hello.worker)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._heartbeat(session))
                    group.create_task(self._claim(session, group))
            except* Refusal as lost:
                log.warning("worker.session_lost", reasons=[str(error) for error in lost.exceptions])
            finally:
                for hand in list(self._hands.values()):
                    hand.work.cancel()
                self._hands.clear()

    async def _heartbeat(self, session: Session) -> None:
        while True:
            for notice in await self._port.heartbeat(session.id, session.heartbeat_seconds):
                self._heed(notice)

    def _heed(self, notice: Notice) -> None:
        hand = self._hands.get(notice.task)
        if hand is None or hand.assignment.epoch != notice.epoch:
            return
        hand.stop.request(f"{notice.what}: {notice.reason}")
        if notice.what in ("lost", "timeout"):
            hand.work.cancel()

    async def _claim(self, session: Session, group: asyncio.TaskGroup) -> None:
        while True:
            free = self._slots - len(self._hands)
            if free <= 0:
                self._free.clear()
                await self._free.wait()
                continue
            for assignment in await self._port.claim(session.id, free, CLAIM_WAIT_SECONDS):
                stop = Stop()
                work = group.create_task(self._work(session, assignment, stop))
                self._hands[assignment.task] = Hand(assignment, stop, work)

    async def _work(self, session: Session, assignment: Assignment, stop: Stop) -> None:
        """Work on an assignment, and on what follows from it in the same session."""
        current: Assignment | None = assignment
        try:
            while current is not None:
                report = await self._runner.run(session.id, current, stop)
                self._hands.pop(current.task, None)
                if report is None:
                    return
                current = await self._port.finish(session.id, report)
                if current is not None:
                    stop = Stop()
                    task = asyncio.current_task()
                    assert task is not None, "this runs in a task"
                    self._hands[current.task] = Hand(current, stop, task)
        except Refusal as refusal:
            log.info("step.refused", run_id=assignment.run, step=assignment.step, code=refusal.code)
        finally:
            self._hands.pop(assignment.task, None)
            if current is not None:
                self._hands.pop(current.task, None)
            self._free.set()
