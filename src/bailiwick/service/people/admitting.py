"""Admitting: whether one more run is taken on: not beyond the tenant's number, nor while accepted work waits too long."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bailiwick.base import Instant
from bailiwick.ports import Queue, Views, Waiting, World
from bailiwick.run import Run
from bailiwick.service.core.limits import LimitBook, Overloaded, RunsLimit
from bailiwick.service.core.turns import NORMAL

LOOK_SECONDS = 1.0
COUNT_SECONDS = 2.0
_MICROSECONDS = 1_000_000

_Who = tuple[str, str]
"""Whose runs are counted: a tenant's, or those that one identity of it asked for."""


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
        self._open: dict[_Who, int] = {}
        self._counted: dict[_Who, float] = {}
        self._coming: Counter[_Who] = Counter()
        self._counting: dict[_Who, asyncio.Lock] = {}
        self._waiting: Sequence[Waiting] = ()
        self._looked = float("-inf")

    def start(self) -> None:
        """Begin: from now on somebody is there to work."""
        self._began = self._world.now()

    async def look(self, tenant: str, identity: str) -> None:
        """Renew what is known, if it is old."""
        now = asyncio.get_running_loop().time()
        for who, most in self._bounds(tenant, identity):
            if self._stale(who, now):
                async with self._counting.setdefault(who, asyncio.Lock()):
                    if self._stale(who, now):
                        self._open[who] = await self._views.count_unfinished(tenant, most, who[1])
                        self._counted[who] = now
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._waiting = await self._queue.waiting()

    def _bounds(self, tenant: str, identity: str) -> list[tuple[_Who, int]]:
        """List whose runs are counted when an identity asks for one, with how many they may be."""
        limits = self._limits.of(tenant)
        bounds = (((tenant, ""), limits.runs), ((tenant, identity), limits.identity_runs))
        return [(who, most) for who, most in bounds if most]

    def _stale(self, who: _Who, now: float) -> bool:
        counted = self._counted.get(who)
        return counted is None or (self._shared and now - counted >= COUNT_SECONDS)

    @contextmanager
    def one(self, tenant: str, identity: str, app: str, priority: int) -> Iterator[None]:
        """Hold a place for a run that is being opened, for the length of a `with`.

        Raises:
            RunsLimit: The tenant, or the identity, has as many unfinished runs as it may.
            Overloaded: Work of the app, of this priority or a higher one, has waited for too long.
        """
        bounds = self._bounds(tenant, identity)
        for who, most in bounds:
            if self._open.get(who, 0) + self._coming[who] >= most:
                raise RunsLimit("identity" if who[1] else "tenant", most)
        waited, longest = self.waited(tenant, app, priority), self._limits.of(tenant).queue_seconds
        if longest and waited > longest:
            raise Overloaded(app, waited, longest)
        coming = [who for who, _ in bounds]
        self._coming.update(coming)
        try:
            yield
        finally:
            self._coming.subtract(coming)
            for who in coming:
                if not self._coming[who]:
                    del self._coming[who]

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
        for who in ((after.tenant, ""), (after.tenant, after.requested_by)) if step else ():
            if who in self._open:
                self._open[who] += step
