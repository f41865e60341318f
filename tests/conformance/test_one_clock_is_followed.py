"""One clock: the store's. A process measures it, knows by how much it may be wrong, and never goes back."""

import itertools
import math

import pytest
from conformance_shapes import ShiftedClock

from bailiwick.stores import Glance, Store, StoreClock, machine_ticks, machine_time

SECOND = 1_000_000
APART = 150 * SECOND


class Ticks:
    """Ticks that a test lets pass."""

    def __init__(self, at: int = 0) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def look(clock: StoreClock, there: int, took: int = 0) -> None:
    """Look at a clock that shows something now; the answer takes a while and half of it is the error."""
    now = clock.ticks()
    clock.learn(Glance(now - took, there - took // 2, now))


async def test_two_processes_whose_machines_disagree_tell_one_time(
    store: Store, clock: ShiftedClock, place: str
) -> None:
    if place:
        clock.advance(150)  # the database's clock, seen from both
    told = []
    for own in (0, APART, -APART):
        mine = StoreClock(lambda own=own: machine_ticks() + own)  # type: ignore[misc]
        mine.learn(await store.glance(mine.ticks))
        assert mine.error_seconds() < 0.5
        told.append(mine.now() - machine_time())
    assert max(told) - min(told) < 2 * SECOND
    assert abs(told[0] - (APART if place else 0)) < 2 * SECOND


def test_before_the_first_look_nobody_knows_the_error() -> None:
    clock = StoreClock(Ticks(), first=5 * SECOND)
    assert (clock.now(), clock.error_seconds()) == (5 * SECOND, math.inf)


def test_a_guess_that_was_ahead_does_not_outlive_the_first_look() -> None:
    clock = StoreClock(Ticks(SECOND), first=APART)
    assert clock.now() == SECOND + APART
    look(clock, 7 * SECOND)
    assert clock.now() == 7 * SECOND


def test_the_error_is_half_the_look_and_grows_with_what_the_ticks_may_drift() -> None:
    clock = StoreClock(ticks := Ticks(1000 * SECOND))
    look(clock, 7000 * SECOND, took=20_000)
    assert clock.now() == 7000 * SECOND
    assert clock.error_seconds() == pytest.approx(0.010)
    ticks.at += 1000 * SECOND
    assert clock.error_seconds() == pytest.approx(0.110)


def test_a_slow_look_does_not_replace_a_better_one() -> None:
    clock = StoreClock(ticks := Ticks(SECOND))
    look(clock, 500 * SECOND, took=1000)
    ticks.at += SECOND
    look(clock, 501 * SECOND + 400_000, took=SECOND)  # half a second of error: nothing that it says is news
    assert clock.now() == 501 * SECOND
    assert clock.error_seconds() < 0.001


def test_a_store_whose_clock_was_put_forward_is_followed_at_once() -> None:
    clock = StoreClock(ticks := Ticks(SECOND))
    look(clock, 500 * SECOND, took=1000)
    ticks.at += SECOND
    look(clock, 501 * SECOND + APART, took=SECOND // 2)
    assert abs(clock.now() - (501 * SECOND + APART)) <= 1


def test_a_store_whose_clock_was_put_back_is_neared_at_half_speed_and_never_told_back() -> None:
    clock = StoreClock(ticks := Ticks(SECOND))
    look(clock, 500 * SECOND, took=1000)
    ticks.at += SECOND
    look(clock, 491 * SECOND)  # ten seconds back
    told = [clock.now()]
    for _ in range(40):
        ticks.at += SECOND
        told.append(clock.now())
    steps = {after - before for before, after in itertools.pairwise(told)}
    assert steps == {SECOND // 2, SECOND}
    assert told[0] == 501 * SECOND
    assert told[-1] == 531 * SECOND  # what the store shows by now: it is right again


def test_a_machine_whose_ticks_go_back_makes_no_time_go_back() -> None:
    clock = StoreClock(ticks := Ticks(100 * SECOND))
    look(clock, 500 * SECOND)
    before = clock.now()
    ticks.at -= 60 * SECOND
    assert clock.now() == before
