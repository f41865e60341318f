"""Instants: microseconds since 1970-01-01T00:00:00Z as integers, shown as RFC 3339 in UTC."""

from datetime import UTC, datetime, timedelta
from typing import NewType

from bailiwick.base.strict import BadInput

Instant = NewType("Instant", int)
"""Microseconds since the epoch, UTC. Instants in events only inform; leases compare in SQL."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_instant(at: Instant) -> str:
    """Show an instant as RFC 3339 with microseconds, for example `2026-11-21T02:03:06.000001Z`."""
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> Instant:
    """Read an RFC 3339 instant with an offset.

    Raises:
        BadInput: Not RFC 3339, or without an offset (whose clock would it be?).
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text[:40]!r} is not an RFC 3339 instant", pointer="") from error
    if moment.tzinfo is None:
        raise BadInput(f"{text[:40]!r} names no offset", pointer="")
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))
