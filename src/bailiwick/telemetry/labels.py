"""Labels with a bound: names that come from outside cannot make more series than a scrape can bear."""

OTHER = "(other)"
MAX_LENGTH = 128


class Bounded:
    """Remembers the first names it meets; every later one is `(other)`.

    Args:
        limit: How many names are told apart, >= 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """Answer the name, or `(other)` when there are too many, or it is too long to be a name."""
        if name in self._known:
            return name
        if len(self._known) >= self._limit or len(name) > MAX_LENGTH:
            return OTHER
        self._known.add(name)
        return name
