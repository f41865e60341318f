"""Labels with a bound: names that come from outside cannot make more series than a scrape can bear."""

from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)

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


class Series(Generic[M]):
    """The series of one metric, each looked up once: its library takes a lock and builds texts at every look.

    Args:
        metric: A metric with labels, whose values are bounded.
    """

    def __init__(self, metric: M) -> None:
        self._metric = metric
        self._found: dict[tuple[str, ...], M] = {}

    def labels(self, *values: str) -> M:
        """Find the series of these label values, in the order of the metric's labels."""
        series = self._found.get(values)
        if series is None:
            series = self._found[values] = self._metric.labels(*values)
        return series
