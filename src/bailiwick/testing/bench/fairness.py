"""Fairness: how long a five-step run of one tenant takes alone, and while 160 runs of another are queued before it."""

import asyncio

from bailiwick.testing.bench.chain import chain_app, name_of
from bailiwick.testing.bench.figures import Figure, at_most, percentile, plain
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.system import client_of, on_the_fast_loop, somebody
from bailiwick.testing.postgres import PrivateCluster

STEPS = 5
_ALONE = 20
_LIMIT_SECONDS = 0.3
_FLOOD, _OTHER = somebody("flood"), somebody("other")


def fairness(place: Place) -> list[Figure]:
    """Measure it on SQLite, with the usual number of slots."""
    return [*_figures("fairness", on_the_fast_loop(_times(place))), *place.disk("fairness")]


def fairness_on_postgres(place: Place) -> list[Figure]:
    """Measure the same on a PostgreSQL of its own."""
    with PrivateCluster() as cluster:
        there = Place(cluster.folder / "bench", place.scale)
        return _figures("fairness-postgres", on_the_fast_loop(_times(there, cluster.database())))


def _figures(name: str, times: tuple[list[float], list[float]]) -> list[Figure]:
    alone, behind = times
    calm, late = percentile(alone, 0.95), percentile(behind, 0.95)
    return [
        plain(f"{name}.alone-p95", calm, "s"),
        at_most(f"{name}.behind-p95", late, "s", _LIMIT_SECONDS),
        plain(f"{name}.behind-p50", percentile(behind, 0.5), "s"),
        plain(f"{name}.ratio-p95", late / calm, ""),
        plain(f"{name}.runs-behind", len(behind), "runs"),
    ]


async def _times(place: Place, store: str = "") -> tuple[list[float], list[float]]:
    """Time runs alone, then one after the other for as long as a flood lasts that was submitted all at once."""
    workflow = name_of(STEPS)
    async with client_of(place.folder / "data", chain_app(STEPS), store=store) as client:
        await client.run(workflow, _OTHER)
        alone = [await client.run(workflow, _OTHER) for _ in range(_ALONE)]
        behind: list[float] = []
        for _ in range(place.scale.floods):
            flood = asyncio.gather(*(client.run(workflow, _FLOOD) for _ in range(place.scale.flood)))
            behind.append(await client.run(workflow, _OTHER))
            while not flood.done():
                behind.append(await client.run(workflow, _OTHER))
            await flood
        return alone, behind
