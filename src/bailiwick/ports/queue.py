"""The queue: sessions of workers, their leases, and the work that is due."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from bailiwick.base import Instant
from bailiwick.ports.ledger import Task


class Waiting(msgspec.Struct, frozen=True):
    """Since when the oldest due work of a lane has waited; see `Task`."""

    tenant: str
    app: str
    priority: int
    since: Instant


class Queue(Protocol):
    """Sessions, leases and due work. Times compare against the database's clock, in SQL."""

    async def open_session(self, session: str, worker: str, lease_seconds: float) -> None:
        """Begin a worker's session; an earlier session of the same worker name ends at once."""
        ...

    async def renew_session(self, session: str, lease_seconds: float) -> bool:
        """Extend a session; False when it has expired or was ended."""
        ...

    async def wanted(self) -> Sequence[str]:
        """Name the queue keys that queued tasks ask for, each once."""
        ...

    async def workers(self) -> Sequence[str]:
        """Name the workers whose sessions are alive."""
        ...

    async def claimable(self, capabilities: Sequence[str], limit: int) -> Sequence[Task]:
        """List queued tasks that are due: the first of every lane (capability, tenant, app, priority), then the second
        of each, and so on; up to `limit` of a lane, and in all as many as there are lanes and `limit` more. In a
        lane the earlier `due_at` goes first, then the lesser id.
        """
        ...

    async def waiting(self) -> Sequence[Waiting]:
        """List the lanes that have due work, each with the longest wait among the first few in its line."""
        ...

    async def orphans(self, limit: int) -> Sequence[Task]:
        """List leased tasks whose session has expired or ended."""
        ...

    async def overdue(self, limit: int) -> Sequence[Task]:
        """List leased or queued tasks whose `timeout_at` has passed."""
        ...

    async def end_sessions(self) -> None:
        """End every session: what an embedded system does at its start."""
        ...

    async def next_due(self) -> Instant:
        """Tell when the next queued task becomes due; 0 when none is queued."""
        ...
