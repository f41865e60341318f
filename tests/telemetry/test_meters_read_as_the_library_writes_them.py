"""What the platform counts and times for itself is shown letter for letter as the library's own meters would show it."""

import re

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics import exposition

from bailiwick.telemetry.meters import Counts, Times

BOUNDS = (0.0005, 0.1, 1.0, 10.0)


def shown(registry: CollectorRegistry, *, openmetrics: bool) -> str:
    text = exposition.generate_latest(registry) if openmetrics else generate_latest(registry)  # type: ignore[no-untyped-call]
    return re.sub(r"(_created.*\}) .*", r"\1 WHEN", text.decode())


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_counter_reads_as_the_library_writes_it(*, openmetrics: bool) -> None:
    ours, theirs = CollectorRegistry(auto_describe=True), CollectorRegistry(auto_describe=True)
    counts = Counts("seen", "What was seen.", ("app", "to"))
    ours.register(counts)
    library = Counter("seen", "What was seen.", ("app", "to"), registry=theirs)
    assert shown(ours, openmetrics=openmetrics) == shown(theirs, openmetrics=openmetrics)
    for app, by in (("shop", 1), ('od"d\n', 3), ("shop", 2.5), ("shop", 0)):
        counts.add(app, "ready", by=by)
        library.labels(app, "ready").inc(by)
    assert shown(ours, openmetrics=openmetrics) == shown(theirs, openmetrics=openmetrics)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_histogram_reads_as_the_library_writes_it(*, openmetrics: bool) -> None:
    ours, theirs = CollectorRegistry(auto_describe=True), CollectorRegistry(auto_describe=True)
    times = Times("took", "How long it took.", BOUNDS, ("hop",))
    ours.register(times)
    library = Histogram("took", "How long it took.", ("hop",), buckets=BOUNDS, registry=theirs)
    for hop, seconds in (("act", 0.0), ("act", 0.1), ("act", 0.1000001), ("finish", 11.0), ("act", 1)):
        times.observe(seconds, hop)
        library.labels(hop).observe(seconds)
    assert shown(ours, openmetrics=openmetrics) == shown(theirs, openmetrics=openmetrics)
