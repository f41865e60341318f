"""Beside: acts on the host are refused while a server works on the same database."""

from collections.abc import Sequence

from bailiwick.base import Category, Refusal
from bailiwick.run import LEASE_SECONDS
from bailiwick.stores import Store

_NAMED = 5


class ServersRunning(Refusal, code="servers_running", category=Category.CONFLICT):
    """Other processes work on the same database; an act on its keys or logs would be lost on them."""

    def __init__(self, workers: Sequence[str]) -> None:
        super().__init__(
            f"{len(workers)} server(s) work on this database: {', '.join(workers[:_NAMED])}",
            remedy=f"stop them; one that was killed counts until its lease ends, {LEASE_SECONDS:g} s later at most",
            workers=list(workers[:_NAMED]),
            count=len(workers),
        )


async def refuse_beside_servers(store: Store) -> None:
    """Refuse while a server works on the database; the data directory alone does not tell of one on another host.

    Raises:
        ServersRunning: At least one does, or was killed a moment ago.
    """
    workers = await store.queue.workers()
    if workers:
        raise ServersRunning(workers)
