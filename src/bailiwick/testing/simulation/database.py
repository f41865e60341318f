"""The database of a simulated world: real SQLite in memory, where commits get lost, or happen and nobody hears of it."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, TypeVar

from bailiwick.base import Digest, Refusal, digest_of
from bailiwick.ports import Blobs
from bailiwick.stores import SteppedDatabase, SteppedStore, StoreBroken, StoreBusy, StoreFull
from bailiwick.testing.simulation.faults import Fault, Faults, Point, Strike
from bailiwick.testing.simulation.loop import LIFE, Life, SimLoop

T = TypeVar("T")
EPOCH_MICROSECONDS = 1_800_000_000_000_000
_FACES = ("ledger", "queue", "views", "feed", "audit")


class MemoryBlobs:
    """Implements `ports.Blobs`; what was put stays, whoever crashes."""

    def __init__(self, loop: SimLoop, at: Callable[[Point], Awaitable[Strike | None]]) -> None:
        self._loop = loop
        self._at = at
        self._full_until = 0.0
        self.bodies: dict[tuple[str, str], bytes] = {}

    async def put(self, tenant: str, body: bytes) -> Digest:
        """Store a blob, unless the disk is full."""
        strike = await self._at(Point.BLOB)
        if strike is not None and strike.fault is Fault.DISK_FULL:
            self._full_until = self._loop.time() + 1 + strike.chance * 20
        if strike is not None or self.trouble:
            raise StoreFull("simulated")
        digest = digest_of(body)
        self.bodies[tenant, digest] = body
        return digest

    @property
    def trouble(self) -> str:
        """Whether the disk is full."""
        return "simulated" if self._loop.time() < self._full_until else ""

    async def probe(self) -> str:
        """Look whether it is full."""
        return self.trouble

    async def get(self, tenant: str, digest: Digest) -> bytes | None:
        """Read a blob."""
        return self.bodies.get((tenant, digest))

    async def remove(self, tenant: str, digest: Digest) -> None:
        """Remove a blob; one that is not there is removed already."""
        self.bodies.pop((tenant, digest), None)

    def stored(self, tenant: str) -> int | None:
        """Tell how many bytes of a tenant are stored."""
        return sum(len(body) for (owner, _), body in self.bodies.items() if owner == tenant)

    async def count(self, tenant: str) -> int:
        """Count them."""
        return self.stored(tenant) or 0

    async def has(self, tenant: str, digest: Digest) -> bool:
        """Say whether it is stored."""
        return (tenant, digest) in self.bodies


class Database:
    """The one database, stepped whenever something waits. Implements `stores.Scheduler`.

    Args:
        remote: Reads go over a wire as well, so what was read may be old when it is used.
    """

    def __init__(
        self,
        *,
        loop: SimLoop,
        faults: Faults,
        at: Callable[[Point], Awaitable[Strike | None]],
        strike: Callable[[Life, float, Fault], bool],
        seed: int,
        remote: bool,
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._at = at
        self._strike = strike
        self._random = random.Random(f"database {seed}")  # noqa: S311  # latencies, not secrets
        self._remote = remote
        self._waiting: list[tuple[Any, asyncio.Future[Any], Life, Strike | None]] = []
        self._full_until = 0.0
        self.offset = 0
        self.blobs = MemoryBlobs(loop, at)
        self.stepped = SteppedDatabase(self.now)
        self.commits = 0
        self.refusals: Counter[str] = Counter()

    def now(self) -> int:
        """Tell the database's time, microseconds since 1970."""
        return EPOCH_MICROSECONDS + int(self._loop.time() * 1e6) + self.offset

    def faces(self) -> dict[str, Any]:
        """Give a process its view of the store."""
        store = SteppedStore(self.stepped, self, self.blobs)
        faces: dict[str, Any] = {name: getattr(store, name) for name in _FACES}
        if self._remote:
            faces = {name: _Far(face, self._travel) for name, face in faces.items()}
        blobs: Blobs = self.blobs
        return {**faces, "blobs": blobs}

    def submit(self, entry: Any) -> asyncio.Future[Any]:
        """Take an entry on its way to the database."""
        future: asyncio.Future[Any] = self._loop.create_future()
        life = LIFE.get()
        assert life is not None, "whoever writes is a node"
        strike = self._faults.at(Point.COMMIT)
        if strike is not None:
            if self._strike(life, strike.chance, strike.fault):
                return future
            if strike.fault is Fault.DISK_FULL:
                self._full_until = self._loop.time() + 1 + strike.chance * 12
        slow = 1.5 if self._random.random() < 0.01 else 0.004
        delay = self._random.random() * slow
        self._loop.call_later(delay, self._arrive, entry, future, life, strike, context=Context())
        return future

    async def scan(self, query: Callable[[], T]) -> T:
        """Answer a query."""
        await self._at(Point.READ)
        return query()

    async def _travel(self) -> None:
        await self._at(Point.READ)
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.random() * 0.008)

    def _arrive(self, entry: Any, future: asyncio.Future[Any], life: Life, strike: Strike | None) -> None:
        if not self._waiting:
            self._loop.call_soon(self._step, context=Context())
        self._waiting.append((entry, future, life, strike))

    def _step(self) -> None:
        batch, self._waiting = self._waiting, []
        taken = []
        for entry, future, life, strike in batch:
            fault = strike.fault if strike is not None else None
            if self._loop.time() < self._full_until:
                self._answer(future, life, StoreFull("simulated"))
            elif fault is Fault.COMMIT_LOST:
                self._answer(future, life, StoreBusy("simulated: lost on its way"))
            elif not (life.dead and not self._remote):
                taken.append((entry, future, life, strike))
        if not taken:
            return
        outcomes = self.stepped.step([entry for entry, _, _, _ in taken])
        self.commits += 1
        for (_, future, life, strike), outcome in zip(taken, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                guard = (
                    f"{outcome.code}: {outcome.facts['guard']}" if "guard" in outcome.facts else outcome.code
                )
                self.refusals[f"store {guard}"] += 1
            fault = strike.fault if strike is not None else None
            if fault is Fault.CRASH_AFTER and strike is not None:
                self._strike(life, strike.chance, Fault.CRASH)
            elif fault is Fault.COMMIT_UNKNOWN:
                self._answer(future, life, StoreBroken("simulated: the answer to a commit was lost"))
            else:
                self._answer(future, life, outcome)

    def _answer(self, future: asyncio.Future[Any], life: Life, outcome: Any) -> None:
        self._loop.call_later(self._random.random() * 0.002, _settle, future, outcome, context=life.context)


class _Far:
    """A face whose every call travels, there and back."""

    def __init__(self, face: Any, travel: Callable[[], Awaitable[None]]) -> None:
        self._face = face
        self._travel = travel

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._face, name)

        async def call(*args: Any, **fields: Any) -> Any:
            await self._travel()
            answer = await method(*args, **fields)
            await self._travel()
            return answer

        return call


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
