"""Instructions: what work costs the processor, counted; a busy machine does not change it.

`python -m bailiwick.testing.bench.instructions WORK TIMES` does the work and ends; `count` does it under valgrind, twice, and
takes the difference, so that the start does not count (Valgrind manual, "Cachegrind": `I refs` are the instructions executed).
Under valgrind each second is short. So the keeper's duties are put off, and the platform goes by a clock that moves a
little at each look: how long a run has been going on, and what is due, is the same on a slow machine and on a fast one.
"""

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bailiwick.app import App, Context
from bailiwick.contract import EffectClass
from bailiwick.keeper import periods_for
from bailiwick.stores import StoreClock
from bailiwick.testing.bench.chain import chain_app, name_of
from bailiwick.testing.bench.figures import Figure, at_most
from bailiwick.testing.bench.programs import ProgramFailed
from bailiwick.testing.bench.system import Client, client_of

CLIENTS = 8
STEPS = 5
WRITES = 20
GROWTH = 1.05
"""How much more than the stored base is still no reason to fail; two counts of the same code differ by less than a third of it."""

BASE = Path(__file__).with_name("instructions.json")
_SELDOM = 86_400.0
_LOOK_MICROSECONDS = 20
_BEGAN = 1_700_000_000_000_000
_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


class Base(msgspec.Struct):
    """What was counted when it was last kept, in thousands of instructions; `python` and `machine` say where."""

    python: str
    machine: str
    thousands: dict[str, int]


def gate(*, keep: bool, count: Callable[[str], int] | None = None) -> tuple[list[Figure], str]:
    """Count all work and compare it with the stored base.

    Args:
        keep: Store what is counted as the base.
        count: How to count; by valgrind when None.

    Returns:
        The figures, and why the gate is shut; "" when it is open.

    Raises:
        ProgramFailed: There is no valgrind, or the work failed under it.
    """
    here = Base(platform.python_version(), platform.machine(), {})
    counted = count if count is not None else count_work
    here.thousands = {work: counted(work) // 1000 for work in WORKS}
    if keep:
        BASE.write_bytes(msgspec.json.format(msgspec.json.encode(here), indent=2) + b"\n")
    base = msgspec.json.decode(BASE.read_bytes(), type=Base)
    figures = [
        at_most(f"instructions.{work}", here.thousands[work], "k", base.thousands.get(work, 0) * GROWTH)
        for work in WORKS
    ]
    if (base.python, base.machine) != (here.python, here.machine):
        return figures, (
            f"the base was counted by Python {base.python} on {base.machine}, here is {here.python} on {here.machine}; "
            "check out what it is to be compared with and call: ./dev bench --gate --keep"
        )
    grown = [figure.name for figure in figures if not figure.met]
    return figures, f"more than {GROWTH:.0%} of the base: {', '.join(grown)}" if grown else ""


def count_work(work: str) -> int:
    """Count the instructions of one piece of work, without the start: of one run, or of one governed write."""
    few, most = WORKS[work].few, WORKS[work].most
    return (_instructions(work, most) - _instructions(work, few)) // (most - few)


def _instructions(work: str, times: int) -> int:
    return instructions([sys.executable, "-m", __spec__.name, work, str(times)])


def instructions(words: list[str]) -> int:
    """Count the instructions of a program to its end, without those of the programs that it starts.

    Raises:
        ProgramFailed: There is no valgrind, or the program failed under it.
    """
    fixed = {**os.environ, "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        # A log for each process: one that is forked off counts on from what was counted before, and writes that down.
        whole = [*_VALGRIND, f"--log-file={folder}/%p", *words]
        try:
            program = subprocess.Popen(
                whole, env=fixed, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        except FileNotFoundError as missing:
            raise ProgramFailed("valgrind is not installed; `./dev bench --gate` installs it") from missing
        _, said = program.communicate()
        log = Path(folder, str(program.pid))
        lines = log.read_text().splitlines() if log.exists() else []
    line = next((line for line in lines if " refs:" in line and "I" in line), "")
    if program.returncode or not line:
        raise ProgramFailed(f"{' '.join(words)} under valgrind: {said[-500:]}")
    return int(line.rpartition(":")[2].replace(",", ""))


async def _runs(client: Client, times: int) -> None:
    async def some(share: int) -> None:
        for _ in range(share):
            await client.run(name_of(STEPS))

    await asyncio.gather(*(some(times // CLIENTS) for _ in range(CLIENTS)))


async def _writes(client: Client, times: int) -> None:
    for _ in range(times // WRITES):
        await client.run("calls")


def _writer() -> App:
    """Make an app whose agent does nothing but call a tool that writes nothing, under the gate all the same."""
    app = App("bench")

    @app.tool("bench.put", effect=EffectClass.IDEMPOTENT_WRITE)
    async def put(number: int, key: str) -> dict[str, int]:
        return {"number": number}

    @app.code_agent("bench.caller", output={"calls": int}, tools=("bench.put",))
    async def caller(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        for number in range(WRITES):
            await ctx.tool("bench.put", {"number": number})
        return {"calls": WRITES}

    app.workflow("calls", steps=[{"id": "call", "uses": "bench.caller", "input": {}}])
    return app


class Work(msgspec.Struct, frozen=True):
    """Work to count: its app, how it is done so many times, and how often at the shorter and at the longer count."""

    app: Callable[[], App]
    act: Callable[[Client, int], Awaitable[None]]
    few: int
    most: int


WORKS = {
    "run": Work(lambda: chain_app(STEPS), _runs, CLIENTS, 21 * CLIENTS),
    "write": Work(_writer, _writes, WRITES, 17 * WRITES),
}


async def _do(work: str, times: int) -> None:
    periods = dict.fromkeys(periods_for(shared=False), _SELDOM)
    with tempfile.TemporaryDirectory() as folder:
        system = client_of(
            Path(folder) / "data",
            WORKS[work].app(),
            CLIENTS,
            periods=periods,
            clock=StoreClock(_looks(), _BEGAN),
        )
        async with system as client:
            await WORKS[work].act(client, times)


def _looks() -> Callable[[], int]:
    """Make ticks that move by a step at each look."""
    looks = 0

    def ticks() -> int:
        nonlocal looks
        looks += 1
        return looks * _LOOK_MICROSECONDS

    return ticks


if __name__ == "__main__":
    uvloop.run(_do(sys.argv[1], int(sys.argv[2])))
