"""The feed on PostgreSQL: one relay at a time gives positions without gaps to what is committed."""

from collections.abc import Sequence

from bailiwick.ports import Blobs, StoredEvent
from bailiwick.stores.postgres.connect import Lines
from bailiwick.stores.postgres.reading import Reads
from bailiwick.stores.postgres.signals import Signals
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.store import Topic
from bailiwick.stores.stored import events_across


class PostgresFeed:
    """Implements `ports.Feed`."""

    def __init__(self, lines: Lines, reads: Reads, blobs: Blobs, signals: Signals) -> None:
        self._lines = lines
        self._reads = reads
        self._blobs = blobs
        self._signals = signals

    async def place(self, limit: int) -> int:
        """Give the next positions to at most `limit` events that have none; tell how many got one.

        A second relay waits for the first and goes on where it ended.
        """
        async with self._lines.borrowed() as connection, connection.transaction():
            # Its own statement: the next one must see what the relay before has given.
            await connection.execute(SQL["lock_feed"])
            placed = int(await connection.fetchval(SQL["place_feed"], limit))
        if placed:
            self._signals.tell(Topic.PLACED)
        return placed

    async def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read placed events with position > `after`.

        Raises:
            EventDamaged, PayloadDamaged: What lies there is not what was committed; the feed stops there.
        """
        rows = await self._reads.few("select_feed", (after, limit))
        return await events_across(rows, self._blobs, check=True)
