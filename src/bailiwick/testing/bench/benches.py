"""The benches by name, and how one is run: in a new folder on the disk that is measured."""

import gc
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from bailiwick.testing.bench.calls import tool_call
from bailiwick.testing.bench.fairness import fairness, fairness_on_postgres
from bailiwick.testing.bench.figures import Figure
from bailiwick.testing.bench.growth import growth
from bailiwick.testing.bench.overload import overload
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.programs import help_time, idle_memory
from bailiwick.testing.bench.restart import restart
from bailiwick.testing.bench.scale import Scale
from bailiwick.testing.bench.w1 import w1, w1_on_postgres

Bench = Callable[[Place], list[Figure]]

BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "w1-1": partial(w1, clients=1),
        "w1-16": partial(w1, clients=16),
        "w1-64": partial(w1, clients=64),
        "w1-1-postgres": partial(w1_on_postgres, clients=1),
        "w1-16-postgres": partial(w1_on_postgres, clients=16),
        "w1-64-postgres": partial(w1_on_postgres, clients=64),
        "tool-call-read": partial(tool_call, kind="read"),
        "tool-call-write": partial(tool_call, kind="write"),
        "fairness": fairness,
        "fairness-postgres": fairness_on_postgres,
        "overload": overload,
        "growth": growth,
        "restart": restart,
        "help": help_time,
        "idle-memory": idle_memory,
    }
)


def measure(name: str, scale: Scale, disk: Path | None = None) -> list[Figure]:
    """Run one bench of `BENCHES`.

    Args:
        name: Which.
        scale: How much of it.
        disk: A folder on the disk to measure; None: the folder for temporary files.
    """
    gc.collect()
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=disk) as folder:
        return BENCHES[name](Place(Path(folder), scale))
