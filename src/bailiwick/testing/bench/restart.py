"""Restart: runs in flight, SIGKILL, a new process over the same data directory, and the time until all are done.

As a program: `python -m bailiwick.testing.bench.restart hold|finish FOLDER COUNT`, the process that is killed and
the one that follows.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.app import App, Context
from bailiwick.testing.bench.chain import OUTPUT, chain_steps
from bailiwick.testing.bench.figures import Figure, at_most, plain
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.system import TENANT, client_of, on_the_fast_loop

_HELD = "step-2"
_RECORDED = ("step-0", "step-1")
_STEPS = 5


class Finished(msgspec.Struct, frozen=True):
    """What the second process says: seconds since it began to open the directory, runs completed, steps repeated."""

    seconds: float
    completed: int
    repeated: int


def restart(place: Place) -> list[Figure]:
    """Kill a system with runs in flight, start it again, and wait for them."""
    count = place.scale.in_flight
    folder = place.folder / "data"
    with _child("hold", folder, count) as first:
        said = _line(first)
        first.kill()
    runs = msgspec.json.decode(said, type=list[str])
    begun = time.perf_counter()
    with _child("finish", folder, count) as second:
        _say(second, runs)
        found = msgspec.json.decode(_line(second), type=Finished)
        whole = time.perf_counter() - begun
        second.wait()
    return [
        at_most("restart.all-finished", found.seconds, "s", 1.5),
        plain("restart.all-finished-since-exec", whole, "s"),
        plain("restart.in-flight", count, "runs"),
        at_most("restart.lost", count - found.completed, "runs", 0),
        at_most("restart.recorded-steps-repeated", found.repeated, "steps", 0),
        *place.disk("restart"),
    ]


def _child(what: str, folder: Path, count: int) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "bailiwick.testing.bench.restart", what, str(folder), str(count)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _line(child: "subprocess.Popen[bytes]") -> bytes:
    assert child.stdout is not None, "it was opened with a pipe"
    return child.stdout.readline()


def _say(child: "subprocess.Popen[bytes]", runs: list[str]) -> None:
    assert child.stdin is not None, "it was opened with a pipe"
    child.stdin.write(msgspec.json.encode(runs) + b"\n")
    child.stdin.flush()


async def _hold(folder: Path, count: int) -> None:
    """Bring all runs to a step that does not end, say their ids, and wait to be killed."""
    held = asyncio.Semaphore(0)

    async def work(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        if ctx.step == _HELD:
            held.release()
            await asyncio.Event().wait()
        return OUTPUT

    app = _app(work)
    async with client_of(folder, app, count) as client:
        runs = [await client.submit("held") for _ in range(count)]
        for _ in runs:
            await held.acquire()
        sys.stdout.buffer.write(msgspec.json.encode(runs) + b"\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def _finish(folder: Path, count: int) -> None:
    """Let all runs end; say how long that took and what was done again."""
    runs = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[str])
    entered: list[str] = []

    async def work(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        entered.append(ctx.step)
        return OUTPUT

    begun = time.perf_counter()
    async with client_of(folder, _app(work), count) as client:
        for run in runs:
            if (await client.system.platform.runs.entry(TENANT, run)).run.closed is None:
                await client.ended(run)
        seconds = time.perf_counter() - begun
    repeated = sum(step in _RECORDED for step in entered)
    sys.stdout.buffer.write(msgspec.json.encode(Finished(seconds, len(runs), repeated)) + b"\n")


def _app(work: Any) -> App:
    app = App("bench")
    app.agent("bench.held", output={"type": "object"}, run=work)
    app.workflow("held", steps=chain_steps("bench.held", _STEPS))
    return app


def main(argv: list[str]) -> None:
    """Be the process that is killed, or the one that follows."""
    what, folder, count = argv
    work = {"hold": _hold, "finish": _finish}[what]
    on_the_fast_loop(work(Path(folder), int(count)))


if __name__ == "__main__":
    main(sys.argv[1:])
