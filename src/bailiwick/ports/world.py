"""The three things that no program can compute: the time, chance, and names for new things."""

from typing import Protocol

from bailiwick.base import Instant


class World(Protocol):
    """Clock, randomness and ids, handed in so that a simulation can own them."""

    def now(self) -> Instant:
        """Tell the time."""
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
