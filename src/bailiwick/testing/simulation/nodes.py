"""The nodes of a simulated world: replicas of the control plane, and workers; each starts again after a crash."""

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from bailiwick.base import Digest, Instant, Refusal, mint_id
from bailiwick.budget import Price, PriceRow, PriceTable
from bailiwick.keeper import Duty, duties_of, keep
from bailiwick.ports import ApiKey, Assignment, Dispatch, ModelReply, Tenant, Unit
from bailiwick.run import SYSTEM_CONTEXT
from bailiwick.service import Catalogue, Platform, Sharing, Signer, Stores, keys_of
from bailiwick.stores import Glance, StoreClock
from bailiwick.testing.simulation.database import EPOCH_MICROSECONDS, Database
from bailiwick.testing.simulation.loop import Life, SimLoop
from bailiwick.testing.simulation.outside import Outside
from bailiwick.testing.simulation.shop import TENANT, app, book, bundle, contracts
from bailiwick.testing.simulation.wire import Network, RemotePort
from bailiwick.worker import Checker, Executor, Runner, Worker

LOOK_SECONDS = 2.0
PERIODS = {
    "lifted": 11.0,
    "policies": 9.0,
    "re-decide": 9.0,
    "compare": 17.0,
    "reap": 3.0,
    "time-out": 5.0,
    "deadlines": 8.0,
    "approvals": 7.0,
    "escalate": 13.0,
    "relay": 6.0,
    "sequence": 13.0,
}
"""How often a node does its duties, in seconds: rarely, and seldom at the same time, so that faults fall between them."""

ELSEWHERE = {
    "clock": "a node's world looks at the store's clock by itself",
    "halts": "a replica beside others has it, far slower than in a deployment",
    "stranded": "every node offers to serve the whole app",
    "keys": "people are known to a node from the beginning",
    "neighbours": "a wire brings each report to the replica that has the session",
    "watchers": "nobody watches a stream",
    "room": "the disk says itself when it has room again",
    "storage": "no tenant has a limit of bytes",
    "scrutiny": "nobody writes to the tables",
    "erase": "nothing is erased",
    "witness": "there is no witness",
}
"""What no node does, and why."""


class NodeWorld:
    """Implements `ports.World`: the node's own clock, which may be wrong, and chance that the seed decides.

    Args:
        loop: The world's time.
        chance: What is drawn.
        there: The store's clock, which the node measures every other second; None: it goes by its own.
    """

    def __init__(self, loop: SimLoop, chance: random.Random, there: Callable[[], int] | None = None) -> None:
        self._loop = loop
        self._random = chance
        self._there = there
        self._looked_at = -LOOK_SECONDS
        self._clock = StoreClock(self._ticks, EPOCH_MICROSECONDS)
        self.offset = 0

    def _ticks(self) -> int:
        return int(self._loop.time() * 1e6) + self.offset

    def now(self) -> Instant:
        """Tell what the node takes for the time."""
        if self._there is None:
            return Instant(EPOCH_MICROSECONDS + self._ticks())
        if self._loop.time() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._loop.time()
            self._clock.learn(Glance(self._ticks(), self._there(), self._ticks()))
        return self._clock.now()

    def error_seconds(self) -> float:
        """Tell by how much that may be wrong."""
        self.now()
        return 0.0 if self._there is None else self._clock.error_seconds()

    def new_id(self, prefix: str) -> str:
        """Make an id."""
        return mint_id(prefix, self.now() // 1_000, self._random.getrandbits(80))

    def salt(self) -> bytes:
        """Draw 16 bytes."""
        return self._random.randbytes(16)

    def spread(self) -> float:
        """Draw a number in [0, 1)."""
        return self._random.random()


class Node(Protocol):
    """What crashes and starts again."""

    life: Life
    world: NodeWorld

    def start(self) -> None:
        """Begin a new life."""
        ...


class NoModels:
    """A deployment without models."""

    def models(self) -> tuple[str, ...]:
        """List none."""
        return ()

    async def stream(self, request: Any, sink: Any, stop: Any) -> ModelReply:
        """Never asked: nothing of the app names a model."""
        raise AssertionError("no model is configured")


class NoTrees:
    """Workspaces of an app that has none."""

    async def files(self, tenant: str, tree: Digest) -> dict[str, bytes]:
        """Read an empty tree."""
        return {}


@functools.cache
def signer() -> Signer:
    """Give the signing key, the same in every world."""
    key = Ed25519PrivateKey.from_private_bytes(b"bailiwick simulated signing key.")
    return Signer("sim", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), key.sign)


class Control:
    """A replica of the control plane: the platform, its keeper, and the door that workers and people come to.

    Args:
        alone: It is the only one and owns the database: at its start it ends all sessions.
    """

    def __init__(
        self,
        *,
        name: str,
        loop: SimLoop,
        database: Database,
        outside: Outside,
        chance: random.Random,
        alone: bool,
        broke: Callable[[str, BaseException], None],
        dispatched: Callable[[Dispatch], None],
    ) -> None:
        self._name = name
        self._loop = loop
        self._database = database
        self._outside = outside
        self._alone = alone
        self._broke = broke
        self._dispatched = dispatched
        self.world = NodeWorld(loop, chance, database.now)
        self.platform: Platform | None = None
        self.answers: dict[tuple[int, int], asyncio.Future[tuple[bool, Any]]] = {}
        self.starts = 0
        self.refusals: Counter[str] = Counter()
        self.start()

    def broke(self, what: str, error: BaseException) -> None:
        """Take note of a bug."""
        self._broke(f"{self._name} {what}", error)

    def handed(self, answer: Any) -> None:
        """Take note of the dispatches in what a worker is about to be told."""
        for each in answer if isinstance(answer, tuple) else (answer,):
            found = each.dispatch if isinstance(each, Assignment) else each
            if isinstance(found, Dispatch):
                self._dispatched(found)

    def start(self) -> None:
        """Begin a life: nothing of the one before is in memory."""
        self.life = self._loop.life(self._name)
        self.platform = None
        self.answers = {}
        self.starts += 1
        self._loop.call_soon(self._begin, context=self.life.context)

    def _begin(self) -> None:
        self._loop.create_task(self._main())

    async def _main(self) -> None:
        platform: Platform | None = None
        while platform is None:
            try:
                platform = await self._open()
            except Refusal:
                await asyncio.sleep(1)  # whoever supervises the process starts it again
        self.platform = platform
        await keep(self._duties(platform))

    async def _open(self) -> Platform:
        faces = self._database.faces()
        price = PriceRow("none:*", Instant(0), input=1, output=1)
        tools = self._outside.host(self._database.blobs)
        platform = Platform(
            stores=Stores(**faces),
            world=self.world,
            catalogue=Catalogue(tools.contracts(), [app()], {"sim": book()}),
            bundle=bundle(),
            tools=tools,
            prices=PriceTable((price,), Price(1, 1, 1)),
            signer=signer(),
            pepper=b"pepper of a simulated deployment",
            sharing=Sharing(operators=TENANT, shared=not self._alone, ticks=self._loop.time),
        )
        if not await faces["views"].keys(""):
            key = ApiKey("key_sim", TENANT, "idn_sim", "00", Instant(0))
            owner = Tenant(TENANT, Instant(0))
            await faces["ledger"].commit(Unit(tenant=TENANT, tenants=(owner,), keys=(key,)))
        if self._alone:
            await faces["queue"].end_sessions()
        await platform.start()
        if self._alone:
            while await platform.recovering.reap():
                pass
        return platform

    def _duties(self, platform: Platform) -> tuple[Duty, ...]:
        # Far slower than in a deployment: that a halt is obeyed in time must not rest on this duty.
        halts = {} if self._alone else {"halts": 4.0}
        duties = duties_of(platform, {}, {**halts, **PERIODS})
        return tuple(replace(duty, act=self._told(duty.name, duty.act)) for duty in duties)

    def _told(self, name: str, act: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
        """Let a duty fail loudly: the keeper outlives bugs, but the simulation is there to find them."""

        async def told() -> int:
            try:
                return await act()
            except Refusal:
                raise
            except Exception as error:
                self.broke(name, error)
                raise

        return told


class WorkerNode:
    """A worker in a process of its own, behind the wire; it asks the replica `home` first."""

    def __init__(
        self,
        *,
        number: int,
        home: int,
        loop: SimLoop,
        network: Network,
        servers: list[Control],
        outside: Outside,
        database: Database,
        chance: random.Random,
    ) -> None:
        self._number = number
        self._home = home
        self._loop = loop
        self._network = network
        self._servers = servers
        self._tools = outside.host(database.blobs)
        self._slots = chance.choice((1, 2, 4))
        self.world = NodeWorld(loop, chance)
        self.starts = 0
        self.worker: Worker
        self.port: RemotePort
        self.start()

    def start(self) -> None:
        """Begin a life."""
        self.life = self._loop.life(f"worker-{self._number}")
        self.starts += 1
        caller = self._number * 10_000 + self.starts
        self.port = RemotePort(
            loop=self._loop,
            network=self._network,
            servers=list(self._servers),
            caller=caller,
            home=self._home,
        )
        self.port.live(self.life)
        agents = {("sim", ref): agent for ref, agent in app().agents.items()}
        runner = Runner(
            port=self.port,
            executor=Executor(tools=self._tools, models=NoModels()),
            checker=Checker(books={"sim": book()}, trees=NoTrees()),
            agents=agents,
            world=self.world,
        )
        offered = [ref for _, ref in agents] + [contract.ref for contract in contracts()]
        self.worker = Worker(
            port=self.port,
            runner=runner,
            name=f"worker-{self._number}",
            capabilities=keys_of([*offered, SYSTEM_CONTEXT]),
            slots=self._slots,
        )
        self._loop.call_soon(self._begin, context=self.life.context)

    def _begin(self) -> None:
        self._loop.create_task(self.worker.run())

    def drain(self, seconds: float, ended: Callable[[], object]) -> None:
        """Tell this life to end, as a supervisor does: it has so long for the calls on its way, then it is over."""
        self._loop.call_soon(self._begin_to_end, seconds, ended, context=self.life.context)

    def _begin_to_end(self, seconds: float, ended: Callable[[], object]) -> None:
        self._loop.create_task(self._drained(seconds, ended))

    async def _drained(self, seconds: float, ended: Callable[[], object]) -> None:
        await self.worker.drain(seconds)
        ended()
