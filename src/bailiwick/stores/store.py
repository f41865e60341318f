"""The store as its owner sees it: the faces that the ports ask for, whichever database is behind them."""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from bailiwick.ports import AuditLog, Feed, Fingerprints, Ledger, Queue, Views
from bailiwick.stores.blobs import DiskBlobs
from bailiwick.stores.clock import Glance, Ticks


class Topic(StrEnum):
    """What another process has committed. `lost`: nothing could be heard for a while, so it may be anything."""

    WORK = "work"
    HALTS = "halts"
    KEYS = "keys"
    PLACED = "placed"
    LOST = "lost"


class Counts(Protocol):
    """What a store's writer has counted: transactions that held units, the units, and their rows."""

    commits: int
    units: int
    rows: int


class Store(Protocol):
    """An open store. `node` names this process's data directory among those of a deployment."""

    node: str

    @property
    def writer(self) -> Counts:
        """The writer's counters."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Units in, events out."""
        ...

    @property
    def queue(self) -> Queue:
        """Sessions and due work."""
        ...

    @property
    def views(self) -> Views:
        """What lists and pages read."""
        ...

    @property
    def feed(self) -> Feed:
        """Every event in one order."""
        ...

    @property
    def audit(self) -> AuditLog:
        """The leaves and their heads."""
        ...

    @property
    def blobs(self) -> DiskBlobs:
        """Large content."""
        ...

    @property
    def fingerprints(self) -> Fingerprints:
        """What is known of the keys that this was written with."""
        ...

    async def begin(self, workers: Sequence[str]) -> None:
        """Connect, and end what these workers of this process held before.

        Raises:
            Refusal: The database cannot be used; it says why.
        """
        ...

    async def retire(self, workers: Sequence[str]) -> None:
        """End the sessions of these workers of this process, which works no more.

        Raises:
            Refusal: The database cannot be used; the sessions end by themselves.
        """
        ...

    def listen(self, hear: Callable[[Topic], None]) -> asyncio.Task[None] | None:
        """Hear what other processes commit, until the store is closed; None where there are no others."""
        ...

    async def glance(self, ticks: Ticks) -> Glance:
        """Look at the clock that all processes of this store follow.

        Raises:
            Refusal: The database cannot be asked now.
        """
        ...

    @property
    def trouble(self) -> str:
        """Why nothing could be written the last time; empty when it was."""
        ...

    async def depths(self) -> dict[str, int]:
        """Count the queued tasks that are due, by pool."""
        ...

    async def end(self) -> None:
        """Commit what waits, then close."""
        ...

    def close(self) -> None:
        """Close at once."""
        ...
