"""The machine's own clock, randomness and ids."""

import random
import secrets
import time

from bailiwick.base import Instant, mint_id


class SystemWorld:
    """Implements `ports.World` with the operating system."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def now(self) -> Instant:
        """Tell the time."""
        return Instant(time.time_ns() // 1_000)

    def new_id(self, prefix: str) -> str:
        """Make an id that sorts by time."""
        return mint_id(prefix, time.time_ns() // 1_000_000, secrets.randbits(80))

    def salt(self) -> bytes:
        """Draw 16 random bytes."""
        return secrets.token_bytes(16)

    def spread(self) -> float:
        """Draw a number in [0, 1)."""
        return self._random.random()
