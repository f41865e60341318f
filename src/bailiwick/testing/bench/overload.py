"""Overload: twice as many runs are submitted as can be worked on; what is taken on, refused, done, and how fast."""

import asyncio
import time

import msgspec

from bailiwick.service import Limits, Overloaded
from bailiwick.testing.bench.chain import chain_app, name_of
from bailiwick.testing.bench.figures import Figure, at_least, at_most, percentile, plain
from bailiwick.testing.bench.load import put_load
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.system import Client, on_the_fast_loop, settings_for
from bailiwick.wiring import embedded

STEPS = 5
TIMES = 2
QUEUE_SECONDS = 2.0
_CLIENTS = 16
_PERIODS = 4
_BEAT_SECONDS = 0.02


class Flood(msgspec.Struct):
    """What became of the runs that were submitted. Seconds."""

    capacity: float = 0.0
    seconds: float = 0.0
    drained_after: float = 0.0
    taken: int = 0
    done_in_time: int = 0
    done: int = 0
    refusals: list[float] = []


def overload(place: Place) -> list[Figure]:
    """Measure capacity with a closed loop, then submit at twice that rate whatever happens, with a short patience."""
    flood = on_the_fast_loop(_flood(place))
    offered = flood.taken + len(flood.refusals)
    return [
        plain("overload.capacity", flood.capacity, "runs/s"),
        plain("overload.offered", offered / flood.seconds, "runs/s"),
        at_least(
            "overload.goodput", flood.done_in_time / flood.seconds / flood.capacity, "of capacity", 0.85
        ),
        plain("overload.refused", len(flood.refusals) / offered, "of offered"),
        at_most("overload.lost", flood.taken - flood.done, "runs", 0),
        at_most("overload.refusal-p99", percentile(flood.refusals or [0.0], 0.99) * 1000, "ms", 50),
        plain("overload.drained-after", flood.drained_after, "s"),
        *place.disk("overload"),
    ]


async def _flood(place: Place) -> Flood:
    app, workflow, flood = chain_app(STEPS), name_of(STEPS), Flood()
    settings = msgspec.structs.replace(
        settings_for(place.folder / "data", 1), limits=Limits(queue_seconds=QUEUE_SECONDS)
    )
    async with embedded(settings, [app]) as system:
        client = Client(system, app)
        await put_load(client, workflow, _CLIENTS, place.scale.warm_seconds)
        calm = await put_load(client, workflow, _CLIENTS, place.scale.seconds)
        flood.capacity = calm.runs / calm.seconds
        await _submit_for(place.scale.seconds * _PERIODS, client, workflow, flood)
    return flood


async def _submit_for(seconds: float, client: Client, workflow: str, flood: Flood) -> None:
    """Submit at the rate, by the clock: who falls behind catches up; then wait for all that was taken on."""

    async def submit() -> None:
        begun = time.perf_counter()
        try:
            run = await client.submit(workflow)
        except Overloaded:
            flood.refusals.append(time.perf_counter() - begun)
            return
        flood.taken += 1
        await client.ended(run)
        flood.done += 1

    begun, offered, rate = time.perf_counter(), 0, flood.capacity * TIMES
    async with asyncio.TaskGroup() as group:
        while not offered or time.perf_counter() - begun < seconds:
            due = max(1, round((time.perf_counter() - begun) * rate))
            for _ in range(due - offered):
                group.create_task(submit())
            offered = max(offered, due)
            await asyncio.sleep(_BEAT_SECONDS)
        flood.seconds, flood.done_in_time = time.perf_counter() - begun, flood.done
    flood.drained_after = time.perf_counter() - begun - flood.seconds
