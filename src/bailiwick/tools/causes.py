"""Why the code of a tool broke: the error that was meant, in words that can be told, and the line where it was raised."""

import traceback
from collections.abc import Iterator
from pathlib import Path

_MOST = 3
_OURS = str(Path(__file__).parents[1])


def cause_of(error: BaseException) -> str:
    """Say what an exception says, and where; of a group what its members say, at most three of them."""
    leaves = list(_leaves(error))
    told = "; ".join(f"{type(leaf).__name__}: {_text(leaf)}{_place(leaf)}" for leaf in leaves[:_MOST])
    return told if len(leaves) <= _MOST else f"{told}; and {len(leaves) - _MOST} more"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:  # the author's own words, which may do anything
        return f"(its text cannot be told: {type(broken).__name__})"


def _place(error: BaseException) -> str:
    """Name the last line of the author's own code that the error came through."""
    frames = traceback.extract_tb(error.__traceback__, limit=-50)
    theirs = [frame for frame in frames if not frame.filename.startswith((_OURS, "<frozen"))]
    return f" ({Path(theirs[-1].filename).name}:{theirs[-1].lineno})" if theirs else ""
