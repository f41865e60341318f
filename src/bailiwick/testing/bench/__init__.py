"""The bench: what a deployment can do on this machine, measured, beside what it is meant to do."""

from bailiwick.testing.bench.benches import BENCHES, measure
from bailiwick.testing.bench.figures import Figure, at_least, at_most, plain, table
from bailiwick.testing.bench.scale import FULL, Scale

__all__ = [
    "BENCHES",
    "FULL",
    "Figure",
    "Scale",
    "at_least",
    "at_most",
    "measure",
    "plain",
    "table",
]
