"""The two processes of the restart bench.

The first brings its runs to a step that does not end, says their ids and waits to be killed; the second is told
the ids, lets the runs end, and says what that took.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.app import App, CodeAgent, Context
from bailiwick.telemetry import configure_logging
from bailiwick.testing.bench.chain import OUTPUT, chain_steps
from bailiwick.testing.bench.system import TENANT, Client, client_of, on_the_fast_loop

STEPS = 5
_HELD = "step-2"
_RECORDED = ("step-0", "step-1")
_PATIENCE_SECONDS = 60.0


class Finished(msgspec.Struct, frozen=True):
    """What became of the runs.

    `seconds` since the data directory was about to be opened, until the last one had ended; `repeated` counts
    the steps that had been recorded before the kill and were worked on again.
    """

    seconds: float
    completed: int
    repeated: int


async def hold(folder: Path, count: int) -> None:
    """Be the process that is killed."""
    held = asyncio.Semaphore(0)

    async def work(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        if ctx.step == _HELD:
            held.release()
            await asyncio.Event().wait()
        return OUTPUT

    async with client_of(folder, _app(work), count) as client:
        runs = [await client.submit("held") for _ in range(count)]
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for _ in runs:
                await held.acquire()
        _say(runs)
        await asyncio.Event().wait()


async def finish(folder: Path, count: int) -> None:
    """Be the process that comes after it."""
    runs = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[str])
    entered: list[str] = []

    async def work(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        entered.append(ctx.step)
        return OUTPUT

    begun = time.perf_counter()
    async with client_of(folder, _app(work), count) as client:
        ends = [asyncio.create_task(_end(client, run)) for run in runs]
        done, late = await asyncio.wait(ends, timeout=_PATIENCE_SECONDS)
        seconds = time.perf_counter() - begun
        for end in late:
            end.cancel()
        completed = sum(end.exception() is None for end in done)
    _say(Finished(seconds, completed, sum(step in _RECORDED for step in entered)))


async def _end(client: Client, run: str) -> None:
    if (await client.system.platform.runs.entry(TENANT, run)).run.closed is None:
        await client.ended(run)


def _app(work: CodeAgent) -> App:
    app = App("bench")
    app.agent("bench.held", output={"type": "object"}, run=work)
    app.workflow("held", steps=chain_steps("bench.held", STEPS))
    return app


def _say(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.flush()


def main(what: str, folder: str, count: str) -> None:
    """Be one of the two."""
    with Path(f"{folder}.log").open("a") as log:
        configure_logging("info", log)
        on_the_fast_loop({"hold": hold, "finish": finish}[what](Path(folder), int(count)))
