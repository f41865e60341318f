"""Instants: microseconds since 1970-01-01T00:00:00Z as integers, shown as RFC 3339 in UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, NewType

from bailiwick.base.strict import BadInput

Instant = NewType("Instant", int)
"""Microseconds since the epoch, UTC. Instants in events only inform; leases compare in SQL."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_REMEDY = "write an instant such as 2026-11-21T02:03:06.5Z or 2026-11-21T03:03:06+01:00"


def format_instant(at: Instant) -> str:
    """Show an instant as RFC 3339 with microseconds, for example `2026-11-21T02:03:06.000001Z`.

    Raises:
        OverflowError: The instant lies outside the years 1 to 9999.
    """
    shown = (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")
    return shown.replace("+00:00", "Z")


Moment = Annotated[Instant, format_instant]
"""An instant as a refusal tells it."""


def parse_instant(text: str) -> Instant:
    """Read an RFC 3339 instant with an offset; digits below a microsecond are dropped.

    Raises:
        BadInput: Not RFC 3339, or without an offset (whose clock would it be?).
    """
    if _RFC3339.fullmatch(text) is None:
        raise BadInput(f"{text[:40]!r} is not an RFC 3339 instant with an offset", pointer="", remedy=_REMEDY)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text[:40]!r} is no date and time", pointer="", remedy=_REMEDY) from error
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))
