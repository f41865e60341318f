"""The store's clock, the machine's randomness, and ids made of both."""

import os
import random

from bailiwick.base import Instant, mint_id
from bailiwick.stores import StoreClock

_POOL_BYTES = 8192
_ID_BYTES = 10
_SALT_BYTES = 16


class SystemWorld:
    """Implements `ports.World` with the clock of an open store and the operating system.

    Randomness is drawn from the system in pools: each draw gives up the interpreter's lock, which costs a
    busy event loop more than the bytes do. No byte is handed out twice.
    """

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._random = random.SystemRandom()
        self._pool = b""
        self._at = 0

    def _draw(self, count: int) -> bytes:
        if self._at + count > len(self._pool):
            self._pool, self._at = os.urandom(_POOL_BYTES), 0
        self._at += count
        return self._pool[self._at - count : self._at]

    def now(self) -> Instant:
        """Tell the store's time."""
        return self._clock.now()

    def error_seconds(self) -> float:
        """Tell by how much it may be wrong; see `StoreClock`."""
        return self._clock.error_seconds()

    def new_id(self, prefix: str) -> str:
        """Make an id that sorts by time."""
        return mint_id(prefix, self._clock.now() // 1_000, int.from_bytes(self._draw(_ID_BYTES)))

    def salt(self) -> bytes:
        """Draw 16 random bytes."""
        return self._draw(_SALT_BYTES)

    def spread(self) -> float:
        """Draw a number in [0, 1)."""
        return self._random.random()
