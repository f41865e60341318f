"""The queue on SQLite: sessions, due work and work that lost its worker, by the database's clock."""

from collections.abc import Sequence

import apsw

from bailiwick.base import Instant, canonical
from bailiwick.ports import GuardFailed, Task, Waiting
from bailiwick.stores.rows import to_task
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Submits


class SqliteQueue:
    """Implements `ports.Queue`."""

    def __init__(self, writer: Submits, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    async def open_session(self, session: str, worker: str, lease_seconds: float) -> None:
        """Begin a worker's session; an earlier session of the same worker name ends at once.

        Raises:
            GuardFailed: Another worker holds a session of that id.
        """
        lease = _micros(lease_seconds)

        def begin(connection: apsw.Connection) -> None:
            connection.execute(SQL["end_worker_sessions"], (worker,))
            try:
                connection.execute(SQL["insert_session"], (session, worker, lease))
            except apsw.ConstraintError as error:
                raise GuardFailed(guard="session", id=session) from error

        await self._writer.submit(begin)

    async def renew_session(self, session: str, lease_seconds: float) -> bool:
        """Extend a session; False when it has expired or was ended."""
        lease = _micros(lease_seconds)

        def renew(connection: apsw.Connection) -> bool:
            connection.execute(SQL["renew_session"], (lease, session))
            return connection.changes() == 1

        return bool(await self._writer.submit(renew))

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
        return [to_task(row) for row in self._reads.few("select_overdue", (limit,))]

    async def end_sessions(self) -> None:
        """End every session: what an embedded system does at its start."""
        await self._writer.submit(lambda connection: connection.execute(SQL["end_sessions"]).fetchall())

    async def next_due(self) -> Instant:
        """Tell when the next queued task becomes due; 0 when none is queued."""
        return Instant(self._reads.few("select_next_due", ())[0][0])


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
