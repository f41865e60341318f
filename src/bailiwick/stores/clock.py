"""The store's clock as this process knows it: measured again and again, never turned back, with its error."""

import math
import time
from collections.abc import Callable
from typing import Final

import msgspec

from bailiwick.base import Instant

Ticks = Callable[[], int]
"""A clock of this process that nobody sets: microseconds since whenever, the time of a sleeping machine included."""

_DRIFT: Final = 10_000
"""Of so many microseconds, one is what a machine's ticks may be wrong by: 100 parts in a million."""


class Glance(msgspec.Struct, frozen=True):
    """A look at the store's clock: what it showed, and this process's ticks before and after the look."""

    before: int
    there: int
    after: int

    @property
    def offset(self) -> int:
        """What to add to the ticks, as if the clock had been read in the middle of the look."""
        return self.there - (self.before + self.after) // 2

    @property
    def error(self) -> int:
        """By how much that may be wrong, in microseconds: half the look."""
        return (self.after - self.before + 1) // 2


class StoreClock:
    """Tells the store's time between two looks at it.

    Of the looks the best counts: the one that was quickest, with what the ticks may have drifted since. One that it
    cannot be reconciled with means that somebody set the store's clock, or that this machine stood still: then the
    newest counts. What is told never goes back: where it was ahead it runs at half speed until it is right.

    Args:
        ticks: See `Ticks`.
        first: What to add to the ticks before the first look, whose error nobody knows.
    """

    def __init__(self, ticks: Ticks, first: int = 0) -> None:
        self.ticks = ticks
        self._best: Glance | None = None
        # In one piece, for SQLite asks from a thread of its own: target, what was added before, and since when.
        self._course = (first, first, 0)
        self._told = 0

    def now(self) -> Instant:
        """Tell the store's time; never an earlier one than before."""
        ticks = self.ticks()
        told = ticks + _added(self._course, ticks)
        if told < self._told:
            return Instant(self._told)
        self._told = told
        return Instant(told)

    def error_seconds(self) -> float:
        """Tell by how much the measured time may be wrong, in seconds; infinity before the first look."""
        return math.inf if self._best is None else self._error(self._best, self.ticks()) / 1_000_000

    def learn(self, glance: Glance) -> None:
        """Take in a look."""
        best, self._best = self._best, glance
        if best is None:
            # What was told before was a guess, and nothing rests on it.
            self._course, self._told = (glance.offset, glance.offset, 0), 0
            return
        error = self._error(best, glance.after)
        agree = abs(glance.offset - best.offset) <= glance.error + error
        if agree and error < glance.error:
            self._best = best
            return
        self._course = (glance.offset, _added(self._course, glance.after), glance.after)

    @staticmethod
    def _error(glance: Glance, ticks: int) -> int:
        return glance.error + max(ticks - glance.after, 0) // _DRIFT


def _added(course: tuple[int, int, int], ticks: int) -> int:
    target, before, since = course
    return max(target, before - max(ticks - since, 0) // 2)


def machine_ticks() -> int:
    """Read the ticks of this machine."""
    return time.clock_gettime_ns(_TICKING) // 1_000


def machine_time() -> int:
    """Read what this machine takes for the time: microseconds since 1970, and anybody may set it."""
    return time.time_ns() // 1_000


_TICKING: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
