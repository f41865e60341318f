"""Weaving: statements that write become one, so that a batch costs one round trip, however many tables it touches."""

import functools
import re
from typing import Final

from bailiwick.stores.postgres.statements import SQL

_PLACE: Final = re.compile(r"\$(\d+)")
_TRANSACTION: Final = SQL["select_transaction"]


@functools.lru_cache(maxsize=256)
def woven(statements: tuple[str, ...]) -> str:
    """Weave statements that write into one query; their values bind one after the other.

    All of them see the tables as they were before the first of them: none may rest on what another one writes.
    See https://www.postgresql.org/docs/15/queries-with.html#QUERIES-WITH-MODIFYING.

    Returns:
        A query of one row: the number of the transaction, and for each statement how many rows it has written.
    """
    parts, bound = [], 0
    for at, text in enumerate(statements):
        parts.append(f"w{at} AS ({_moved(text, bound)} RETURNING 1)")
        bound += max((int(place) for place in _PLACE.findall(text)), default=0)
    counts = [f"(SELECT count(*) FROM w{at})" for at in range(len(statements))]  # noqa: S608 - our own names
    told = f"SELECT {', '.join([f'({_TRANSACTION})', *counts])}"
    return f"WITH {', '.join(parts)} {told}" if parts else told


def _moved(text: str, by: int) -> str:
    return _PLACE.sub(lambda match: f"${int(match[1]) + by}", text)
