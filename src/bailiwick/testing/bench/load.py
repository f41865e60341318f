"""A load: how many runs were done in how long, at what cost to processor, event loop and disk."""

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator

from bailiwick.testing.bench.figures import percentile
from bailiwick.testing.bench.system import Client

_TICK_SECONDS = 0.005


class Load:
    """What a load came to. Latencies and lags in seconds; `commits` and `rows` as the store counted them."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.lags: list[float] = []
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.commits = 0
        self.rows = 0

    @property
    def runs(self) -> int:
        """How many runs were completed."""
        return len(self.latencies)

    def latency_ms(self, share: float) -> float:
        """Find a percentile of the runs' latencies, in milliseconds."""
        return percentile(self.latencies, share) * 1000

    def lag_ms(self, share: float) -> float:
        """Find a percentile of the event loop's lag, in milliseconds."""
        return percentile(self.lags, share) * 1000


async def put_load(client: Client, workflow: str, clients: int, seconds: float) -> Load:
    """Let so many clients submit run after run, each waiting for its own to end; at least one run each."""
    load = Load()
    writer = client.system.store.writer
    async with _ticking(load):
        commits, rows, cpu, begun = writer.commits, writer.rows, _cpu_seconds(), time.perf_counter()

        async def submit() -> None:
            while True:
                load.latencies.append(await client.run(workflow))
                if time.perf_counter() - begun >= seconds:
                    return

        await asyncio.gather(*(submit() for _ in range(clients)))
        load.seconds = time.perf_counter() - begun
        load.cpu_seconds = _cpu_seconds() - cpu
        load.commits, load.rows = writer.commits - commits, writer.rows - rows
    return load


@contextlib.asynccontextmanager
async def _ticking(load: Load) -> AsyncIterator[None]:
    """Note how late the event loop wakes a sleeper, again and again."""

    async def tick() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            load.lags.append(max(time.perf_counter() - begun - _TICK_SECONDS, 0.0))

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        if not load.lags:
            load.lags.append(0.0)
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
