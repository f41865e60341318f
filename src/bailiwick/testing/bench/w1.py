"""W1: runs of five trivial durable steps, by 1, 16 or 64 clients in the platform's own process, on either store."""

from collections.abc import Callable, Mapping

from bailiwick.testing.bench.chain import chain_app, name_of
from bailiwick.testing.bench.figures import Figure, at_least, at_most, plain
from bailiwick.testing.bench.load import Load, put_load
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.system import client_of, on_the_fast_loop
from bailiwick.testing.postgres import PrivateCluster

STEPS = 5
_UNITS = STEPS + 1
_ROWS_PER_UNIT = 5
_POSTGRES_RATE = 700

Values = Mapping[str, tuple[float, str]]
"""What was measured, each with its unit."""


def w1(place: Place, clients: int) -> list[Figure]:
    """Measure W1; contract checks, policy (its verdicts remembered), audit leaves and the log are on."""
    load = on_the_fast_loop(_load(place, clients))
    figures = _figures(f"w1-{clients}", _values(place, load), _limits(place, clients))
    return [*figures, *place.disk(f"w1-{clients}")]


def w1_on_postgres(place: Place, clients: int) -> list[Figure]:
    """Measure the same on a PostgreSQL of its own, whose processor time is told apart.

    The server lies in the folder for temporary files, since its user may enter no other; the disk that is reported is
    the one of that folder.
    """
    name = f"w1-{clients}-postgres"
    with PrivateCluster() as cluster:
        there = Place(cluster.folder / "bench", place.scale)
        spent: list[float] = []
        load = on_the_fast_loop(
            _load(there, clients, cluster.database(), lambda: spent.append(cluster.cpu_seconds()))
        )
        begun, ended = spent
        values = {**_values(there, load), "server-cpu": ((ended - begun) / load.runs * 1000, "ms/run")}
        return [*_figures(name, values, _limits_on_postgres(clients)), *there.disk(name)]


def _values(place: Place, load: Load) -> Values:
    return {
        "rate": (load.runs / load.seconds, "runs/s"),
        "cpu": (load.cpu_seconds / load.runs * 1000, "ms/run"),
        "p50": (load.latency_ms(0.5), "ms"),
        "p99": (load.latency_ms(0.99), "ms"),
        "loop-lag-p99": (load.lag_ms(0.99), "ms"),
        "commits": (load.commits / load.runs, "1/run"),
        "rows": (load.rows / load.runs, "1/run"),
        "runs-per-disk-sync": (load.runs / load.seconds * place.sync_ms / 1000, ""),
    }


def _figures(bench: str, values: Values, limits: Mapping[str, float]) -> list[Figure]:
    figures = []
    for what, (value, unit) in values.items():
        name = f"{bench}.{what}"
        if what == "rate" and what in limits:
            figures.append(at_least(name, value, unit, limits[what]))
        elif what in limits:
            figures.append(at_most(name, value, unit, limits[what]))
        else:
            figures.append(plain(name, value, unit))
    return figures


def _limits(place: Place, clients: int) -> dict[str, float]:
    """Give the targets: one client is held to latency, sixty-four to throughput, all to the rows they may write."""
    rows: dict[str, float] = {"rows": _UNITS * _ROWS_PER_UNIT}
    match clients:
        case 1:
            return {**rows, "commits": _UNITS, "cpu": 2.0, "p50": _UNITS * place.sync_ms + 1.5, "p99": 10.0}
        case 64:
            return {**rows, "rate": 2000 if place.is_fast else 1000, "cpu": 0.5, "loop-lag-p99": 3.0}
        case _:
            return rows


def _limits_on_postgres(clients: int) -> dict[str, float]:
    """Give the targets on PostgreSQL: throughput for sixty-four, and the same rows."""
    rows: dict[str, float] = {"rows": _UNITS * _ROWS_PER_UNIT}
    return {**rows, "rate": _POSTGRES_RATE} if clients == 64 else rows


async def _load(
    place: Place, clients: int, store: str = "", around: Callable[[], None] = lambda: None
) -> Load:
    """Warm up, then put the load on; `around` is called before it and after."""
    async with client_of(place.folder / "data", chain_app(STEPS), clients, store) as client:
        await put_load(client, name_of(STEPS), clients, place.scale.warm_seconds)
        around()
        load = await put_load(client, name_of(STEPS), clients, place.scale.seconds)
        around()
        return load
