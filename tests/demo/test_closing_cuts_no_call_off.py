"""P4: the embedded system that is closed waits for the calls on their way; who hastens it is not kept waiting."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from bailiwick.app import App
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.run import CallState, StepStatus
from bailiwick.service import IntentRequest
from bailiwick.wiring import Embedded, Settings, embedded

ALICE = Principal("key_alice", "alice", PrincipalKind.USER, "default", Role.ADMIN)
ALLOWED = """
@id("slow.send")
@reason("nothing here is real")
permit (principal, action == Action::"tool.call", resource)
when { resource.name == "slow.send" };
"""


class World:
    """An app whose external action is answered when a test says so."""

    def __init__(self) -> None:
        self.begun, self.answered, self.sent = asyncio.Event(), asyncio.Event(), 0
        self.app = app = App("slow")
        app.policy("slow.cedar", ALLOWED)

        @app.tool("slow.send", effect="external-action", failure_modes=("tool-failed",))
        async def send() -> dict[str, bool]:
            self.sent += 1
            self.begun.set()
            await self.answered.wait()
            return {"sent": True}

        app.workflow(
            "send",
            steps=[
                {"id": "send", "uses": "slow.send", "input": {}},
                {"id": "again", "uses": "slow.send", "input": {}, "after": ["send"]},
            ],
        )

    async def closing(self, system: Embedded, close: contextlib.AsyncExitStack) -> "asyncio.Task[None]":
        """Submit a run, wait until its call is on its way, and begin to close the system."""
        await system.platform.submitting.submit(ALICE, IntentRequest(app="slow", workflow="send"))
        await self.begun.wait()
        task = asyncio.create_task(close.aclose())
        while not system.draining:
            await asyncio.sleep(0)
        return task


@pytest.mark.parametrize(("hastened", "seconds"), [(False, 86_400), (True, 86_400), (False, 0)])
async def test_an_action_on_its_way_is_recorded_before_the_system_is_closed(
    tmp_path: Path, hastened: bool, seconds: float
) -> None:
    world, settings = World(), Settings(data_dir=str(tmp_path), drain_seconds=seconds)
    cut_off = hastened or not seconds
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as close:
        system = await close.enter_async_context(embedded(settings, [world.app]))
        closed = await world.closing(system, close)
        if hastened:
            system.hasten()
        elif not cut_off:
            world.answered.set()
        await closed
    async with embedded(settings, [World().app], workers=0) as system:
        (head,) = await system.store.views.runs("default", status="", app="", before="", limit=9)
        run = (await system.platform.runs.entry("default", head.id)).run
    (call,) = run.calls.values()
    assert world.sent == 1, "a step that was handed on began nothing"
    if cut_off:
        assert (call.state, run.steps["send"].status) == (CallState.UNKNOWN, StepStatus.BLOCKED)
    else:
        assert call.state is CallState.DONE
        assert run.steps["send"].status in (StepStatus.READY, StepStatus.SUCCEEDED)
