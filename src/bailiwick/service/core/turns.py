"""Turns: whose step is taken next, where more is due than can be worked on; no clock, no store, nothing awaited.

Tenants take turns by their weights, in a tenant its apps, in an app its priorities. Who was idle comes in where
the others stand: it has saved up nothing, and owes nothing.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from bailiwick.base import Instant
from bailiwick.ports import Task
from bailiwick.run import Run

NORMAL = 100
"""The priority of a task whose run asks for none."""

AGING = 4
"""Who waits is passed over by the next higher priority so many times, by the one above it AGING squared times."""

MAX_PRIORITY = 3
"""A run may ask for a priority from minus this to this: at most AGING to the sixth power passes over the lowest."""

LOOK_MICROSECONDS = 50_000
_ANY = ""
_MAX_RINGS = 4096
_MAX_NAMES = 1024


class Lane(NamedTuple):
    """Tasks that wait in one line: those of a tenant's app with one priority."""

    tenant: str
    app: str
    priority: int


class Ring:
    """Names that share turns by weight (start-time fair queueing).

    Each turn of a name begins where its last one ended, or where the ring stands if that is later, and is
    1/weight long; the one whose turn begins first is next.
    """

    def __init__(self) -> None:
        self._stands = 0.0
        self._ends: dict[str, float] = {}
        self._most = _MAX_NAMES

    def begins(self, name: str) -> float:
        """Tell where the next turn of a name begins."""
        return max(self._ends.get(name, 0.0), self._stands)

    def serve(self, name: str, weight: float) -> None:
        """Give a name its turn."""
        begins = self._stands = self.begins(name)
        self._ends[name] = begins + 1 / weight
        if len(self._ends) > self._most:
            self._ends = {each: end for each, end in self._ends.items() if end > begins}
            self._most = max(_MAX_NAMES, 2 * len(self._ends))


class Ranks:
    """The priorities of one app: the highest that waits goes first, unless a lower one was passed over too often."""

    def __init__(self) -> None:
        self._passed: dict[int, int] = {}

    def first(self, waiting: Collection[int]) -> int:
        """Tell which of those that wait is next; who has not waited on has aged for nothing."""
        self._passed = {rank: self._passed.get(rank, 0) for rank in waiting}
        top = max(waiting)
        return min((rank for rank in waiting if self._old(rank, top)), default=top)

    def before(self, one: int, other: int) -> bool:
        """Whether one that waits goes before another."""
        return one > other or self._old(one, other)

    def serve(self, rank: int) -> None:
        """Give a priority its turn."""
        for each in self._passed:
            self._passed[each] = self._passed[each] + 1 if each != rank else 0

    def _old(self, rank: int, top: int) -> bool:
        return rank < top and self._passed.get(rank, 0) >= AGING ** (top - rank)


class Turns:
    """Decides whose turn it is in one process; where several share a queue each is fair, and so are all.

    Args:
        weight_of: Tells a tenant's weight, above 0.
    """

    def __init__(self, weight_of: Callable[[str], float] = lambda _: 1.0) -> None:
        self._weight_of = weight_of
        self._tenants = Ring()
        self._apps: dict[str, Ring] = {}
        self._priorities: dict[tuple[str, str], Ranks] = {}
        self._waiting: dict[tuple[str, Lane], None] = {}
        self._looked = Instant(0)
        self._heard = False

    def draw(
        self,
        due: Sequence[Task],
        room: int,
        keys: Collection[str],
        now: Instant,
        room_of: Callable[[str], int] = lambda _: sys.maxsize,
    ) -> tuple[Task, ...]:
        """Choose from what the queue offers to whoever serves `keys`, and count it as served; the rest waits.

        `room_of` tells how many of a tenant's steps may be taken; who has no room is nobody to give way to.
        """
        lines = _lines(due)
        rooms = {tenant: room_of(tenant) for tenant in lines}
        self._looked, self._heard = now, False
        drawn = tuple(self._drawn(lines, room, rooms))
        kept = {waits: None for waits in self._waiting if waits[0] not in keys and waits[0] != _ANY}
        taken = {task.id for task in drawn}
        left = {
            (task.capability, lane_of_task(task)): None
            for task in due
            if task.id not in taken and rooms[task.tenant] > 0
        }
        self._waiting = {**kept, **left}
        return drawn

    def _drawn(
        self, lines: Mapping[str, dict[str, dict[int, list[Task]]]], room: int, rooms: dict[str, int]
    ) -> Iterable[Task]:
        """Draw from lines that lie in reverse, whose heads are their last; `rooms` are taken up."""
        heap = [(self._tenants.begins(tenant), tenant) for tenant in lines if rooms[tenant] > 0]
        heapify(heap)
        while heap and room > 0:
            tenant = heap[0][1]
            apps = lines[tenant]
            within = self._ring_of(tenant)
            app = min(apps, key=lambda each: (within.begins(each), each))
            ranks = apps[app]
            rank = self._ranks_of(tenant, app).first(ranks)
            yield ranks[rank].pop()
            room -= 1
            rooms[tenant] -= 1
            self.serve(Lane(tenant, app, rank))
            if not ranks[rank]:
                del ranks[rank]
            if not ranks:
                del apps[app]
            if apps and rooms[tenant] > 0:
                heapreplace(heap, (self._tenants.begins(tenant), tenant))
            else:
                heappop(heap)

    def serve(self, lane: Lane) -> None:
        """Count a step that was handed out."""
        self._tenants.serve(lane.tenant, self._weight_of(lane.tenant))
        self._ring_of(lane.tenant).serve(lane.app, 1.0)
        self._ranks_of(lane.tenant, lane.app).serve(lane.priority)

    def waits(self, lane: Lane) -> None:
        """Note that a step became ready and nobody has taken it."""
        self._waiting[_ANY, lane] = None

    def heard(self) -> None:
        """Note that another process has put something into the queue: who knows whose it is."""
        self._heard = True

    def yields(self, lane: Lane, keys: Collection[str], now: Instant) -> bool:
        """Whether a step of this lane has to queue up, because another that `keys` serve has its turn before.

        Where nobody knows who waits, it queues up too, but only every now and then: whoever looks at the queue then
        finds out.
        """
        if self._heard and now - self._looked > LOOK_MICROSECONDS:
            return True
        return any(
            other != lane and (capability == _ANY or capability in keys) and self._before(other, lane)
            for capability, other in self._waiting
        )

    def _before(self, one: Lane, other: Lane) -> bool:
        if one.tenant != other.tenant:
            return self._tenants.begins(one.tenant) < self._tenants.begins(other.tenant)
        if one.app != other.app:
            ring = self._ring_of(one.tenant)
            return ring.begins(one.app) < ring.begins(other.app)
        return self._ranks_of(one.tenant, one.app).before(one.priority, other.priority)

    def _ring_of(self, tenant: str) -> Ring:
        if len(self._apps) > _MAX_RINGS:
            self._apps.clear()
        return self._apps.setdefault(tenant, Ring())

    def _ranks_of(self, tenant: str, app: str) -> Ranks:
        if len(self._priorities) > _MAX_RINGS:
            self._priorities.clear()
        return self._priorities.setdefault((tenant, app), Ranks())


def _lines(due: Sequence[Task]) -> dict[str, dict[str, dict[int, list[Task]]]]:
    """Sort tasks into lines, the longest due last."""
    lines: dict[str, dict[str, dict[int, list[Task]]]] = {}
    for task in sorted(due, key=lambda each: (each.due_at, each.id), reverse=True):
        lines.setdefault(task.tenant, {}).setdefault(task.app, {}).setdefault(task.priority, []).append(task)
    return lines


def lane_of(run: Run) -> Lane:
    """Name the lane of a run's tasks."""
    return Lane(run.tenant, run.app, NORMAL + run.priority)


def lane_of_task(task: Task) -> Lane:
    """Name the lane of a queued task."""
    return Lane(task.tenant, task.app, task.priority)
