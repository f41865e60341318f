"""The embedded system: store, platform, worker and keeper in one process over one data directory."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from bailiwick.app import App
from bailiwick.base import Refusal
from bailiwick.keeper import Act, Duty, Pulse, duties_of, keep, periods_for
from bailiwick.plan import RuleBook, builtin_rules
from bailiwick.policy import Role, build_bundle, stacked
from bailiwick.ports import (
    MAX_CLOCK_ERROR_SECONDS,
    ApprovalState,
    Queue,
    SandboxStatus,
    Views,
    WorkerPort,
    World,
)
from bailiwick.run import SYSTEM_CONTEXT
from bailiwick.sandbox import BubblewrapSandbox, default_cache_dir
from bailiwick.service import Catalogue, LimitBook, Platform, Sharing, Stores, keys_of
from bailiwick.stores import (
    Address,
    Store,
    StoreClock,
    Topic,
    is_postgres,
    machine_time,
    open_postgres,
    open_store,
    tighten,
)
from bailiwick.telemetry import MeasuredLedger, MeasuredPort, Metrics
from bailiwick.wiring.apart import assigned, keep_apart
from bailiwick.wiring.clocks import learn, look, new_clock
from bailiwick.wiring.compiler import run_policy_compiler
from bailiwick.wiring.hosts import Hosts, build_hosts
from bailiwick.wiring.remembering import RememberedHeads
from bailiwick.wiring.settings import InvalidSettings, Settings
from bailiwick.wiring.trust import HEADS, keys_of_ledger
from bailiwick.wiring.witnesses import witness_at
from bailiwick.wiring.world import SystemWorld
from bailiwick.worker import Checker, Executor, Runner, Worker

log = structlog.get_logger("bailiwick")
RELEASE_SECONDS = 1.0
_MOST_WORKERS = 64
_TOLD = 10
_MICROSECONDS = 1_000_000


class Embedded:
    """A running system: the platform with its worker and keeper behind it.

    `first_key` is the secret of the admin key that was made because there was none; else empty.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        clock: StoreClock,
        world: World,
        platform: Platform,
        hosts: Hosts,
        books: dict[str, RuleBook],
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.world = world
        self.platform = platform
        self.hosts = hosts
        self._books = books
        self.metrics = metrics
        self.first_key = ""
        self.pulse = Pulse()
        self.sandbox: SandboxStatus | None = None
        self.workers: list[Worker] = []
        self.draining = False
        self._haste = asyncio.Event()
        self._loading: set[asyncio.Task[object]] = set()

    async def prepare(self, sandbox: BubblewrapSandbox) -> SandboxStatus:
        """Void what an earlier process held, learn the store's time, load what must be in memory, and test the sandbox.

        Raises:
            ClockUnsure: The way to the store is so slow that nobody can tell what time it is there.
        """
        await learn(self.clock, self.store)
        self.store.listen(self._heard)
        await self.platform.start()
        if not await self.store.views.keys(self.settings.tenant):
            _, self.first_key = await self.platform.keyring.issue(
                self.settings.tenant,
                name="admin",
                role=Role.ADMIN,
                groups=self.settings.groups,
                by="platform",
            )
        while await self.platform.recovering.reap():
            pass
        status = self.sandbox = await sandbox.self_test()
        if not status.available:
            log.warning("sandbox.off", findings=list(status.findings))
        return status

    async def look_at_clock(self) -> int:
        """Look at the store's clock once more."""
        await look(self.clock, self.store)
        return 0

    @property
    def needs_sandbox(self) -> bool:
        """Whether an agent of any app was given a tool that runs in the sandbox."""
        apps = self.platform.catalogue.apps.values()
        agents = [agent for app in apps for agent in app.agents.values()]
        return any(tool.startswith("shell.") for agent in agents for tool in agent.contract.tools)

    def knows_the_time(self) -> bool:
        """Whether the store's time is known well enough to decide by it."""
        return self.clock.error_seconds() <= MAX_CLOCK_ERROR_SECONDS

    def worker_name(self, number: int) -> str:
        """Name a worker of this process: the same at every start, and no other process's."""
        return _worker_name(self.store, number)

    def _heard(self, topic: Topic) -> None:
        """Hear what another process of the same store has committed."""
        if topic in (Topic.WORK, Topic.LOST):
            self.platform.sessions.turns.heard()
            self.platform.sessions.wake()
        if topic in (Topic.PLACED, Topic.LOST):
            self.platform.streams.stir()
        for concerned, load in (
            (Topic.HALTS, self.platform.halts.refresh),
            (Topic.KEYS, self.platform.keyring.load),
        ):
            if topic in (concerned, Topic.LOST):
                task = asyncio.create_task(load())
                self._loading.add(task)
                task.add_done_callback(self._loaded)

    def _loaded(self, task: asyncio.Task[object]) -> None:
        """Say what could not be read now; the keeper reads it again soon."""
        self._loading.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("store.unread", error=str(error))

    def worker(self, apps: Sequence[App], port: WorkerPort, name: str = "embedded") -> Worker:
        """Make a worker that serves all that the apps and the tool host offer."""
        agents = {(app.name, ref): agent for app in apps for ref, agent in app.agents.items()}
        tools = self.hosts.tools
        runner = Runner(
            port=port,
            executor=Executor(tools=tools, models=self.hosts.models),
            checker=Checker(books=self._books, trees=self.hosts.trees),
            agents=agents,
            world=self.world,
        )
        offered = [ref for _, ref in agents] + [contract.ref for contract in tools.contracts()]
        capabilities = keys_of([*offered, SYSTEM_CONTEXT])
        return Worker(
            port=port, runner=runner, name=name, capabilities=capabilities, slots=self.settings.slots
        )

    def duties(self, periods: Mapping[str, float] | None = None) -> tuple[Duty, ...]:
        """List what the keeper looks after; `periods`, in seconds by name, instead of the usual ones."""
        own: dict[str, Act] = {
            "clock": self.look_at_clock,
            "room": self._look_for_room,
            "keys": self._load_keys,
            "watchers": self._stir,
        }
        usual = periods_for(shared=self.platform.halts.shared)
        return duties_of(self.platform, own, usual if periods is None else periods)

    async def _look_for_room(self) -> int:
        """See when a disk that was full has room again, also if nobody stores anything."""
        if self.store.blobs.trouble:
            await self.store.blobs.probe()
        return 0

    async def _load_keys(self) -> int:
        await self.platform.keyring.load()
        return 0

    async def _stir(self) -> int:
        self.platform.streams.stir()
        return 0

    async def drain(self) -> None:
        """Take no more work, leave what is in no call to others, and wait for the calls on their way.

        It ends when none is left, after the setting's `drain_seconds`, or by `hasten`. A second call does nothing.
        """
        if self.draining:
            return
        self.draining = True
        draining = [asyncio.create_task(each.drain(self.settings.drain_seconds)) for each in self.workers]
        haste = asyncio.create_task(self._haste.wait())
        for each in draining:
            await asyncio.wait({each, haste}, return_when=asyncio.FIRST_COMPLETED)
        haste.cancel()
        left = sum(each.result() for each in draining if each.done())
        log.info("worker.drained", left=left, hastened=self._haste.is_set())
        for each in draining:
            each.cancel()
        await asyncio.gather(*draining, haste, return_exceptions=True)

    def hasten(self) -> None:
        """Wait for no call any more: what is cut off now is judged as if the process had died."""
        self._haste.set()

    async def retire(self) -> None:
        """Drain, and leave what is still in hand to other processes at once."""
        await self.drain()
        if not self.platform.halts.shared:
            return  # the next start voids what is left
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self.store.retire([self.worker_name(number) for number in range(len(self.workers))])
                while await self.platform.recovering.reap():
                    pass
        except (Refusal, TimeoutError) as error:
            log.warning("worker.not_released", reason=type(error).__name__)


async def build(
    settings: Settings, apps: Sequence[App], sandbox: BubblewrapSandbox, clock: StoreClock | None = None
) -> Embedded:
    """Open the data directory and connect everything, by a new clock or a given one; nothing runs yet.

    Raises:
        DataDirInUse: Another process has the directory.
        KeyMissing, KeyUnusable, KeyWrong: The keys are not those of this ledger.
        PolicyRefused: A policy of an app is not sound.
        NamedTwice: Two apps share a name, a tool or a repository.
    """
    folder = settings.folder
    keep_apart(apps)
    assigned(apps, settings.app_tenants)
    _tighten(settings)
    clock = clock if clock is not None else new_clock()
    store = open_ledger(settings, clock)
    try:
        await store.begin([_worker_name(store, number) for number in range(_MOST_WORKERS)])
        keys = await keys_of_ledger(settings, store)
        store.blobs.unlock(keys.blob_key)
        world = SystemWorld(clock)
        hosts = build_hosts(
            settings, apps, blobs=store.blobs, sandbox=sandbox, world=world, folder=folder / "work"
        )
        metrics = Metrics(
            depths=store.depths,
            waited=lambda: _waited(store.views, world),
            queued=lambda: _queued(store.queue, world),
            clock=lambda: ((machine_time() - clock.now()) / _MICROSECONDS, clock.error_seconds()),
        )
        ledger = MeasuredLedger(store.ledger, metrics)
        books = {app.name: _book(app) for app in apps}
        signer = keys.signer(settings.deployment)
        policies = {name: text for app in apps for name, text in app.policies.items()}
        platform = Platform(
            stores=Stores(ledger, store.queue, store.views, store.feed, store.audit, store.blobs),
            world=world,
            catalogue=Catalogue(hosts.tools.contracts(), apps, books, settings.tenant, settings.providers),
            bundle=build_bundle(stacked(policies), run_policy_compiler),
            tools=hosts.tools,
            prices=hosts.prices,
            signer=signer,
            pepper=keys.pepper,
            remembered=RememberedHeads(settings.shared_folder / HEADS),
            witnesses=tuple(witness_at(place, lambda: signer.vkeys) for place in settings.witnesses),
            sharing=Sharing(operators=settings.tenant, shared=bool(settings.store)),
            four_eyes_hours=settings.kept_apart_hours,
            lease_seconds=settings.lease_seconds,
            limits=LimitBook(settings.limits, settings.limits_of),
            planners=settings.planner_required,
        )
    except BaseException:
        store.close()
        raise
    platform.observers.append(metrics.committed)
    platform.breaks.on_found = metrics.broken_logs
    return Embedded(
        settings=settings,
        store=store,
        clock=clock,
        world=world,
        platform=platform,
        hosts=hosts,
        books=books,
        metrics=metrics,
    )


@contextlib.asynccontextmanager
async def embedded(
    settings: Settings,
    apps: Sequence[App],
    *,
    cache_dir: Path | None = None,
    workers: int = 1,
    periods: Mapping[str, float] | None = None,
    clock: StoreClock | None = None,
) -> AsyncIterator[Embedded]:
    """Run the embedded system for the length of a `with`.

    `periods` are those of the keeper's duties instead of the usual ones, `clock` is gone by instead of the machine's.

    Raises:
        DataDirInUse, PolicyRefused: See `build`.
        ClockUnsure: See `Embedded.prepare`.
    """
    sandbox = BubblewrapSandbox(cache_dir if cache_dir is not None else default_cache_dir())
    system = await build(settings, apps, sandbox, clock)
    try:
        await system.prepare(sandbox)
        tasks = [asyncio.create_task(keep(system.duties(periods), system.pulse))]
        if system.hosts.models.models():
            tasks.append(asyncio.create_task(system.hosts.models.warm()))
        for number in range(workers):
            port = MeasuredPort(system.platform, system.metrics)
            worker = system.worker(apps, port, system.worker_name(number))
            system.workers.append(worker)
            tasks.append(asyncio.create_task(worker.run()))
        try:
            with _settled_memory():
                yield system
        finally:
            await system.retire()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await system.hosts.models.close()
    finally:
        await system.store.end()


@contextlib.contextmanager
def _settled_memory() -> Iterator[None]:
    """Spare the collector what start-up made, and let it run less often; put back at the end.

    Measured on five-step runs at 64 clients: a tenth less processor time for each run.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _tighten(settings: Settings) -> None:
    """Close to others what an earlier version, a backup or another hand has left open to them."""
    left = [path for folder in {settings.folder, settings.shared_folder} for path in tighten(folder)]
    if left:
        log.warning("files.open", paths=[str(path) for path in left[:_TOLD]], count=len(left))


def _worker_name(store: Store, number: int) -> str:
    return f"embedded-{number}@{store.node}"


def open_ledger(settings: Settings, clock: StoreClock | None = None) -> Store:
    """Open the store that the settings name; the key of its blobs is still to be handed in.

    Args:
        settings: See `Settings`.
        clock: What tells the time to SQLite, beside which no other process has a clock; the machine's when None.

    Raises:
        DataDirInUse: Another process has the directory.
        InvalidSettings: `store` names no database of ours.
    """
    if not settings.store:
        return open_store(settings.folder, clock=clock.now if clock is not None else None)
    if not is_postgres(settings.store):
        raise InvalidSettings("`store` is the URL of a PostgreSQL (postgres://...), or empty", "store")
    return open_postgres(Address(settings.store), settings.folder, shared_dir=settings.shared_folder)


def _book(app: App) -> RuleBook:
    book = builtin_rules()
    for rule in app.rules:
        book = book.with_rule(rule)
    return book


async def _waited(views: Views, world: World) -> float:
    """Say for how many seconds the oldest open request to humans of all tenants has waited."""
    oldest = await views.approvals("", state=ApprovalState.PENDING, run="", limit=1)
    return max(world.now() - oldest[0].requested_at, 0) / _MICROSECONDS if oldest else 0.0


async def _queued(queue: Queue, world: World) -> float:
    """Say for how many seconds the oldest of the due steps, among the first few of each lane, has waited."""
    since = min((lane.since for lane in await queue.waiting()), default=None)
    return max(world.now() - since, 0) / _MICROSECONDS if since is not None else 0.0
