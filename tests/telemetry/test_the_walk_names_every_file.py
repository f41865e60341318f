"""ARCHITECTURE.md leads through one tool call: it names every file of the product that the call comes through."""

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import bailiwick
from bailiwick.app import App, Context
from bailiwick.contract import EffectClass
from bailiwick.keeper import periods_for
from bailiwick.testing.bench.system import client_of
from figures import tell

SOURCE = f"{Path(bailiwick.__file__).parent}/"
DOCUMENT = Path(__file__).parents[2] / "ARCHITECTURE.md"
BEGINS, ENDS = "## A walk: one tool call", "An approved action takes a shorter way"


class Trace:
    """The functions of the product that are entered while it is on, in any thread, in their order."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> None:
        path = frame.f_code.co_filename
        if self.on and event == "call" and path.startswith(SOURCE):
            self.seen.append((path.removeprefix(SOURCE), frame.f_code.co_name))


def asking(trace: Trace) -> App:
    """Make an app whose agent calls a priced tool twice; the second call is followed."""
    app = App("bench")

    @app.tool("bench.put", effect=EffectClass.METERED, price_micro_usd=10_000)
    async def put(number: int) -> dict[str, int]:
        return {"number": number}

    @app.code_agent("bench.caller", output={"calls": int}, tools=("bench.put",))
    async def caller(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        await ctx.tool("bench.put", {"number": 1})
        trace.on = True
        await ctx.tool("bench.put", {"number": 2})
        trace.on = False
        return {"calls": 2}

    app.workflow("calls", steps=[{"id": "call", "uses": "bench.caller", "input": {}}])
    return app


def profiled(trace: Trace) -> Iterator[None]:
    before = sys.getprofile()
    threading.setprofile(trace)
    sys.setprofile(trace)
    yield
    sys.setprofile(before)
    threading.setprofile(None)  # type: ignore[arg-type]  # what it was


async def test_the_walk_names_every_file_that_a_call_comes_through(tmp_path: Path) -> None:
    trace = Trace()
    periods = dict.fromkeys(
        periods_for(shared=False), 86_400.0
    )  # what goes by the clock is no part of a call
    held = profiled(trace)
    next(held)
    async with client_of(tmp_path / "data", asking(trace), periods=periods) as client:
        await client.run("calls")
    next(held, None)
    walk = DOCUMENT.read_text("utf-8").partition(BEGINS)[2].partition(ENDS)[0]
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", walk))
    files = {path for path, _ in trace.seen if not path.startswith("testing/")}
    assert files - named == set(), "the call comes through files that the walk does not name"
    assert len(files) > 40, "the call was followed"
    switches = sum(one[0] != other[0] for one, other in zip(trace.seen, trace.seen[1:], strict=False))
    tell(f"{len(files)} files, {switches} switches between files, {len(trace.seen)} functions entered")


def test_the_walk_names_no_file_that_is_not_there() -> None:
    walk = DOCUMENT.read_text("utf-8").partition(BEGINS)[2].partition(ENDS)[0]
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", walk)
    assert [n for n in named if not n.startswith("tests/") and not Path(SOURCE, n).exists()] == []
