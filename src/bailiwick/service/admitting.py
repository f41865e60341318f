"""Admitting: whether one more run is taken on: not beyond the tenant's number, nor while accepted work waits too long."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bailiwick.base import Instant
from bailiwick.ports import Queue, Views, Waiting, World
from bailiwick.run import Run
from bailiwick.service.limits import LimitBook, Overloaded, RunsLimit
from bailiwick.service.turns import NORMAL

LOOK_SECONDS = 1.0
COUNT_SECONDS = 2.0
_MICROSECONDS = 1_000_000


class Admitting:
    """Keeps the numbers that a submission is held to, so that a refusal costs no look at the store.

    Args:
        views: Where unfinished runs are counted.
        queue: Where it is seen how long work waits.
        world: The time.
        limits: What each tenant may have.
        shared: Other processes open and close runs too: they are counted anew every now and then.
    """

    def __init__(self, *, views: Views, queue: Queue, world: World, limits: LimitBook, shared: bool) -> None:
        self._views = views
        self._queue = queue
        self._world = world
        self._limits = limits
        self._shared = shared
        self._began = Instant(0)
        self._open: dict[str, int] = {}
        self._counted: dict[str, float] = {}
        self._coming: Counter[str] = Counter()
        self._counting: dict[str, asyncio.Lock] = {}
        self._waiting: Sequence[Waiting] = ()
        self._looked = float("-inf")

    def start(self) -> None:
        """Begin: from now on somebody is there to work."""
        self._began = self._world.now()

    async def look(self, tenant: str) -> None:
        """Renew what is known, if it is old."""
        now = asyncio.get_running_loop().time()
        if self._limits.of(tenant).runs and self._stale(tenant, now):
            async with self._counting.setdefault(tenant, asyncio.Lock()):
                if self._stale(tenant, now):
                    most = self._limits.of(tenant).runs
                    self._open[tenant] = await self._views.count_unfinished(tenant, most)
                    self._counted[tenant] = now
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._waiting = await self._queue.waiting()

    def _stale(self, tenant: str, now: float) -> bool:
        counted = self._counted.get(tenant)
        return counted is None or (self._shared and now - counted >= COUNT_SECONDS)

    @contextmanager
    def one(self, tenant: str, app: str, priority: int) -> Iterator[None]:
        """Hold a place for a run that is being opened, for the length of a `with`.

        Raises:
            RunsLimit: The tenant has as many unfinished runs as it may.
            Overloaded: Work of the app, of this priority or a higher one, has waited for too long.
        """
        limits = self._limits.of(tenant)
        if limits.runs and self._open.get(tenant, 0) + self._coming[tenant] >= limits.runs:
            raise RunsLimit(limits.runs)
        waited = self.waited(tenant, app, priority)
        if limits.queue_seconds and waited > limits.queue_seconds:
            raise Overloaded(app, waited, limits.queue_seconds)
        self._coming[tenant] += 1
        try:
            yield
        finally:
            self._coming[tenant] -= 1
            if not self._coming[tenant]:
                del self._coming[tenant]

    def waited(self, tenant: str, app: str, priority: int) -> float:
        """Tell for how many seconds the oldest work of an app has waited, of this priority or a higher one.

        The time before this process began is not counted: then nobody was there to work.
        """
        since = [
            each.since
            for each in self._waiting
            if each.tenant == tenant and each.app == app and each.priority >= NORMAL + priority
        ]
        return (self._world.now() - max(min(since), self._began)) / _MICROSECONDS if since else 0.0

    def observe(self, before: Run | None, after: Run) -> None:
        """See a committed change: a run that opened, ended, or was opened again."""
        was = before is not None and before.closed is None
        step = (after.closed is None) - was
        if step and after.tenant in self._open:
            self._open[after.tenant] += step
