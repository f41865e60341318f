"""The feed on SQLite: one writer numbers events in commit order, so the relay only moves a mark."""

from collections.abc import Sequence

import apsw

from bailiwick.ports import Blobs, StoredEvent
from bailiwick.stores.sqlite.reading import Reads
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Submits
from bailiwick.stores.stored import events_across


class SqliteFeed:
    """Implements `ports.Feed`."""

    def __init__(self, writer: Submits, reads: Reads, blobs: Blobs) -> None:
        self._writer = writer
        self._reads = reads
        self._blobs = blobs

    async def place(self, limit: int) -> int:
        """Give the next positions to at most `limit` events that have none; tell how many got one."""

        def place(connection: apsw.Connection) -> int:
            before = connection.execute(SQL["select_placed"]).get
            connection.execute(SQL["place_feed"], (limit,))
            return int(connection.execute(SQL["select_placed"]).get - before)

        return int(await self._writer.submit(place))

    async def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read placed events with position > `after`.

        Raises:
            EventDamaged, PayloadDamaged: What lies there is not what was committed; the feed stops there.
        """
        rows = await self._reads.scan("select_feed", (after, limit), lambda row: row)
        return await events_across(rows, self._blobs, check=True)
