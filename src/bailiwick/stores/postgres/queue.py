"""The queue on PostgreSQL: sessions, due work and work that lost its worker, by the database's clock."""

from collections.abc import Sequence

import asyncpg

from bailiwick.base import Instant, canonical
from bailiwick.ports import GuardFailed, Task, Waiting
from bailiwick.stores.postgres.connect import Lines
from bailiwick.stores.postgres.reading import Reads
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.rows import to_task


class PostgresQueue:
    """Implements `ports.Queue`.

    A list of claimable tasks locks none of them: a lock would end with its statement, before the claim's own unit.
    Of two who claim one task the slower is fenced, and looks again at what is left.
    """

    def __init__(self, lines: Lines, reads: Reads) -> None:
        self._lines = lines
        self._reads = reads

    async def open_session(self, session: str, worker: str, lease_seconds: float) -> None:
        """Begin a worker's session; an earlier session of the same worker name ends at once.

        Raises:
            GuardFailed: Another worker holds a session of that id.
        """
        async with self._lines.borrowed() as connection:
            try:
                async with connection.transaction():
                    await connection.execute(SQL["end_worker_sessions"], worker)
                    await connection.execute(SQL["insert_session"], session, worker, _micros(lease_seconds))
            except asyncpg.UniqueViolationError as error:
                raise GuardFailed(guard="session", id=session) from error

    async def renew_session(self, session: str, lease_seconds: float) -> bool:
        """Extend a session; False when it has expired or was ended."""
        async with self._lines.borrowed() as connection:
            done = await connection.execute(SQL["renew_session"], _micros(lease_seconds), session)
        return bool(done == "UPDATE 1")

    async def wanted(self) -> Sequence[str]:
        """Name the queue keys that queued tasks ask for, each once."""
        return await self._reads.scan("select_wanted", (), lambda row: str(row[0]))

    async def workers(self) -> Sequence[str]:
        """Name the workers whose sessions are alive."""
        return await self._reads.scan("select_workers", (), lambda row: str(row[0]))

    async def claimable(self, capabilities: Sequence[str], limit: int) -> Sequence[Task]:
        """List queued tasks that are due, turn by turn over the lanes; see `ports.Queue.claimable`."""
        asked = canonical(list(capabilities)).decode()
        return await self._reads.scan("select_claimable", (asked, limit), to_task)

    async def waiting(self) -> Sequence[Waiting]:
        """List the lanes that have due work, each with the longest wait among the first few in its line."""
        return await self._reads.scan("select_waiting", (), lambda row: Waiting(*row))

    async def orphans(self, limit: int) -> Sequence[Task]:
        """List leased tasks whose session has expired or ended."""
        return await self._reads.scan("select_orphans", (limit,), to_task)

    async def overdue(self, limit: int) -> Sequence[Task]:
        """List leased or queued tasks whose `timeout_at` has passed."""
        return await self._reads.scan("select_overdue", (limit,), to_task)

    async def end_sessions(self) -> None:
        """End every session, those of other processes too."""
        async with self._lines.borrowed() as connection:
            await connection.execute(SQL["end_sessions"])

    async def end_sessions_of(self, workers: Sequence[str]) -> None:
        """End the sessions of named workers: what a process does at its start with those it had before."""
        async with self._lines.borrowed() as connection:
            await connection.execute(SQL["end_sessions_of"], canonical(list(workers)).decode())

    async def next_due(self) -> Instant:
        """Tell when the next queued task becomes due; 0 when none is queued."""
        return Instant((await self._reads.few("select_next_due", ()))[0][0])


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
