"""The ledger on SQLite: units in, events and payloads out."""

from collections.abc import Sequence

from bailiwick.base import canonical
from bailiwick.ports import Blobs, Halt, StoredEvent, Submission, Unit
from bailiwick.stores.large import store_large
from bailiwick.stores.rows import to_halt
from bailiwick.stores.sealing import Job
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.threads import Submits
from bailiwick.stores.stored import events_of


class SqliteLedger:
    """Implements `ports.Ledger`.

    The platform's own stream `platform` is read with the empty tenant; a tenant's with its id.
    """

    def __init__(self, writer: Submits, reads: Reads, blobs: Blobs) -> None:
        self._writer = writer
        self._reads = reads
        self._blobs = blobs

    async def commit(self, unit: Unit) -> None:
        """Commit all of a unit or nothing; return once it survives a power cut.

        Raises:
            StaleVersion: The run is not at `expected`.
            Fenced: A moved task is no longer in that state and epoch.
            GuardFailed: An approval, task, posting or submission was taken or changed by another.
            ValueError, TypeError: The unit is not well-formed; its neighbours are not touched.
        """
        await self._writer.submit(Job(unit, await store_large(unit, self._blobs)))

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read a stream in order, events with seq > `after`; empty for a foreign or absent stream.

        Raises:
            EventDamaged, PayloadDamaged: What lies there is not what was committed.
        """
        rows = self._reads.few("select_events", (tenant, stream, after, limit))
        return await events_of(tenant, stream, rows, self._blobs)

    async def payloads(self, tenant: str, stream: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """Read payload bodies by seq; absent and erased ones are left out.

        Raises:
            EventDamaged, PayloadDamaged: What lies there is not what was committed.
        """
        asked = canonical(list(seqs)).decode()
        rows = self._reads.few("select_payloads", (tenant, stream, asked))
        found = await events_of(tenant, stream, rows, self._blobs)
        return {event.seq: event.payload for event in found if event.payload is not None}

    async def submission(self, tenant: str, key: str) -> Submission | None:
        """Find what was submitted under an idempotency key."""
        return self._reads.one("select_submission", (tenant, key), lambda row: Submission(*row))

    async def halts(self) -> Sequence[Halt]:
        """List the halts that are not lifted."""
        return [to_halt(row) for row in self._reads.few("select_halts", ())]
