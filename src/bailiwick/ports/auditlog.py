"""The audit logs: leaves in their order, and the signed heads over them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from bailiwick.audit import Joined, Joining
from bailiwick.ports.ledger import StoredEvent


class TreeHead(msgspec.Struct, frozen=True):
    """A tenant's log as far as it is integrated: its size, the frontier (hashes of the complete subtrees,
    largest first) and the newest signed note.
    """

    log: str
    size: int
    frontier: tuple[bytes, ...]
    note: str


class AuditLog(Protocol):
    """The leaves in their order, and the signed heads."""

    async def logs(self) -> Sequence[str]:
        """Name the logs that have leaves without an index: `tenant:ID` and `platform`."""
        ...

    async def pending_leaves(self, log: str, limit: int) -> Sequence[Joining]:
        """List the events without an index, in feed order, as they lie there."""
        ...

    async def integrate(self, head: TreeHead, leaves: Sequence[tuple[str, int]]) -> None:
        """Give the leaves the next indices and store the head that covers them, in one transaction.

        Raises:
            GuardFailed: The log's stored size is not the head's size minus the leaves.
        """
        ...

    async def reach(self, log: str) -> tuple[int, bool]:
        """Tell the lowest index above all that are given in a log (0 while none is), and whether what has no index is
        looked for right behind them.
        """
        ...

    async def joined(self, log: str, after: int, limit: int) -> Sequence[Joined]:
        """Read integrated events without payloads, `after` < index <= `after` + `limit` (-1: from the first), as they
        lie there; one that is not there any more is left out.
        """
        ...

    async def relay(self, head: TreeHead, leaves: Sequence[tuple[str, str, int]]) -> None:
        """Give the leaves (tenant, stream, seq) the indices from 0 on, in place of all that the log had, and store the head that covers them."""
        ...

    async def head(self, log: str) -> TreeHead | None:
        """Read the newest head."""
        ...

    async def heads(self) -> Sequence[TreeHead]:
        """Read the newest head of every log that has one."""
        ...

    async def leaf_index(self, log: str, stream: str, seq: int) -> int | None:
        """Find the index of an event's leaf; None while it is not integrated."""
        ...

    async def entries(self, log: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read integrated events in leaf order, `after` < index <= `after` + `limit` (-1: from the first)."""
        ...

    async def leaves(self, log: str, size: int) -> Sequence[bytes]:
        """Read the first `size` leaf hashes in order."""
        ...
