"""A worker that hears from one call that its session is over ends it: a step that it dropped alone would be nobody's."""

import asyncio
from typing import Any

import pytest

from bailiwick.run import Status
from bailiwick.service import SessionLost
from platform_fixtures import Opener
from platform_kit import PATIENCE, System
from shop_kit import Shop


class CutLine:
    """A worker port whose first action is answered by silence for so long that the session counts as lost."""

    def __init__(self, port: Any, method: str) -> None:
        self._port = port
        self._method = method
        self.cut = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name) if name != self._method or self.cut else self._lost

    async def _lost(self, session: str, _: Any) -> Any:
        self.cut += 1
        raise SessionLost(session)


async def given_back(system: System) -> None:
    """Do the keeper's duty until it finds a step whose session has ended."""
    async with asyncio.timeout(PATIENCE):
        while not await system.platform.recovering.reap():
            await asyncio.sleep(0)


async def test_a_call_that_is_told_so_gives_the_step_back(shop: Shop, open_system: Opener) -> None:
    async def clerk(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
        return dict(await ctx.tool("shop.read", {"text": "x"}))

    shop.scripts["clerk"] = clerk
    shop.workflow({"id": "work", "uses": "clerk", "input": {}})
    system: System = await open_system(shop)
    line = system.port = CutLine(system.port, "act")
    run = await system.submit(input={})
    system.work()
    await given_back(system)
    ended = await system.ended(run)
    assert (ended.status, ended.steps["work"].epoch, ended.steps["work"].attempt, line.cut) == (
        Status.COMPLETED,
        2,
        1,
        1,
    )


@pytest.mark.parametrize("method", ["settle"])
async def test_an_outcome_that_is_told_so_gives_the_step_back(
    shop: Shop, open_system: Opener, method: str
) -> None:
    shop.workflow({"id": "work", "uses": "shop.write", "input": {"text": "x"}})
    system: System = await open_system(shop)
    system.port = CutLine(system.port, method)
    run = await system.submit(input={})
    system.work()
    await given_back(system)
    assert (await system.ended(run)).status is Status.COMPLETED
    assert shop.outside.count("write") >= 1
