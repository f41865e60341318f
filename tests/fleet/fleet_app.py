"""The app that every process of the fleet serves: each effect lands as a line in one file outside of the platform."""

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path

from bailiwick.app import App, Context

app = App("fleet")
LANDED = Path(os.environ["FLEET_LANDED"])
DELAY_SECONDS = float(os.environ["FLEET_DELAY"])
HOLD = Path(os.environ["FLEET_HOLD"])


def land(tool: str, key: str, name: str) -> None:
    """Append one line, whole, whoever else does the same."""
    descriptor = os.open(LANDED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{tool} {key} {name} {os.getpid()} {time.time():.6f}\n".encode())
    finally:
        os.close(descriptor)


async def take(seconds: float) -> None:
    """Be a slow world."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


async def held() -> None:
    """Answer only once a test lets this process."""
    while HOLD.exists():
        await take(0.02)


@app.tool("fleet.put", effect="idempotent-write")
async def put(name: str, key: str) -> dict[str, str]:
    """Put something once: the other side knows keys; it notes every arrival, and who brought it."""
    land("put", key, name)
    await take(DELAY_SECONDS)
    await held()
    return {"put": name}


@app.tool("fleet.peek", effect="read-only")
async def peek(name: str) -> dict[str, str]:
    """Read something, and note that it was read."""
    land("peek", "-", name)
    await take(0.02)
    return {"seen": name}


@app.tool("fleet.send", effect="external-action", timeout_seconds=20, failure_modes=("tool-failed",))
async def send(name: str) -> dict[str, str]:
    """Send something; the other side knows no keys, so a second time is a second thing."""
    land("send", "-", name)
    await take(DELAY_SECONDS)
    await held()
    return {"sent": name}


@app.tool("fleet.block", effect="external-action", timeout_seconds=60, failure_modes=("tool-failed",))
def block(name: str) -> dict[str, str]:
    """Send something, in a thread that nobody can cancel."""
    land("block", "-", name)
    while HOLD.exists():
        threading.Event().wait(0.02)
    return {"sent": name}


@app.tool("fleet.cling", effect="external-action", timeout_seconds=60, failure_modes=("tool-failed",))
async def cling(name: str) -> dict[str, str]:
    """Send something, and hear no cancellation."""
    land("cling", "-", name)
    while HOLD.exists():
        try:
            await held()
        except asyncio.CancelledError:
            land("clung", "-", name)
    return {"sent": name}


@app.code_agent("carrier", output={"put": str}, tools=["fleet.put"])
async def carrier(ctx: Context, given: dict[str, str]) -> dict[str, str]:
    """Put one thing."""
    answer = await ctx.tool("fleet.put", {"name": given["name"]})
    return {"put": answer["put"]}


@app.code_agent("thinker", output={"put": str}, tools=["fleet.peek", "fleet.put"])
async def thinker(ctx: Context, given: dict[str, str]) -> dict[str, str]:
    """Look, think as long as this process is held, then put one thing."""
    await ctx.tool("fleet.peek", {"name": given["name"]})
    await held()
    answer = await ctx.tool("fleet.put", {"name": given["name"]})
    return {"put": answer["put"]}


@app.code_agent("gazer", output={"turns": int}, tools=["fleet.peek"])
async def gazer(ctx: Context, given: dict[str, str]) -> dict[str, int]:
    """Read one thing after the other, for longer than any test."""
    for turn in range(10_000):
        await ctx.tool("fleet.peek", {"name": f"turn-{turn}"})
    return {"turns": 10_000}


app.policy(
    "fleet.cedar",
    """
@id("fleet.send")
@reason("nothing here is real")
permit (principal, action == Action::"tool.call", resource)
when { ["fleet.send", "fleet.block", "fleet.cling"].contains(resource.name) };
""",
)
app.workflow("one", steps=[{"id": "a", "uses": "carrier", "input": {"name": "a"}}])
app.workflow(
    "two",
    steps=[
        {"id": "a", "uses": "carrier", "input": {"name": "a"}},
        {"id": "b", "uses": "fleet.put", "input": {"name": "b"}, "after": ["a"]},
    ],
)
app.workflow("send", steps=[{"id": "a", "uses": "fleet.send", "input": {"name": "a"}}])
app.workflow("block", steps=[{"id": "a", "uses": "fleet.block", "input": {"name": "a"}}])
app.workflow("cling", steps=[{"id": "a", "uses": "fleet.cling", "input": {"name": "a"}}])
app.workflow("think", steps=[{"id": "a", "uses": "thinker", "input": {"name": "a"}}])
app.workflow(
    "three",
    input={"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    steps=[
        {"id": "see", "uses": "fleet.peek", "input": {"name": "$.intent.input.name"}, "timeout": 20},
        {
            "id": "put",
            "uses": "fleet.put",
            "input": {"name": "$.intent.input.name"},
            "after": ["see"],
            "timeout": 20,
        },
        {
            "id": "send",
            "uses": "fleet.send",
            "input": {"name": "$.intent.input.name"},
            "after": ["put"],
            "timeout": 20,
        },
    ],
)
app.workflow(
    "endless", steps=[{"id": "gaze", "uses": "gazer", "input": {"name": "x"}, "limits": {"calls": 10_000}}]
)
