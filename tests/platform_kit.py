"""A real platform for tests: SQLite in a folder, workers behind a wire, and hands that drive it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import apsw

from bailiwick.base import Instant
from bailiwick.budget import Price, PriceRow, PriceTable
from bailiwick.plan import builtin_rules
from bailiwick.policy import Bundle, Principal, PrincipalKind, Role, version_of
from bailiwick.ports import (
    Approval,
    Assignment,
    Dispatch,
    Hello,
    Inspector,
    Ledger,
    ModelHost,
    Outcome,
    Parked,
    Proposal,
    Recorded,
    Report,
    Stop,
    Violation,
)
from bailiwick.run import Call, Event, Run, Status
from bailiwick.sandbox import HostProcesses
from bailiwick.service import (
    Catalogue,
    Inspecting,
    IntentRequest,
    LimitBook,
    Platform,
    Replayed,
    Sharing,
    Stores,
    Transcript,
    keys_of,
    replay,
)
from bailiwick.stores import PostgresStore, SqliteStore, open_inspector, open_store
from bailiwick.tools import (
    Credentials,
    Egress,
    FileTools,
    GitTools,
    HttpTools,
    Redactor,
    Repositories,
    Tools,
    Workspaces,
    function_tool,
)
from bailiwick.wiring.hosts import WorkspaceTrees
from bailiwick.wiring.keys import DeploymentKeys
from bailiwick.worker import Checker, Executor, Runner, Worker
from shop_kit import Outside, Shop
from world_kit import Clock, JsonPort, TestWorld

T = TypeVar("T")
PATIENCE = 20.0


def person(name: str, role: Role, tenant: str = "acme", groups: tuple[str, ...] = ()) -> Principal:
    return Principal(f"usr_{name}", name, PrincipalKind.USER, tenant, role, groups)


ALICE = person("alice", Role.OPERATOR)
BOB = person("bob", Role.APPROVER, groups=("payers", "change-approvers"))
ROOT = person("root", Role.ADMIN, groups=("payers",))
MALLORY = person("mallory", Role.ADMIN, tenant="evil", groups=("payers", "change-approvers"))


async def decide_seen(
    platform: Platform, who: Principal, id: str, *, approve: bool, reason: str = ""
) -> Approval:
    """Decide as somebody who has looked: by the digest that is shown."""
    shown = [one.digest for one in await platform.approving.list(who, state="") if one.id == id]
    digest = shown[0] if shown else ""
    return await platform.approving.decide(who, id, approve=approve, reason=reason, digest=digest)


class NoModels:
    """A deployment without models."""

    def models(self) -> tuple[str, ...]:
        return ()


class System:
    """A platform over a folder; `crash` drops all that is in memory and opens the folder again."""

    def __init__(
        self,
        folder: Path,
        bundle: Bundle,
        *shops: Shop,
        models: ModelHost | None = None,
        repositories: Mapping[str, Path] | None = None,
        egress: Egress | None = None,
    ) -> None:
        self.folder = folder
        self.bundle = bundle
        self.shops = shops
        self.clock = Clock()
        self.world = TestWorld(self.clock)
        self.models = models if models is not None else NoModels()
        self._repositories = repositories if repositories is not None else {}
        self._egress = egress if egress is not None else Egress()
        self.limits = LimitBook()
        self._working: list[asyncio.Task[None]] = []
        self.workers: list[Worker] = []
        self._changed = asyncio.Event()
        self.tampered = False  # a test that edits the ledger says so
        self.store: SqliteStore | PostgresStore

    @property
    def outside(self) -> Outside:
        return self.shops[0].outside

    async def open(self) -> None:
        self.store = self.open_ledger()
        blobs = self.store.blobs
        redactor = Redactor()
        workspaces = Workspaces(blobs)
        own = [
            function_tool(
                tool.function,
                name=tool.name,
                version=tool.version,
                effect=tool.effect,
                vault=Credentials({}, redactor),
                **tool.options,
            )
            for shop in self.shops[:1]
            for tool in shop.app.tools
        ]
        scratch = self.folder / "scratch"
        git = GitTools(Repositories(self._repositories, HostProcesses(), scratch), workspaces, blobs)
        web = [
            tool
            for shop in self.shops[:1]
            for access in shop.app.accesses
            for tool in HttpTools(
                access,
                self._egress,
                credentials=Credentials({}, redactor),
                redactor=redactor,
                blobs=blobs,
            ).tools()
        ]
        offered = (*FileTools(workspaces).tools(), *git.tools(), *web, *own)
        self.tools = Tools(offered, blobs=blobs, redactor=redactor)
        self.trees = WorkspaceTrees(workspaces)
        self.books = {}
        for shop in self.shops:
            book = builtin_rules()
            for rule in shop.app.rules:
                book = book.with_rule(rule)
            self.books[shop.app.name] = book
        self.platform = self.make_platform(Sharing(operators="acme"))
        self.platform.observers.append(self._observe)
        self.port = JsonPort(self.platform)
        await self.store.queue.end_sessions()
        await self.platform.start()
        while await self.platform.recovering.reap():
            pass

    def open_ledger(self) -> SqliteStore | PostgresStore:
        """Open the store; a system on another one overrides this and all that speaks SQL."""
        keys = DeploymentKeys.made(self.folder / "keys")
        return open_store(self.folder / "data", clock=self.clock, blob_key=keys.blob_key)

    @contextlib.asynccontextmanager
    async def inspected(self) -> AsyncIterator[Inspector]:
        """Look at the ledger beside the store."""
        with open_inspector(self.folder / "data", self.clock) as inspector:
            yield inspector

    def edit(self, sql: str) -> int:
        """Edit the ledger behind the platform's back, as whoever holds the database can; answers the rows changed."""
        with contextlib.closing(apsw.Connection(str(self.folder / "data" / "ledger.db"))) as connection:
            connection.set_busy_timeout(5000)
            connection.execute(sql)
            return connection.changes()

    def payload_of(self, stream: str, seq: int) -> str:
        """Say in SQL which row holds an event's payload."""
        event = f"s.name = '{stream}' AND e.seq = {seq}"
        return f"pos = (SELECT e.pos FROM events e JOIN streams s ON s.id = e.stream WHERE {event})"

    def literal(self, body: bytes) -> str:
        """Say bytes in SQL."""
        return f"x'{body.hex()}'"

    def make_platform(self, sharing: Sharing, ledger: Ledger | None = None) -> Platform:
        """Put a platform together over the open store; more than one is what a cluster has."""
        keys = DeploymentKeys.made(self.folder / "keys")
        apps = [shop.app for shop in self.shops]
        price = PriceRow("scripted:*", Instant(0), input=1_000_000, output=2_000_000)
        store = self.store
        units = ledger if ledger is not None else store.ledger
        return Platform(
            stores=Stores(units, store.queue, store.views, store.feed, store.audit, store.blobs),
            world=self.world,
            catalogue=Catalogue(self.tools.contracts(), apps, self.books),
            bundle=self.bundle,
            tools=self.tools,
            prices=PriceTable((price,), Price(10_000_000, 10_000_000, 10_000_000)),
            signer=keys.signer("test"),
            pepper=keys.pepper,
            sharing=sharing,
            limits=self.limits,
        )

    def _observe(self, _before: Run | None, _after: Run, _events: tuple[Event, ...]) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def rest(self) -> None:
        """Let every worker stop where it is: from now on nothing is written that the test does not write."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        self._working.clear()

    async def close(self) -> None:
        await self.rest()
        try:
            found = [] if self.tampered else await self.violations()
            assert not found, found
            for replayed in [] if self.tampered else await self.replays():
                assert not replayed.differences, replayed.differences
        finally:
            self.store.close()

    async def transcripts(self) -> list[Transcript]:
        """All runs, as they are taken away."""
        async with self.inspected() as inspector:
            heads = await inspector.heads(("", ""), 1000)
        return [
            await self.platform.transcribing.transcript(
                person("auditor", Role.ADMIN, head.tenant), head.id, "this one"
            )
            for head in heads
        ]

    async def replays(self) -> list[Replayed]:
        """Every run, with each of its decisions taken again."""
        made = {self.bundle.version: self.bundle}
        return [
            replay(transcript, lambda files: made.get(version_of(files)) or Bundle(files))
            for transcript in await self.transcripts()
        ]

    async def violations(self) -> list[Violation]:
        """Ask of the ledger what must hold at every instant; no keeper is at work in a test, so a lease may be old."""
        async with self.inspected() as inspector:
            found = await Inspecting(inspector, self.store.blobs).violations()
        return [each for each in found if each.invariant != "leases_are_live"]

    async def crash(self) -> None:
        """Lose everything that is not on disk, and start again."""
        await self.close()
        await self.open()

    @property
    def capabilities(self) -> tuple[str, ...]:
        agents = [ref for shop in self.shops for ref in shop.app.agents]
        tools = [contract.ref for contract in self.tools.contracts()]
        return keys_of([*agents, *tools, "system.context@1.0.0"])

    @property
    def executor(self) -> Executor:
        return Executor(tools=self.tools, models=self.models)

    def worker(self, name: str = "worker", slots: int = 8) -> Worker:
        """Make a worker that is a stranger to the platform's objects."""
        agents = {
            (shop.app.name, ref): agent for shop in self.shops for ref, agent in shop.app.agents.items()
        }
        runner = Runner(
            port=self.port,
            executor=self.executor,
            checker=Checker(books=self.books, trees=self.trees),
            agents=agents,
            world=self.world,
        )
        return Worker(port=self.port, runner=runner, name=name, capabilities=self.capabilities, slots=slots)

    def work(self, name: str = "worker", slots: int = 8) -> asyncio.Task[None]:
        """Let a worker work until the system closes."""
        worker = self.worker(name, slots)
        self.workers.append(worker)
        task = asyncio.ensure_future(worker.run())
        self._working.append(task)
        return task

    async def heeded(self) -> None:
        """Wait until every task in a worker's hands was told to stop, and whoever waits for that has acted."""
        async with asyncio.timeout(PATIENCE):
            while not all(
                hand.leash.stop.requested for each in self.workers for hand in each._hands.values()
            ):
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)

    async def hand(self, name: str = "hand") -> "Hand":
        session = await self.port.hello(Hello(name, self.capabilities))
        return Hand(self, session.id)

    async def submit(
        self, workflow: str = "job", *, who: Principal = ALICE, key: str = "", app: str = "", **fields: Any
    ) -> str:
        intent = IntentRequest(app=app or self.shops[0].app.name, workflow=workflow, **fields)
        return (await self.platform.submitting.submit(who, intent, key=key)).id

    async def run(self, id: str, tenant: str = "acme") -> Run:
        return (await self.platform.runs.entry(tenant, id)).run

    async def until(self, id: str, holds: Callable[[Run], bool], tenant: str = "acme") -> Run:
        """Wait until a run's state is as asked."""
        async with asyncio.timeout(PATIENCE):
            while True:
                changed = self._changed
                run = await self.run(id, tenant)
                if holds(run):
                    return run
                await changed.wait()

    async def ended(self, id: str, tenant: str = "acme") -> Run:
        return await self.until(id, lambda run: run.closed is not None, tenant)

    async def status(self, id: str, status: Status) -> Run:
        return await self.until(id, lambda run: run.status is status)

    async def calls(self, id: str) -> dict[str, Call]:
        """The journal as the ledger alone tells it, by the tool's short name."""
        run = await self.refolded(id)
        return {call.capability.partition("@")[0].removeprefix("shop."): call for call in run.calls.values()}

    async def refolded(self, id: str) -> Run:
        """Fold the run anew from its committed events, and hold the memory to it."""
        self.platform.runs.memory.forget(id)
        return await self.run(id)

    async def events(self, id: str) -> list[dict[str, Any]]:
        return await self.platform.reading.events(ALICE, id, limit=500)

    async def approval(self, id: str) -> Approval:
        """The one request that waits in a run."""
        found = await self.platform.approving.list(BOB, run=id)
        assert len(found) == 1, found
        return found[0]

    async def spent(self, id: str) -> int:
        """What a run has spent; its cost ledger must say the same."""
        run = await self.refolded(id)
        lines = await self.store.views.postings("acme", id)
        assert sum(line.cost_micro_usd for line in lines) == run.allotment.spent
        return run.allotment.spent


class Hand:
    """A worker driven by hand, one call of the port at a time."""

    def __init__(self, system: System, session: str) -> None:
        self.system = system
        self.port = system.port
        self.session = session
        self.assignment: Assignment

    async def claim(self) -> Assignment | None:
        found = await self.port.claim(self.session, 1, 0.0)
        if not found:
            return None
        self.assignment = found[0]
        return found[0]

    def proposal(self, tool: str, text: str = "x", *, n: int = 1, **changes: Any) -> Proposal:
        at = self.assignment
        fields: dict[str, Any] = {
            "tenant": at.tenant,
            "run": at.run,
            "step": at.step,
            "epoch": at.epoch,
            "capability": f"shop.{tool}" if ":" not in tool else tool,
            "arguments": {"text": text},
            "n": n,
        }
        return Proposal(**(fields | changes))

    async def act(self, tool: str, text: str = "x", **changes: Any) -> Dispatch | Recorded | Parked:
        return await self.port.act(self.session, self.proposal(tool, text, **changes))

    async def dispatched(self, tool: str, text: str = "x", **changes: Any) -> Dispatch:
        answer = await self.act(tool, text, **changes)
        assert isinstance(answer, Dispatch), answer
        return answer

    async def execute(self, dispatch: Dispatch) -> Outcome:
        return await self.system.executor.execute(dispatch, None, lambda _: None, Stop())

    async def settle(self, dispatch: Dispatch, state: str = "done", **fields: Any) -> Recorded:
        given = {"outcome": {"said": "x"}} if state == "done" else {}
        outcome = Outcome(
            dispatch.key,
            dispatch.tenant,
            dispatch.run,
            dispatch.step,
            dispatch.epoch,
            state,
            **(given | fields),
        )
        return await self.port.settle(self.session, outcome)

    async def call(self, tool: str, text: str = "x", **changes: Any) -> Recorded:
        """Act, execute and settle; what is on record is answered from there."""
        answer = await self.act(tool, text, **changes)
        if isinstance(answer, Recorded):
            return answer
        assert isinstance(answer, Dispatch), answer
        return await self.port.settle(self.session, await self.execute(answer))

    async def finish(self, output: Mapping[str, Any] | None = None, **fields: Any) -> Assignment | None:
        at = self.assignment
        given = dict(output) if output is not None else ({} if not fields else None)
        report = Report(at.task, at.tenant, at.run, at.step, at.epoch, given, **fields)
        following = await self.port.finish(self.session, report)
        if following is not None:
            self.assignment = following
        return following


async def soon(work: Awaitable[T]) -> T:
    """Wait, but not for ever."""
    async with asyncio.timeout(PATIENCE):
        return await work
