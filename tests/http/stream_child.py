"""The real server in a process of its own, so that its memory can be measured; standard input drives it."""

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

from bailiwick.app import App, Context
from bailiwick.http import Limits
from bailiwick.telemetry import configure_logging
from bailiwick.wiring import load_settings
from bailiwick.wiring.serving import serving

STEPS = 48
BYTES = 48_000
LIMITS = Limits(stall_seconds=1.0, slow_seconds=0.8, head_seconds=1.0, linger_seconds=12.0, body_seconds=1.0)


def loud(gate: asyncio.Event) -> App:
    """An app whose one workflow waits at a gate, and then records some megabytes of events."""
    app = App("loud")

    @app.code_agent("waiter", output={"ok": bool})
    async def wait(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"ok": True}

    @app.code_agent("crier", output={"text": str})
    async def cry(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        ctx.say("x" * 500)
        return {"text": "y" * BYTES}

    cries = [{"id": f"cry{at}", "uses": "crier", "input": {}} for at in range(STEPS)]
    app.workflow("loud", steps=[{"id": "wait", "uses": "waiter", "input": {}}, *cries])
    return app


async def main(folder: Path) -> None:
    """Say where it listens; open the gate at the first line of standard input; end with the second."""
    configure_logging("error", io.StringIO())
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    settings = load_settings(data_dir=str(folder), port=0)
    async with serving(settings, [loud(gate)], cache_dir=folder / "cache", limits=LIMITS) as (system, url):
        sys.stdout.write(json.dumps({"url": url, "key": system.first_key}) + "\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.readline)
        gate.set()
        await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
