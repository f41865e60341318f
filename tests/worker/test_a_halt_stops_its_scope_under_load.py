"""The kill switch under load, at every scope: nothing starts after it is acknowledged, and what is on its way ends in time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.ports import (
    CallFailed,
    Dispatch,
    FrameSink,
    Message,
    ModelReply,
    ModelRequest,
    Proposal,
    Stop,
    Usage,
)
from bailiwick.run import CallState, Run, Status
from bailiwick.worker import executor
from platform_kit import MALLORY, PATIENCE, ROOT, System
from shop_kit import Shop
from world_kit import JsonPort

CASES = {
    "platform": "",
    "tenant": "",
    "app": "shop",
    "workflow": "job@1.0.0",
    "agent": "clerk",
    "tool": "shop.quote",
    "model": "scripted:plain",
    "run": "RUN",
}
LANES = 6
ENDED = (CallState.DONE, CallState.CANCELED, CallState.UNKNOWN, CallState.LOST, CallState.FAILED)


class Endless:
    """A model that never comes to its end by itself."""

    def __init__(self) -> None:
        self.running = 0

    def models(self) -> tuple[str, ...]:
        return ("scripted:plain",)

    async def stream(self, request: ModelRequest, sink: FrameSink, stop: Stop) -> ModelReply:
        self.running += 1
        try:
            reason = await stop.wait()
        finally:
            self.running -= 1
        used = Usage(input_tokens=10, output_tokens=10, source="estimated")
        raise CallFailed(ErrorCategory.CANCELED, f"canceled: {reason}", usage=used)


class Watched(JsonPort):
    """Notes every dispatch that the gate lets go, in order."""

    def __init__(self, system: System) -> None:
        super().__init__(system.platform)
        self.let: list[tuple[str, str]] = []
        self.more = asyncio.Event()

    async def act(self, session: str, proposal: Proposal) -> Any:
        answer = await super().act(session, proposal)
        if isinstance(answer, Dispatch):
            self.let.append((answer.run, answer.capability.partition("@")[0]))
            self.more.set()
        return answer

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the dispatches so far are as asked."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.more.clear()
                await self.more.wait()


async def lane(ctx: Any, number: int) -> None:
    for n in range(10**6):
        await ctx.tool("shop.quote", {"text": f"{number}.{n}"})
        await ctx.tool("shop.read", {"text": f"{number}.{n}"})


async def busy(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Keep a model, a write and many short calls on their way."""
    lanes = [lane(ctx, number) for number in range(LANES)]
    asked = ctx.model("scripted:plain", [Message("user", "think")])
    await asyncio.gather(asked, ctx.tool("shop.write", {"text": "slow"}), *lanes)
    return {}


async def loaded(open_system: Any, models: Endless) -> tuple[System, Watched, str, str]:
    """Two runs at full speed that share nothing but the platform and its tools."""
    shop, market = Shop(), Shop("market")
    limits = {"calls": 100_000}
    shop.scripts["clerk"] = market.scripts["other"] = busy
    shop.workflow({"id": "work", "uses": "clerk", "input": {}, "limits": limits})
    market.workflow({"id": "work", "uses": "other", "input": {}, "limits": limits}, name="trade")
    system = await open_system(shop, market, models=models)
    port = system.port = Watched(system)
    shop.outside.shut("write")
    system.work()
    mine = await system.submit(budget_usd="1000")
    theirs = await system.submit("trade", who=MALLORY, app="market", budget_usd="1000")
    await port.until(
        lambda: (
            models.running == 2
            and min(sum(run == each for run, _ in port.let) for each in (mine, theirs)) >= 30
        )
    )
    return system, port, mine, theirs


def concerned(scope: str, target: str, capability: str) -> bool:
    match scope:
        case "tool":
            return capability == target
        case "model":
            return capability == f"model:{target}"
        case _:
            return True


@pytest.mark.parametrize("scope", CASES)
async def test_nothing_starts_after_the_acknowledgement_and_others_go_on(
    open_system, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    monkeypatch.setattr(executor, "HALT_GRACE_SECONDS", 0.3)
    models = Endless()
    system, port, mine, theirs = await loaded(open_system, models)
    target = CASES[scope].replace("RUN", mine)
    loop = asyncio.get_running_loop()
    await system.platform.halts.set(ROOT, scope, target, "enough")
    acknowledged, let = loop.time(), len(port.let)

    def open_calls(run: Run) -> list[str]:
        stopped = [run.calls[key] for key in run.tally.open_calls]
        return [
            call.key
            for call in stopped
            if call.state is CallState.INTENDED
            and concerned(scope, target, call.capability.partition("@")[0])
        ]

    ended = await system.until(mine, lambda run: not open_calls(run))
    assert loop.time() - acknowledged < 5.0
    assert {call.state for call in ended.calls.values() if call.key not in ended.tally.open_calls} <= {*ENDED}
    if (
        scope != "model"
    ):  # an agent that waits for a halted model's answer works on beside it until it asks again
        blocked = await system.until(mine, lambda run: run.status is Status.BLOCKED)
        assert "enough" in blocked.steps["work"].reason or "outcome unknown" in blocked.steps["work"].reason
    after = [(run, name) for run, name in port.let[let:] if concerned(scope, target, name)]
    assert [run for run, _ in after if run == mine] == []
    if scope == "platform":
        assert after == []
        return
    mark = len(port.let)
    await port.until(lambda: sum(run == theirs for run, _ in port.let[mark:]) >= 20)
