"""Pages: every list has them; a cursor names the last item of the page before."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Query

from bailiwick.http.refusals import InvalidParameter

T = TypeVar("T")
_INSTANT = re.compile(r"[0-9]{1,18}")
MAX_LISTED = 200

Limit = Annotated[int, Query(ge=1, le=MAX_LISTED)]
Cursor = Annotated[str, Query(max_length=300, pattern=r"^[^\x00-\x1f]*$")]


def cut(found: Sequence[T], limit: int, place_of: Callable[[T], str]) -> tuple[Sequence[T], str]:
    """Take a page off what a store found, which was asked for one more; answer the next page's cursor, or an empty one."""
    shown = found[:limit]
    return shown, place_of(shown[-1]) if len(found) > limit else ""


def page_of(
    items: Sequence[T], place_of: Callable[[T], str], limit: int, cursor: str
) -> tuple[Sequence[T], str]:
    """Take a page of a list that is in memory, in the order of its places, which differ."""
    rest = sorted((item for item in items if place_of(item) > cursor), key=place_of)
    return cut(rest, limit, place_of)


def keyset(cursor: str) -> tuple[int, str]:
    """Read a cursor that names an instant and an id (`1796077198708984.apr_...`); an empty one stands before all.

    Raises:
        InvalidParameter: It is none of ours.
    """
    at, _, id = cursor.partition(".")
    if cursor and (not _INSTANT.fullmatch(at) or not id):
        raise InvalidParameter([{"pointer": "/query/cursor", "detail": "no page ended with it"}])
    return (int(at), id) if cursor else (0, "")


def link(path: str, cursor: str, **given: str | int) -> dict[str, str]:
    """Write the header that leads to the next page; none on the last one."""
    if not cursor:
        return {}
    query = urlencode({name: value for name, value in {**given, "cursor": cursor}.items() if value})
    return {"Link": f'<{path}?{query}>; rel="next"'}
