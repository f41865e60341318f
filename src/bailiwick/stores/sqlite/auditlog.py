"""The audit logs on SQLite: leaves in feed order, indices without gaps, and the newest signed head."""

from collections.abc import Sequence
from typing import Any

import apsw

from bailiwick.audit import Joined, Joining
from bailiwick.ports import Blobs, GuardFailed, StoredEvent, TreeHead
from bailiwick.stores.rows import Row, to_head, to_joining
from bailiwick.stores.sealing import PLATFORM
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Submits
from bailiwick.stores.stored import events_across


class SqliteAuditLog:
    """Implements `ports.AuditLog`. A leaf has an index only after the feed has placed its event."""

    def __init__(self, writer: Submits, reads: Reads, blobs: Blobs) -> None:
        self._writer = writer
        self._reads = reads
        self._blobs = blobs

    async def logs(self) -> Sequence[str]:
        """Name the logs that have leaves without an index: `tenant:ID` and `platform`."""
        return await self._reads.scan("select_pending_logs", (), _first)

    async def pending_leaves(self, log: str, limit: int) -> Sequence[Joining]:
        """List the events without an index, in feed order, as they lie there."""
        return await self._reads.scan("select_joining", (log, limit), to_joining)

    async def reach(self, log: str) -> tuple[int, bool]:
        """Tell how far indices are given, and whether the log goes on right behind them; see `ports.AuditLog`."""
        rows = self._reads.few("select_reach", (log,))
        return (int(rows[0][0]), bool(rows[0][1])) if rows else (0, True)

    async def joined(self, log: str, after: int, limit: int) -> Sequence[Joined]:
        """Read integrated events without payloads, as they lie there; see `ports.AuditLog`."""
        return await self._reads.scan("select_joined", (log, after, limit), lambda row: Joined(*row))

    async def integrate(self, head: TreeHead, leaves: Sequence[tuple[str, int]]) -> None:
        """Give the leaves the next indices and store the head that covers them, in one transaction.

        Raises:
            GuardFailed: The log's stored size is not the head's size minus the leaves, or the leaves are
                not the log's next ones in feed order. Nothing was written.
        """
        named = [(stream, seq) for stream, seq in leaves]
        await self._writer.submit(lambda connection: _integrate(connection, head, named))

    async def relay(self, head: TreeHead, leaves: Sequence[tuple[str, str, int]]) -> None:
        """Give the leaves (tenant, stream, seq) the indices from 0 on, in place of all that the log had, and store the head over them.

        Raises:
            GuardFailed: There is no such log, or no such event. Nothing was written.
        """
        named = list(leaves)
        await self._writer.submit(lambda connection: _relay(connection, head, named))

    async def head(self, log: str) -> TreeHead | None:
        """Read the newest head."""
        rows = self._reads.few("select_log_head", (log,))
        if not rows or rows[0][3] is None:
            return None
        return to_head((log, *rows[0][1:]))

    async def heads(self) -> Sequence[TreeHead]:
        """Read the newest head of every log that has one."""
        return [to_head(row) for row in self._reads.few("select_log_heads", ())]

    async def leaf_index(self, log: str, stream: str, seq: int) -> int | None:
        """Find the index of an event's leaf; None while it is not integrated."""
        tenant = "" if log == PLATFORM else log.removeprefix("tenant:")
        return self._reads.one("select_leaf_index", (log, tenant, stream, seq), _first)

    async def entries(self, log: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read integrated events in leaf order, `after` < index <= `after` + `limit` (-1: from the first).

        They are shown as they lie there, also when damaged: who verifies must see what was edited.
        """
        rows = await self._reads.scan("select_entries", (log, after, limit), lambda row: row)
        return await events_across(rows, self._blobs, check=False)

    async def leaves(self, log: str, size: int) -> Sequence[bytes]:
        """Read the first `size` leaf hashes in order."""
        return await self._reads.scan("select_leaves", (log, size), _first)


def _integrate(connection: apsw.Connection, head: TreeHead, leaves: list[tuple[str, int]]) -> None:
    found = connection.execute(SQL["select_log_head"], (head.log,)).get
    if found is None:
        raise GuardFailed(guard="log", id=head.log)
    log, size, _, _ = found
    if size != head.size - len(leaves):
        raise GuardFailed(guard="log size", id=head.log)
    pending = connection.execute(SQL["select_pending_leaves"], (head.log, len(leaves))).fetchall()
    if [(row[0], row[1]) for row in pending] != leaves:
        raise GuardFailed(guard="leaf order", id=head.log)
    rows = [(log, index, row[3]) for index, row in enumerate(pending, size)]
    connection.executemany(SQL["insert_leaf"], rows)
    through = pending[-1][3] if pending else 0
    connection.execute(SQL["update_log_head"], (head.size, b"".join(head.frontier), head.note, through, log))


def _relay(connection: apsw.Connection, head: TreeHead, leaves: list[tuple[str, str, int]]) -> None:
    found = connection.execute(SQL["select_log_head"], (head.log,)).get
    if found is None:
        raise GuardFailed(guard="log", id=head.log)
    positions = [connection.execute(SQL["select_position"], leaf).get for leaf in leaves]
    if None in positions:
        raise GuardFailed(guard="event", id=head.log)
    connection.execute(SQL["delete_leaves"], (found[0],))
    connection.executemany(SQL["insert_leaf"], [(found[0], at, pos) for at, pos in enumerate(positions)])
    row = (head.size, b"".join(head.frontier), head.note, positions[-1] if positions else 0, found[0])
    connection.execute(SQL["reset_log_head"], row)


def _first(row: Row) -> Any:
    return row[0]
