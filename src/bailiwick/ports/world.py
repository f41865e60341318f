"""The three things that no program can compute: the time, chance, and names for new things."""

from typing import Final, Protocol

from bailiwick.base import Category, Instant, Refusal

MAX_CLOCK_ERROR_SECONDS: Final = 0.5
"""By how much a process may be wrong about the store's time and still decide by it."""


class World(Protocol):
    """Clock, randomness and ids, handed in so that a simulation can own them."""

    def now(self) -> Instant:
        """Tell the time of the store that is worked on, the same for all of its processes; it never goes back."""
        ...

    def error_seconds(self) -> float:
        """Tell by how much the time may be wrong at most, in seconds; infinity when nobody knows."""
        ...

    def new_id(self, prefix: str) -> str:
        """Make an id that no other has, sortable by time."""
        ...

    def salt(self) -> bytes:
        """Draw 16 random bytes."""
        ...

    def spread(self) -> float:
        """Draw a number in [0, 1), to spread retries."""
        ...


class ClockUnsure(Refusal, code="clock_unsure", category=Category.UNAVAILABLE):
    """This process cannot tell what time it is in the store, so it decides nothing that rests on it."""

    def __init__(self, error_seconds: float) -> None:
        told = f"{error_seconds:.1f} s" if error_seconds < 1e6 else "any amount"  # JSON has no infinity
        super().__init__(
            f"this process may be wrong about the database's time by {told}; {MAX_CLOCK_ERROR_SECONDS} s are allowed",
            remedy="its way to the database is too slow (half a round trip counts); ask another process, or try again",
            error=told,
            allowed_seconds=MAX_CLOCK_ERROR_SECONDS,
        )
