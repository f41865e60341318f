"""The clock of a process that opens a store: made before it, learnt from it."""

from typing import Final

from bailiwick.ports import MAX_CLOCK_ERROR_SECONDS, ClockUnsure
from bailiwick.stores import Store, StoreClock, machine_ticks, machine_time

_LOOKS: Final = 10


def new_clock() -> StoreClock:
    """Make a clock that guesses, by the machine's, until it has looked at a store's."""
    return StoreClock(machine_ticks, machine_time() - machine_ticks())


async def look(clock: StoreClock, store: Store) -> None:
    """Look at the store's clock once more."""
    clock.learn(await store.glance(clock.ticks))


async def learn(clock: StoreClock, store: Store) -> None:
    """Look at the store's clock until its time is known as well as it can be.

    Raises:
        ClockUnsure: The way to the store is so slow that nobody can tell what time it is there.
    """
    for _ in range(_LOOKS):
        await look(clock, store)
    if clock.error_seconds() > MAX_CLOCK_ERROR_SECONDS:
        raise ClockUnsure(clock.error_seconds())
