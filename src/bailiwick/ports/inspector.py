"""The inspector: what must hold of a ledger at every instant, asked of the tables themselves."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from bailiwick.base import Digest
from bailiwick.ports.ledger import RunHead, StoredEvent


class Violation(msgspec.Struct, frozen=True):
    """One thing that is not as the invariant of that name says. `id` names a stream, an event, a row."""

    invariant: str
    tenant: str
    id: str
    detail: str


class Checked(msgspec.Struct, frozen=True):
    """An invariant that was checked: what it says, and over how many `over` (runs, events, …) it was asked."""

    invariant: str
    says: str
    over: str
    count: int


class LargePayload(msgspec.Struct, frozen=True):
    """A payload that lies in the blobs under `digest`; `position` is that of its event in the feed."""

    position: int
    tenant: str
    stream: str
    seq: int
    header: bytes
    salt: bytes
    digest: Digest


class Inspector(Protocol):
    """Looks at a ledger without a write, also while a server works on it."""

    async def violations(self) -> Sequence[Violation]:
        """Ask every invariant that the tables alone can answer; empty when all hold."""
        ...

    async def checked(self) -> Sequence[Checked]:
        """Name these invariants, with how many things each is asked over."""
        ...

    async def heads(self, after: tuple[str, str], limit: int) -> Sequence[RunHead]:
        """List the heads of all tenants' runs whose (tenant, id) follows `after`."""
        ...

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read a stream as it lies there; payloads that lie in the blobs are left out."""
        ...

    async def large_payloads(self, after: int, limit: int) -> Sequence[LargePayload]:
        """List the payloads that lie in the blobs, with position > `after`."""
        ...

    async def fingerprints(self) -> Mapping[str, str]:
        """Read the fingerprints of the deployment's keys."""
        ...

    async def tables(self) -> Mapping[str, int]:
        """Count the rows of each table."""
        ...
