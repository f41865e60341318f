"""Remembered: how far each log was signed, kept where a writer to the database does not reach."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from bailiwick.audit import Frontier


class Seen(msgspec.Struct, frozen=True):
    """How far a log was signed, and its root there; what lies below `base` was accepted as it lay by a named act."""

    size: int
    root: bytes
    base: Frontier = Frontier()


class Remembered(Protocol):
    """The newest signed size and root of each log; what is not remembered is not held against a log."""

    def logs(self) -> Sequence[str]:
        """Name the logs that are remembered."""
        ...

    def read(self, log: str) -> Seen | None:
        """Read what is remembered of a log."""
        ...

    def keep(self, log: str, seen: Seen) -> None:
        """Remember it; what a crash loses of it is only older."""
        ...
