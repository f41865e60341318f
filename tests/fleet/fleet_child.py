"""A process of the fleet: the `bailiwick` command; with a wrong clock, deaf to the loss of its leases, or without fences,
if a test asks.
"""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bailiwick.cli import main
from bailiwick.ports import Session
from bailiwick.run import calls, journal
from bailiwick.service.gate import dispatching
from bailiwick.service.hands.sessions import Sessions
from bailiwick.stores.postgres.statements import SQL
from bailiwick.testing.mutants.patching import function
from bailiwick.worker import Worker

DEAF = Path(os.environ["FLEET_DEAF"])


def live_elsewhen(seconds: float) -> None:
    """Shift every clock that this process can read: its machine is wrong by so much."""
    nanoseconds = int(seconds * 1e9)
    for name in ("time", "monotonic", "clock_gettime"):
        read, read_ns = getattr(time, name), getattr(time, f"{name}_ns")
        setattr(time, name, lambda *which, read=read: read(*which) + seconds)
        setattr(time, f"{name}_ns", lambda *which, read=read_ns: read(*which) + nanoseconds)


async def deaf(worker: Worker, session: Session) -> None:
    """Hear nothing; and renew nothing once a test says so, as a process whose heart has stopped and whose hands go on."""
    while not DEAF.exists():
        await worker._port.heartbeat(session.id, session.heartbeat_seconds)
    await asyncio.Event().wait()


def unfenced(stack: contextlib.ExitStack) -> None:
    """Believe whoever reports, whatever epoch and session it speaks for: at the door, in the kernel, in the database."""

    def anybody(run: Any, step: str, *_: object) -> Any:
        return run.steps[step]

    def believed(run: Any, command: Any, sight: Any) -> Any:
        return settle(run, replace(command, epoch=run.calls[command.key].epoch), sight)

    Sessions.alive = Sessions.find  # type: ignore[method-assign]
    Sessions.may_report = lambda *_: True  # type: ignore[method-assign, assignment]
    settle = calls.settle
    stack.enter_context(function(settle, believed))
    stack.enter_context(function(journal.held_step, anybody))
    stack.enter_context(function(dispatching.held, anybody))
    for name in ("move_task", "finish_task"):
        fence = "t.state = given.from_state AND t.epoch = given.from_epoch"
        assert fence in SQL[name]
        SQL[name] = SQL[name].replace(fence, "given.from_state <> '' AND given.from_epoch >= 0")


if os.environ.get("FLEET_HARD_OF_HEARING"):
    Worker._heartbeat = deaf  # type: ignore[method-assign]

if __name__ == "__main__":
    live_elsewhen(float(os.environ.get("FLEET_CLOCK", "0")))
    with contextlib.ExitStack() as patches:
        if os.environ.get("FLEET_UNFENCED"):
            unfenced(patches)
        main()
