"""Stored events: rows as they lie in the tables become events again, each checked against what was committed."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import structlog

from bailiwick.audit import commitment, leaf_hash
from bailiwick.ports import Blobs, StoredEvent
from bailiwick.stores.refusals import BlobDamaged, EventDamaged, PayloadDamaged
from bailiwick.stores.rows import Row

log = structlog.get_logger("bailiwick.stores")
_OWNERS_KEPT = 20_000


class _Sealed(msgspec.Struct, frozen=True):
    """What reading needs of a header."""

    payload: str = ""
    stream: str = ""
    seq: int = 0
    tenant: str = ""


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
    said = said_by(stream, seq, header, leaf) if check else None
    if blob is not None:
        body = await _fetch(tenant, blob, blobs)
    if said is not None and salt is not None and not _is_committed(said.payload, salt, body):
        raise PayloadDamaged(stream=stream, seq=seq)
    return StoredEvent(stream, seq, header, leaf, body, salt if salt is not None else b"", position)


def said_by(stream: str, seq: int, header: bytes, leaf: bytes) -> _Sealed:
    """Read a header that lies at a place of a stream.

    Raises:
        EventDamaged: It does not match its leaf, or was sealed for another place.
    """
    if leaf_hash(header) != leaf:
        raise EventDamaged(stream=stream, seq=seq)
    try:
        said = _header.decode(header)
    except msgspec.DecodeError as error:
        raise EventDamaged(stream=stream, seq=seq) from error
    if (said.stream, said.seq) != (stream, seq):
        raise EventDamaged(stream=stream, seq=seq)
    return said


class Owners:
    """Knows whose streams are, by what their opening events say: that is sealed, and where they lie is not."""

    def __init__(self) -> None:
        self._own: OrderedDict[tuple[str, str], bool] = OrderedDict()

    def known(self, tenant: str, stream: str) -> bool | None:
        """Tell what was learned before; None when nothing was."""
        return self._own.get((tenant, stream))

    def learn(self, tenant: str, stream: str, rows: Sequence[Row]) -> bool:
        """Learn from the rows (seq, header, leaf, ...) that begin a stream whether it is the tenant's.

        Raises:
            EventDamaged: The opening event is not what was committed.
        """
        if not rows or rows[0][0] != 1:
            return True  # there is none, or nothing to learn from
        owner = said_by(stream, 1, rows[0][1], rows[0][2]).tenant
        own = self._own[tenant, stream] = owner in ("", tenant)
        if not own:
            log.critical("run.moved", run_id=stream, tenant=owner, found_with=tenant)
        if len(self._own) > _OWNERS_KEPT:
            self._own.popitem(last=False)
        return own


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
