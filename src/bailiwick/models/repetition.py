"""Repetition: an answer that says the same again and again, also with small changes, is told from one that is only alike."""

import zlib

LEAST_RATIO = 0.07
"""What of a text its compression leaves, at the least, where it still says something.

Measured over windows of 6,000 characters: a sentence that comes again and again leaves 0.005 to 0.044, also with a number
that grows in it; no window of this project's own code, tables, lists, recordings and JSON leaves less than 0.12.
"""
_BETWEEN = 4


class Repetition:
    """Reads one channel of an answer.

    Args:
        chars: How many characters in a row must say nothing new, > 0.
    """

    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._tail = ""
        self._new = 0

    def feed(self, piece: str) -> bool:
        """Read the next piece; True when the last characters only repeat. It is seen within a quarter more of them."""
        self._tail = (self._tail + piece)[-self._chars :]
        self._new += len(piece)
        if len(self._tail) < self._chars or self._new < self._chars // _BETWEEN:
            return False
        self._new = 0
        return ratio(self._tail) < LEAST_RATIO


def ratio(text: str) -> float:
    """Tell what part of a text its compression leaves."""
    whole = text.encode("utf-8", "replace")
    return len(zlib.compress(whole, 6)) / max(len(whole), 1)
