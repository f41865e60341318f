"""Sessions: which workers are here, what each has in hand, and what it must hear at once."""

import asyncio
import sys
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence

import msgspec
import structlog

from bailiwick.contract import ErrorCategory
from bailiwick.ports import Frame, Hello, Notice, Queue, Session, SessionLost, Task, World
from bailiwick.run import (
    LEASE_SECONDS,
    Run,
    StandingKind,
    Step,
    StepStatus,
    capability_of,
    doomed,
    heartbeat_of,
)
from bailiwick.service.core.changes import Record
from bailiwick.service.core.limits import LimitBook
from bailiwick.service.core.rows import task_id
from bailiwick.service.core.runs import Runs
from bailiwick.service.core.turns import Lane, Turns, lane_of
from bailiwick.service.gate.gate import Gate
from bailiwick.service.gate.halts import Halts

log = structlog.get_logger("bailiwick.sessions")
_SILENT_LEASES = 4
_MAX_CHAINS = 256
_MAX_PARTED = 256
_MAX_NAMED = 20


class Held(msgspec.Struct, frozen=True):
    """A task in a session's hands."""

    tenant: str
    run: str
    step: str
    epoch: int


class WorkerSession:
    """A worker's session as this process knows it.

    `keys` are the queue keys that it serves; `room` is how many tasks it waits for right now, `reserved` how
    many are being taken for it elsewhere, and `given` are those that were. `parted` are the epochs of tasks that
    it held last, by task: what it had on the way when they were parked is still its to report.
    """

    def __init__(self, id: str, worker: str, keys: frozenset[str]) -> None:
        self.id = id
        self.worker = worker
        self.keys = keys
        self.sorted_keys = sorted(keys)
        self.holds: dict[str, Held] = {}
        self.notices: list[Notice] = []
        self.told = asyncio.Event()
        self.work = asyncio.Event()
        self.heard_at = asyncio.get_running_loop().time()
        self.room = 0
        self.reserved = 0
        self.given: list[Held] = []
        self.parted: OrderedDict[str, int] = OrderedDict()
        self.leaving = False
        self._chains: dict[str, tuple[int, int]] = {}

    def serve(self, keys: Collection[str]) -> None:
        """Serve more keys from here on."""
        self.keys |= frozenset(keys)
        self.sorted_keys = sorted(self.keys)
        self.work.set()

    def leave(self) -> None:
        """Take nothing more; whoever waits for work on its behalf is told."""
        self.leaving = True
        self.work.set()

    def begin(self, run: str, now: int) -> None:
        """Count the steps of a run that are taken one after the other from here on, and since when."""
        if len(self._chains) > _MAX_CHAINS:
            self._chains.clear()
        self._chains[run] = (1, now)

    def extend(self, run: str) -> None:
        """Count one step more."""
        steps, since = self._chains.get(run, (0, 0))
        self._chains[run] = (steps + 1, since)

    def may_go_on(self, run: str, now: int, steps: int, microseconds: int) -> bool:
        """Whether the run's next step may be taken at once: not when others have waited for long."""
        taken, since = self._chains.get(run, (0, now))
        return taken < steps and now - since <= microseconds

    def part(self, task: str) -> None:
        """Let a task out of the session's hands."""
        self.parted[task] = self.holds.pop(task).epoch
        if len(self.parted) > _MAX_PARTED:
            self.parted.popitem(last=False)

    def tell(self, notice: Notice) -> None:
        """Queue a notice; the waiting heartbeat answers at once."""
        self.notices.append(notice)
        self.told.set()

    def take(self) -> tuple[Notice, ...]:
        """Hand over what is queued."""
        notices = tuple(self.notices)
        self.notices.clear()
        self.told.clear()
        return notices


class Sessions:
    """The sessions of this process."""

    def __init__(
        self,
        *,
        runs: Runs,
        queue: Queue,
        gate: Gate,
        halts: Halts,
        world: World,
        lease_seconds: float = LEASE_SECONDS,
        limits: LimitBook | None = None,
    ) -> None:
        self._limits = limits if limits is not None else LimitBook()
        self._lease_seconds = lease_seconds
        self._runs = runs
        self._queue = queue
        self._gate = gate
        self._halts = halts
        self._world = world
        self._open: dict[str, WorkerSession] = {}
        self.doubts: dict[tuple[str, str], None] = {}
        self.turns = Turns(self._limits.weight_of)
        self.taking: Counter[str] = Counter()

    def doubt(self, tenant: str, run: str) -> None:
        """Note that a step of a run may have been taken for a session that was not told: the keeper looks."""
        self.doubts[tenant, run] = None

    def abandon(self, session: WorkerSession, tenant: str, run: str, step: str) -> None:
        """Note that a step was claimed, or perhaps was, and could not be handed out."""
        session.holds.pop(task_id(run, step), None)
        self.doubt(tenant, run)

    def astray(self, run: str, step: Step) -> bool:
        """Whether a step was taken for a session of this process that knows nothing of it."""
        session = self._open.get(step.session)
        if session is None or step.status is not StepStatus.RUNNING or step.epoch < 1:
            return False
        held = session.holds.get(task_id(run, step.name))
        if held is not None and held.epoch == step.epoch:
            return False
        return all(
            (held.run, held.step, held.epoch) != (run, step.name, step.epoch) for held in session.given
        )

    def find(self, session: str) -> WorkerSession:
        """Find a session.

        Raises:
            SessionLost: It has expired or was ended.
        """
        if session not in self._open:
            raise SessionLost(session)
        return self._open[session]

    def alive(self, session: str) -> WorkerSession:
        """Find a session whose lease was renewed in time, by this process's own clock.

        A process that was frozen wakes up with sessions that are over: what it claimed for one would be an orphan.

        Raises:
            SessionLost: It has expired or was ended.
        """
        known = self.find(session)
        if asyncio.get_running_loop().time() - known.heard_at > self._lease_seconds:
            self._end(known, "the session was not renewed in time")
            raise SessionLost(session)
        return known

    def draw(self, session: WorkerSession, due: Sequence[Task], room: int) -> tuple[Task, ...]:
        """Choose what a session takes of what is due; it is counted under `taking` until that is done."""
        drawn = self.turns.draw(due, room, session.keys, self._world.now(), self.room_of)
        self.taking.update(task.tenant for task in drawn)
        return drawn

    def room_of(self, tenant: str) -> int:
        """Tell how many more steps of a tenant may be in the hands of this process's workers."""
        most = self._limits.of(tenant).steps
        if not most:
            return sys.maxsize
        held = sum(
            held.tenant == tenant
            for session in self._open.values()
            for held in (*session.holds.values(), *session.given)
        )
        return most - held - self.taking[tenant]

    def reserve(self, lane: Lane) -> WorkerSession | None:
        """Keep a place with the session that waits for the most tasks; None when nobody waits, or others go first."""
        staying = (session for session in self._open.values() if not session.leaving)
        waiting = max(staying, key=lambda session: session.room, default=None)
        if waiting is None or waiting.room <= 0:
            return None
        if self.turns.yields(lane, waiting.keys, self._world.now()) or self.room_of(lane.tenant) <= 0:
            return None
        self.taking[lane.tenant] += 1
        waiting.room -= 1
        waiting.reserved += 1
        return waiting

    def give(self, session: WorkerSession, tenant: str, held: Held | None) -> None:
        """Fill a place reserved for a tenant with a step that was taken for the session, or let the place go."""
        session.reserved -= 1
        self.taking[tenant] -= 1
        if held is not None and session.id in self._open:
            session.given.append(held)
        elif held is not None:
            self.doubt(held.tenant, held.run)
        session.work.set()

    def leaving(self, session: str) -> bool:
        """Whether a session takes nothing more."""
        known = self._open.get(session)
        return known is not None and known.leaving

    def holds(self, session: str, frame: Frame) -> bool:
        """Whether a frame speaks of a step that the session has in hand."""
        known = self._open.get(session)
        held = known.holds.get(task_id(frame.run, frame.step)) if known is not None else None
        return held is not None and held.epoch == frame.epoch

    def may_report(self, session: str, run: str, step: Step) -> bool:
        """Whether a session has a step in hand, or was the last who had: a parked step is in nobody's."""
        if step.session:
            return step.session == session
        known, task = self._open.get(session), task_id(run, step.name)
        if known is None:
            return False
        held = known.holds.get(task)
        return step.epoch == (held.epoch if held is not None else known.parted.get(task))

    def wake(self) -> None:
        """Tell waiting workers that there may be work."""
        for session in self._open.values():
            session.work.set()

    def serve_stranded(self, wanted: Collection[str]) -> int:
        """Let one session also serve the wanted keys that no session of this process serves; answer how many.

        A platform-run agent needs only the text that its run has pinned. A step whose code is gone is blocked once
        it is taken, and says what helps.
        """
        open_ones = [session for session in self._open.values() if not session.leaving]
        offered = {key for session in open_ones for key in session.keys}
        stranded = [key for key in wanted if key not in offered]
        if not open_ones or not stranded:
            return 0
        log.warning("sessions.stranded", capabilities=stranded[:_MAX_NAMED])
        open_ones[0].serve(stranded)
        return len(stranded)

    async def hello(self, hello: Hello) -> Session:
        """Open a session; an earlier one of the same worker ends, its tasks go to others."""
        id = self._world.new_id("ses")
        now = asyncio.get_running_loop().time()
        for old in list(self._open.values()):
            if old.worker == hello.worker:
                self._end(old, "the worker opened a new session")
            elif now - old.heard_at > self._lease_seconds * _SILENT_LEASES:
                self._end(old, "nothing was heard of the worker")
        await self._queue.open_session(id, hello.worker, self._lease_seconds)
        self._open[id] = WorkerSession(id, hello.worker, frozenset(hello.capabilities))
        return Session(id, self._lease_seconds, heartbeat_of(self._lease_seconds))

    def _end(self, session: WorkerSession, reason: str) -> None:
        for task, held in session.holds.items():
            session.tell(Notice(task, held.epoch, "lost", reason))
        session.told.set()
        session.work.set()
        self._open.pop(session.id, None)

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """Renew the lease and answer notices, at once when there are any.

        Raises:
            SessionLost: The session has expired or was ended.
        """
        known = self.find(session)
        asked_at = asyncio.get_running_loop().time()
        if not await self._queue.renew_session(session, self._lease_seconds):
            self._end(known, "the session has expired")
            raise SessionLost(session)
        known.heard_at = asked_at
        try:
            async with asyncio.timeout(wait_seconds):
                await known.told.wait()
        except TimeoutError:
            return ()
        return known.take()

    def observe(self, before: Run | None, after: Run, record: Record, names: Iterable[str]) -> None:
        """Look at a committed change, which moved these steps: wake workers for new work, tell holders what concerns them."""
        for name in names:
            step = after.steps[name]
            old = before.steps.get(name) if before is not None else None
            if step is old:
                continue
            if step.status in (StepStatus.READY, StepStatus.WAITING):
                if step.status is StepStatus.READY:
                    self.turns.waits(lane_of(after))
                self.wake()
            if old is not None and old.status is StepStatus.RUNNING and old.epoch > 0:
                self._left(after.tenant, after.id, old, step, record)
        if before is not None and after.closed is None:
            self._tell_ending(before, after)

    def _tell_ending(self, before: Run, after: Run) -> None:
        entry = self._runs.memory.known(after.id)
        if after.ending and not before.ending:
            self._tell_run(after, "the run was asked to end")
        elif entry is not None and doomed(after) and not doomed(before):
            self._tell_run(after, "another step of the run has failed")

    def _left(self, tenant: str, run: str, old: Step, now: Step, record: Record) -> None:
        """A step has left its holder's hands: by the holder's own doing, or else it is told."""
        if now.status is StepStatus.RUNNING and now.epoch == old.epoch:
            return
        self._gate.left(run, old.name)
        if self._limits.of(tenant).steps:
            self.wake()  # another step of the tenant may be taken now
        session = self._open.get(old.session)
        task = task_id(run, old.name)
        held = session.holds.get(task) if session is not None else None
        if session is None or held is None or held.epoch != old.epoch:
            return
        session.part(task)
        if record.actor != actor_of(session.id):
            what = "timeout" if now.category is ErrorCategory.TIMEOUT else "lost"
            session.tell(Notice(task, old.epoch, what, now.reason or f"the step is {now.status}"))
        elif now.standing is not None and now.standing.kind is StandingKind.HALT:
            # One call met the halt at the gate; its neighbours that are on their way must hear of it too.
            session.tell(Notice(task, old.epoch, "halt", now.reason))

    def _tell_run(self, run: Run, reason: str) -> None:
        self._gate.lines.stir(run.id)
        for session in self._open.values():
            for task, held in session.holds.items():
                if held.run == run.id:
                    session.tell(Notice(task, held.epoch, "cancel", reason))

    async def catch_up(self) -> int:
        """Hear what other processes did to the runs in hand: a cancel, a timeout, a lease taken away."""
        held = {(each.tenant, each.run) for session in self._open.values() for each in session.holds.values()}
        count = 0
        for tenant, run in sorted(held):
            before, after = await self._runs.catch_up(tenant, run)
            if before is not after:
                self.observe(before, after, Record("platform:other"), after.steps)
                count += 1
        return count

    async def tell_halted(self) -> None:
        """Tell every session whose task, or a call of it that is on its way, is stopped by a halt in force."""
        for session in list(self._open.values()):
            for task, held in list(session.holds.items()):
                reason = await self._halted(held)
                if reason is not None and task in session.holds:
                    session.tell(Notice(task, held.epoch, "halt", reason))

    async def _halted(self, held: Held) -> str | None:
        entry = await self._runs.entry(held.tenant, held.run)
        run = entry.run
        step = run.steps[held.step]
        agent = capability_of(run, entry.plan, step)
        calls = (run.calls[key] for key in run.tally.open_calls)
        going = [call.capability for call in calls if call.step == held.step and call.epoch == held.epoch]
        for capability in (agent, *going, *self._gate.reading(held.run, held.step)):
            halt = self._halts.known(run, agent, capability)
            if halt is not None:
                return halt.reason
        return None


def actor_of(session: str) -> str:
    """Name a session as the actor of an event."""
    return f"worker:{session}"
