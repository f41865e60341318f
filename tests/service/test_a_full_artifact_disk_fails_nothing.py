"""What cannot be stored now waits until it can: no run fails for it, no effect happens again, and none begins meanwhile."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.run import Run, Status
from bailiwick.service import StartsRefused
from bailiwick.tools import host
from bailiwick.worker import executor, insisting
from platform_kit import ALICE, System, soon
from shop_kit import Shop

PATIENCE = 12
"""More refusals than anybody waits for who gives up."""
LARGE = "x" * 20_000


class Disk:
    """The disk of the artifacts: it can be full, and counts what it turned away."""

    def __init__(self, system: System, broken: int = errno.ENOSPC) -> None:
        self._blobs: Any = system.store.blobs
        self._fill = self._blobs._fill
        self._errno = broken
        self.refused = 0
        self.full = True
        self._turned = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._blobs._fill = self._filled

    def _filled(self, path: Any, body: bytes) -> None:
        if self.full:
            self.refused += 1
            self._loop.call_soon_threadsafe(self._turned.set)
            raise OSError(self._errno, "no room")
        self._fill(path, body)

    async def turned_away(self, times: int = PATIENCE) -> None:
        """Wait until so many were turned away."""
        while self.refused < times:
            self._turned.clear()
            await soon(self._turned.wait())


@pytest.fixture(autouse=True)
def _nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insisting, "PAUSES", (0.001, 0.002))
    monkeypatch.setattr(executor, "UNSTORED_SECONDS", 0.001)
    monkeypatch.setattr(host, "_PATIENCE_SECONDS", 0.001)


@pytest.fixture
def shop() -> Shop:
    shop = Shop()

    @shop.app.tool("shop.print", effect="external-action", failure_modes=("timeout",))
    async def printed(text: str) -> dict[str, Any]:
        await shop.outside.arrive("print", text)
        return {"pages": text * 20}

    @shop.app.tool("shop.scan", effect="read-only")
    async def scan(text: str) -> dict[str, Any]:
        await shop.outside.arrive("scan", text)
        return {"pages": text * 20}

    async def clerk(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
        name, arguments = given["call"]["tool"], given["call"]["arguments"]
        answer = await ctx.tool(name, arguments)
        return {"pages": LARGE if given["call"].get("large") else "", "keys": sorted(answer)}

    shop.app.agent(
        "scribe",
        output={"type": "object"},
        run=clerk,
        tools=["shop.print", "shop.scan", "shop.mail", "files.write"],
    )
    shop.app.policies["print.cedar"] = (
        '@id("shop.print")\n@reason("what is declared may be printed")\n'
        'permit (principal, action == Action::"tool.call", resource)\n'
        'when { context.declared && resource.name == "shop.print" };'
    )
    step = {"id": "work", "uses": "scribe", "input": {"call": "$.intent.input.call"}}
    shop.workflow(step, input={"type": "object"})
    return shop


CALLS = {
    "a write of the workspace": {"tool": "files.write", "arguments": {"path": "a.txt", "text": "hello"}},
    "a read with a large answer": {"tool": "shop.scan", "arguments": {"text": LARGE}},
    "an external action with a large outcome": {"tool": "shop.mail", "arguments": {"text": LARGE}},
    "a step with a large output": {"tool": "shop.mail", "arguments": {"text": "x"}, "large": True},
}


@pytest.mark.parametrize("what", CALLS)
async def test_a_run_waits_for_room_and_then_completes(
    shop: Shop, open_system: Callable[..., Awaitable[System]], what: str
) -> None:
    system = await open_system(shop)
    run = await system.submit(input={"call": CALLS[what]})
    disk = Disk(system)
    system.work()
    await disk.turned_away()
    waiting = await system.run(run)
    assert waiting.status is Status.EXECUTING
    disk.full = False
    ended: Run = await system.ended(run)
    assert ended.status is Status.COMPLETED, ended.reason
    assert system.outside.count("mail") <= 1
    assert {call.state for call in ended.calls.values()} == {"done"}


async def test_no_run_begins_while_nothing_can_be_stored_and_what_was_accepted_is_still_answered(
    shop: Shop, open_system: Callable[..., Awaitable[System]]
) -> None:
    system = await open_system(shop)
    intent = {"input": {"call": CALLS["a write of the workspace"]}}
    accepted = await system.submit(key="before", **intent)
    disk = Disk(system)
    assert "no room" in await system.store.blobs.probe()
    with pytest.raises(StartsRefused) as refused:
        await system.submit(key="after", **intent)
    assert refused.value.code == "starts_refused"
    assert await system.submit(key="before", **intent) == accepted
    assert [head.id for head in await system.platform.reading.runs(ALICE)] == [accepted]
    await system.platform.control.cancel(ALICE, accepted, "people can still act")
    disk.full = False
    assert await system.store.blobs.probe() == ""
    assert await system.submit(key="after", **intent) != accepted


async def test_a_small_thing_that_fits_does_not_mean_that_there_is_room(system: System) -> None:
    disk = Disk(system)
    with pytest.raises(Exception, match="no room"):
        await system.store.blobs.put("acme", b"x" * 100)
    disk.full = False
    await system.store.blobs.put("acme", b"small")
    assert system.store.blobs.trouble, "what matters may be larger"
    await system.store.blobs.put("acme", b"x" * 100_000)
    assert not system.store.blobs.trouble


async def test_a_disk_that_failed_stays_in_trouble_until_a_restart(system: System) -> None:
    disk = Disk(system, errno.EIO)
    await system.store.blobs.probe()
    disk.full = False
    assert "no room" in await system.store.blobs.probe()
    await system.crash()
    assert await system.store.blobs.probe() == ""
