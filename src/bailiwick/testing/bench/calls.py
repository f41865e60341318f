"""Governed calls: what the gate and the journal add to a tool call that itself costs nothing."""

import time
from typing import Any

from bailiwick.app import App, Context
from bailiwick.contract import EffectClass
from bailiwick.testing.bench.figures import Figure, at_most, percentile, plain
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.system import client_of, on_the_fast_loop

_CALLS_PER_RUN = 20
_LIMITS_MS = {"read": 0.6, "write": 1.0}
_TOOLS = {"read": "bench.look", "write": "bench.put"}


def tool_call(place: Place, kind: str) -> list[Figure]:
    """Measure calls of a free tool, one at a time; `kind` is `read` or `write`."""
    seconds = on_the_fast_loop(_calls(place, kind))
    name = f"tool-call-{kind}"
    return [
        at_most(f"{name}.p50", percentile(seconds, 0.5) * 1000, "ms", _LIMITS_MS[kind]),
        plain(f"{name}.p99", percentile(seconds, 0.99) * 1000, "ms"),
        plain(f"{name}.p50-in-disk-syncs", percentile(seconds, 0.5) * 1000 / place.sync_ms, ""),
        *place.disk(name),
    ]


async def _calls(place: Place, kind: str) -> list[float]:
    seconds: list[float] = []
    async with client_of(place.folder / "data", _app(_TOOLS[kind], seconds)) as client:
        await client.run("calls")
        seconds.clear()
        while len(seconds) < place.scale.calls:
            await client.run("calls")
    return seconds


def _app(tool: str, seconds: list[float]) -> App:
    """Make an app whose one agent calls the tool again and again and notes how long each call took."""
    app = App("bench")

    @app.tool("bench.look")
    async def look(number: int) -> dict[str, int]:
        return {"number": number}

    @app.tool("bench.put", effect=EffectClass.IDEMPOTENT_WRITE)
    async def put(number: int, key: str) -> dict[str, int]:
        return {"number": number}

    @app.code_agent("bench.caller", output={"calls": int}, tools=(tool,))
    async def caller(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        for number in range(_CALLS_PER_RUN):
            begun = time.perf_counter()
            await ctx.tool(tool, {"number": number})
            seconds.append(time.perf_counter() - begun)
        return {"calls": _CALLS_PER_RUN}

    app.workflow("calls", steps=[{"id": "call", "uses": "bench.caller", "input": {}}])
    return app
