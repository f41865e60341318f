"""The ledger on SQLite: units in, events and payloads out."""

from collections.abc import Sequence
from typing import Final

import apsw

from bailiwick.base import Digest, canonical
from bailiwick.ports import Blobs, Halt, StoredEvent, Submission, Unit
from bailiwick.stores.large import LargePayloads, holds_large
from bailiwick.stores.refusals import PayloadDamaged
from bailiwick.stores.rows import Row, to_halt
from bailiwick.stores.sealing import Job
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Submits
from bailiwick.stores.sqlite.writer import fold
from bailiwick.stores.stored import Owners, events_of

_PAGE: Final = 200


class SqliteLedger:
    """Implements `ports.Ledger`.

    The platform's own stream `platform` is read with the empty tenant; a tenant's with its id.
    """

    def __init__(self, writer: Submits, reads: Reads, blobs: Blobs) -> None:
        self._writer = writer
        self._reads = reads
        self._blobs = blobs
        self._large = LargePayloads(blobs)
        self._owners = Owners()

    async def commit(self, unit: Unit) -> None:
        """Commit all of a unit or nothing; return once it survives a power cut.

        Raises:
            StaleVersion: The run is not at `expected`.
            Fenced: A moved task is no longer in that state and epoch.
            GuardFailed: An approval, task, posting or submission was taken or changed by another.
            ValueError, TypeError: The unit is not well-formed; its neighbours are not touched.
        """
        if not holds_large(unit):
            await self._writer.submit(Job(unit))
            return
        async with self._large.stored(unit) as names:
            await self._writer.submit(Job(unit, names))

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read a stream in order, events with seq > `after`; empty for a foreign or absent stream.

        Raises:
            EventDamaged, PayloadDamaged: What lies there is not what was committed.
        """
        try:
            return await self._events(tenant, stream, "select_events", (after, limit))
        except PayloadDamaged:
            # It may have been erased between the row and its blob; what is damaged is so the second time as well.
            return await self._events(tenant, stream, "select_events", (after, limit))

    async def owns(self, tenant: str, stream: str) -> bool:
        """Whether the stream is the tenant's by its own opening event; see `ports.Ledger`."""
        own = self._owners.known(tenant, stream)
        if own is None:
            own = self._owners.learn(tenant, stream, self._reads.few("select_events", (tenant, stream, 0, 1)))
        return own

    async def payloads(self, tenant: str, stream: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """Read payload bodies by seq; absent and erased ones are left out.

        Raises:
            EventDamaged, PayloadDamaged: What lies there is not what was committed.
        """
        asked = canonical(list(seqs)).decode()
        try:
            found = await self._events(tenant, stream, "select_payloads", (asked,))
        except PayloadDamaged:
            found = await self._events(tenant, stream, "select_payloads", (asked,))
        return {event.seq: event.payload for event in found if event.payload is not None}

    async def _events(self, tenant: str, stream: str, statement: str, values: Row) -> list[StoredEvent]:
        rows = self._reads.few(statement, (tenant, stream, *values))
        own = self._owners.known(tenant, stream)
        if own is None:
            first = (
                rows if rows and rows[0][0] == 1 else self._reads.few("select_events", (tenant, stream, 0, 1))
            )
            own = self._owners.learn(tenant, stream, first)
        if not own:
            return []
        return await events_of(tenant, stream, rows, self._blobs)

    async def kept(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[int]:
        """Name the events of a stream with seq > `after` whose payload is there, in order, without reading it."""
        return await self._reads.scan(
            "select_kept_seqs", (tenant, stream, after, limit), lambda row: int(row[0])
        )

    async def sweep(self) -> int:
        """Remove the blobs of erased payloads, and empty the write-ahead log of erased bytes; see `ports.Ledger.sweep`."""
        settled = 0
        last: Row = ("", "")
        while page := await self._reads.scan("select_removals", (*last, _PAGE), tuple):
            for tenant, blob, since in page:
                settled += await self._removed(tenant, blob, since)
            last = page[-1][:2]
        # The log is emptied after the batch that asks for it: when a later one is answered, it was tried.
        await self._writer.submit(fold)
        await self._writer.submit(_nothing)
        return settled

    async def _removed(self, tenant: str, blob: Digest, since: int) -> bool:
        if not await self._large.remove(tenant, blob, lambda: self._is_named(tenant, blob)):
            return False
        done = (tenant, blob, since)
        await self._writer.submit(lambda connection: connection.execute(SQL["delete_removal"], done))
        return True

    async def _is_named(self, tenant: str, blob: str) -> bool:
        return bool(self._reads.few("count_payloads_of_blob", (tenant, blob))[0][0])

    async def submission(self, tenant: str, key: str) -> Submission | None:
        """Find what was submitted under an idempotency key."""
        return self._reads.one("select_submission", (tenant, key), lambda row: Submission(*row))

    async def halts(self) -> Sequence[Halt]:
        """List the halts that are not lifted."""
        return [to_halt(row) for row in self._reads.few("select_halts", ())]


def _nothing(_connection: apsw.Connection) -> None:
    """Change nothing: a chore that is answered after those before it."""
