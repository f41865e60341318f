"""A worker that hears from one call that its session is over ends it: a step that it dropped alone would be nobody's."""

from typing import Any

from bailiwick.run import Status
from cut_line_kit import CutLine, given_back
from platform_fixtures import Opener
from platform_kit import System
from shop_kit import Shop


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


async def test_an_outcome_that_is_told_so_gives_the_step_back(shop: Shop, open_system: Opener) -> None:
    shop.workflow({"id": "work", "uses": "shop.write", "input": {"text": "x"}})
    system: System = await open_system(shop)
    system.port = CutLine(system.port, "settle")
    run = await system.submit(input={})
    system.work()
    await given_back(system)
    assert (await system.ended(run)).status is Status.COMPLETED
    assert shop.outside.count("write") >= 1
