"""Meters: what is counted and timed adds up in plain numbers, and becomes samples only when somebody asks.

A run counts some sixty things. The library's own meters take a lock and make a tuple for each.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString


class Counts(Collector):
    """A counter with labels, whose values are bounded; used on one thread.

    Args:
        name: Its name, without `_total`.
        text: What it counts.
        labels: The names of its labels.
    """

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._sums: dict[tuple[str, ...], float] = {}
        self._since: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, by: float = 1) -> None:
        """Count one more, or `by` more (>= 0), under these label values in the order of the labels."""
        if values in self._sums:
            self._sums[values] += by
        else:
            self._sums[values] = by
            self._since[values] = time.time()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield what was counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, total in self._sums.items():
            family.add_metric(values, float(total), created=self._since[values])
        yield family


class Times(Collector):
    """A histogram of seconds with labels, whose values are bounded; used on one thread.

    Args:
        name: Its name.
        text: What it times.
        bounds: The upper bounds of its buckets in seconds, ascending.
        labels: The names of its labels.
    """

    def __init__(self, name: str, text: str, bounds: tuple[float, ...], labels: tuple[str, ...]) -> None:
        self._name, self._text, self._bounds, self._labels = name, text, bounds, labels
        self._les = (*map(floatToGoString, bounds), "+Inf")
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._since: dict[tuple[str, ...], float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """Count a time under these label values, in the order of the labels."""
        if values not in self._counts:
            self._counts[values] = [0] * len(self._les)
            self._sums[values] = 0.0
            self._since[values] = time.time()
        self._counts[values][bisect_left(self._bounds, seconds)] += 1
        self._sums[values] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield what was timed."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, counts in self._counts.items():
            below = [sum(counts[: at + 1]) for at in range(len(counts))]
            buckets = [(le, float(count)) for le, count in zip(self._les, below, strict=True)]
            family.add_metric(values, buckets, self._sums[values])
            labels = dict(zip(self._labels, values, strict=True))
            family.samples.append(Sample(f"{self._name}_created", labels, self._since[values]))
        yield family
