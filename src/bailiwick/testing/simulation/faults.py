"""Faults: one enum of what can go wrong, points where it can, and the odds that a seed draws for itself.

Every point has a number. A point always draws the same amount of chance, whether or not something happens, so
a plan (point number -> fault) taken from a seed replays it, and a plan with a fault less is the same world without it.
"""

import random
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """What can go wrong."""

    CRASH = "crash"
    CRASH_AFTER = "crash-after"
    PAUSE = "pause"
    COMMIT_LOST = "commit-lost"
    COMMIT_UNKNOWN = "commit-unknown"
    DISK_FULL = "disk-full"
    REQUEST_LOST = "request-lost"
    REPLY_LOST = "reply-lost"
    LATE = "late"
    DUPLICATE = "duplicate"
    CLOCK_JUMP = "clock-jump"
    CLOCK_OFFSET = "clock-offset"
    DRAIN = "drain"


class Point(StrEnum):
    """Where it can go wrong."""

    REQUEST = "request"
    REPLY = "reply"
    READ = "read"
    COMMIT = "commit"
    BLOB = "blob"
    CALL = "call"
    RESULT = "result"
    TICK = "tick"


CAN: Mapping[Point, tuple[Fault, ...]] = {
    Point.REQUEST: (Fault.CRASH, Fault.PAUSE, Fault.REQUEST_LOST, Fault.LATE, Fault.DUPLICATE),
    Point.REPLY: (Fault.CRASH, Fault.PAUSE, Fault.REPLY_LOST, Fault.LATE, Fault.DUPLICATE),
    Point.READ: (Fault.CRASH, Fault.PAUSE),
    Point.COMMIT: (
        Fault.CRASH,
        Fault.CRASH_AFTER,
        Fault.PAUSE,
        Fault.COMMIT_LOST,
        Fault.COMMIT_UNKNOWN,
        Fault.DISK_FULL,
    ),
    Point.BLOB: (Fault.CRASH, Fault.PAUSE, Fault.COMMIT_LOST, Fault.DISK_FULL),
    Point.CALL: (Fault.CRASH, Fault.PAUSE, Fault.REQUEST_LOST, Fault.LATE),
    Point.RESULT: (Fault.CRASH, Fault.PAUSE, Fault.REPLY_LOST),
    Point.TICK: (Fault.CRASH, Fault.PAUSE, Fault.CLOCK_JUMP, Fault.CLOCK_OFFSET, Fault.DRAIN),
}
"""What can go wrong where."""

_SWARM = (0.0, 0.0, 0.001, 0.004, 0.012, 0.03)
"""Of these each seed draws the odds of each fault at a point; two of six are never."""

_RARE: Mapping[Fault, float] = {
    Fault.CRASH: 0.3,
    Fault.CRASH_AFTER: 1.0,
    Fault.PAUSE: 0.2,
    Fault.DISK_FULL: 0.1,
    Fault.CLOCK_JUMP: 2.0,
    Fault.CLOCK_OFFSET: 2.0,
    Fault.DRAIN: 2.0,
}
_NEWER = (Fault.CLOCK_OFFSET, Fault.DRAIN)
_AT_WORK: Mapping[Point, float] = {Point.READ: 0.2, Point.CALL: 4.0, Point.RESULT: 4.0, Point.TICK: 2.0}


class Strike(msgspec.Struct, frozen=True):
    """A fault at a point; `chance` in [0, 1) says how long, how late."""

    fault: Fault
    chance: float


class Faults:
    """Decides at each point whether something goes wrong.

    Args:
        seed: Draws the odds and the strikes.
        plan: What goes wrong at which point; None: by the seed's odds.

    Attributes:
        struck: What went wrong, by point number.
        counts: How often, by fault and point.
        kinds: The points that were passed, in order: the first has number 1.
    """

    def __init__(self, seed: int, plan: Mapping[int, Fault] | None = None) -> None:
        self._random = random.Random(f"faults {seed}")  # noqa: S311  # odds, not a secret
        self._plan = plan
        newer = random.Random(f"newer faults {seed}")  # noqa: S311  # the worlds of older faults stay as they were
        self.odds = {
            fault: (newer if fault in _NEWER else self._random).choice(_SWARM) * _RARE.get(fault, 1.0)
            for fault in Fault
        }
        self.active = True
        self.passed = 0
        self.struck: dict[int, Fault] = {}
        self.counts: Counter[str] = Counter()
        self.kinds: list[Point] = []

    @property
    def calm(self) -> bool:
        """Whether nothing delays messages or stops nodes in this seed."""
        if self._plan is not None:
            return not self._plan
        slow = (Fault.LATE, Fault.PAUSE, Fault.REPLY_LOST, Fault.REQUEST_LOST, Fault.DISK_FULL)
        return not any(self.odds[fault] for fault in slow)

    def at(self, point: Point) -> Strike | None:
        """Pass a point."""
        self.passed += 1
        self.kinds.append(point)
        draw, chance = self._random.random(), self._random.random()
        if not self.active:
            return None
        fault = self._planned(point) if self._plan is not None else self._drawn(point, draw)
        if fault is None:
            return None
        self.struck[self.passed] = fault
        self.counts[fault] += 1
        return Strike(fault, chance)

    def _planned(self, point: Point) -> Fault | None:
        assert self._plan is not None, "there is a plan"
        fault = self._plan.get(self.passed)
        return fault if fault in CAN[point] else None

    def _drawn(self, point: Point, draw: float) -> Fault | None:
        weight = _AT_WORK.get(point, 1.0)
        for fault in CAN[point]:
            draw -= self.odds[fault] * weight
            if draw < 0:
                return fault
        return None


def plan_text(plan: Mapping[int, Fault]) -> str:
    """Write a plan as `--plan` takes it."""
    return ",".join(f"{at}:{fault}" for at, fault in sorted(plan.items())) or "none"


def parse_plan(text: str) -> dict[int, Fault]:
    """Read a plan as `plan_text` writes it.

    Raises:
        ValueError: It is none.
    """
    if text == "none":
        return {}
    pairs = (item.split(":") for item in text.split(","))
    return {int(at): Fault(fault) for at, fault in pairs}
