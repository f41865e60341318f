"""Reading: point reads on the caller's thread, scans on another, and stored events that prove themselves."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import apsw
import msgspec

from bailiwick.audit import commitment, leaf_hash
from bailiwick.ports import Blobs, StoredEvent
from bailiwick.stores.refusals import BlobDamaged, EventDamaged, PayloadDamaged, StoreClosed
from bailiwick.stores.sqlite.rows import Row
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Asks

T = TypeVar("T")


class Reads:
    """Two ways to read: `one` and `few` answer at once, for reads by key that take microseconds;
    `scan` asks elsewhere (the reader thread), for all that could keep the loop waiting.
    """

    def __init__(self, near: apsw.Connection, far: Asks) -> None:
        self._near: apsw.Connection | None = near
        self._far = far

    def few(self, statement: str, values: Row) -> list[Row]:
        """Read a bounded number of rows by key, on the caller's thread (always the same one).

        Raises:
            StoreClosed: The store is shut.
        """
        if self._near is None:
            raise StoreClosed
        return self._near.execute(SQL[statement], values).fetchall()

    def one(self, statement: str, values: Row, shape: Callable[[Row], T]) -> T | None:
        """Read at most one row by key."""
        rows = self.few(statement, values)
        return shape(rows[0]) if rows else None

    async def scan(self, statement: str, values: Row, shape: Callable[[Row], T]) -> list[T]:
        """Read rows on the reader thread."""
        return await self._far.ask(
            lambda connection: [shape(row) for row in connection.execute(SQL[statement], values)]
        )

    def close(self) -> None:
        """Close both connections."""
        self._far.close()
        if self._near is not None:
            self._near.close()
            self._near = None


class _Sealed(msgspec.Struct, frozen=True):
    """What reading needs of a header."""

    payload: str = ""


_header = msgspec.json.Decoder(_Sealed)


async def events_of(tenant: str, stream: str, rows: Iterable[Row], blobs: Blobs) -> list[StoredEvent]:
    """Shape rows (seq, header, leaf, salt, body, blob, position) of one stream, and check each.

    Raises:
        EventDamaged: A header does not match its leaf.
        PayloadDamaged: A payload does not match its commitment, or its blob is lost.
    """
    return [await _event(tenant, stream, row, blobs, check=True) for row in rows]


async def events_across(rows: Iterable[Row], blobs: Blobs, *, check: bool) -> list[StoredEvent]:
    """Shape rows that begin with tenant and stream; unchecked, a damaged event is shown as it lies there."""
    return [await _event(row[0], row[1], row[2:], blobs, check=check) for row in rows]


async def _event(tenant: str, stream: str, row: Row, blobs: Blobs, *, check: bool) -> StoredEvent:
    seq, header, leaf, salt, body, blob, position = row
    if check and leaf_hash(header) != leaf:
        raise EventDamaged(stream=stream, seq=seq)
    if blob is not None:
        body = await _fetch(tenant, blob, blobs)
    if check and salt is not None and not _is_committed(_header.decode(header).payload, salt, body):
        raise PayloadDamaged(stream=stream, seq=seq)
    return StoredEvent(stream, seq, header, leaf, body, salt if salt is not None else b"", position)


def _is_committed(claimed: str, salt: bytes, body: bytes | None) -> bool:
    try:
        return body is not None and commitment(salt, body) == claimed
    except ValueError:
        return False  # no salt of ours: somebody edited it


async def _fetch(tenant: str, digest: Any, blobs: Blobs) -> bytes | None:
    try:
        return await blobs.get(tenant, digest)
    except BlobDamaged:
        return None
