"""Hiding: the metrics as everybody may see them, without the names that tenants gave."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

PRIVATE = frozenset({"tenant", "app", "feature", "team", "model", "workflow", "agent", "tool"})
"""Labels whose values come from a tenant."""


class Hidden(Collector):
    """Shows a registry's metrics summed over all that tenants named.

    Args:
        registry: What was counted.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield each metric, with the labels that are the platform's own."""
        for metric in self._registry.collect():
            yield (
                _summed(metric)
                if any(PRIVATE & sample.labels.keys() for sample in metric.samples)
                else metric
            )


def _summed(metric: Metric) -> Metric:
    shown: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
    for sample in metric.samples:
        labels = {name: value for name, value in sample.labels.items() if name not in PRIVATE}
        place = (sample.name, tuple(labels.items()))
        before = shown.get(place)
        value = sample.value
        if before is not None:
            # When the first of them began; everything else adds up.
            value = min(before.value, value) if sample.name.endswith("_created") else before.value + value
        shown[place] = Sample(sample.name, labels, value)
    summed = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    summed.samples = list(shown.values())
    return summed
