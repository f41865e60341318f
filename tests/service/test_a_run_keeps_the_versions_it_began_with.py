"""A run holds on to the contracts that it was compiled with; a newer version serves it only when the old one is gone."""

import pytest

from bailiwick.ports import Parked
from bailiwick.run import Status
from platform_kit import ALICE, Hand, System
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long


def second_edition(version: str, *, keep_old: bool) -> Shop:
    """The same shop with another version of a tool."""
    shop = Shop()
    if not keep_old:
        shop.app.tools = [tool for tool in shop.app.tools if tool.name != "shop.write"]

    @shop.app.tool("shop.write", effect="idempotent-write", version=version)
    async def write(text: str, key: str) -> dict[str, str]:
        await shop.outside.arrive(f"write {version}", text, key)
        return {"said": f"{text}, said by {version}"}

    shop.workflow()
    return shop


async def reopened(system: System, shop: Shop) -> Hand:
    system.shops = (shop,)
    await system.crash()
    hand = await system.hand("next")
    assert await hand.claim() is not None
    return hand


async def test_a_newer_version_beside_the_old_one_changes_nothing(system: System, started: Hand) -> None:
    first = await started.call("write", "before")
    hand = await reopened(system, second_edition("1.1.0", keep_old=True))
    assert (await hand.act("write", "before")).key == first.key
    dispatch = await hand.dispatched("write", "after")
    assert dispatch.capability == "shop.write@1.0.0"


async def test_a_compatible_version_serves_when_the_old_one_is_gone(system: System, started: Hand) -> None:
    hand = await reopened(system, second_edition("1.1.0", keep_old=False))
    assert (await hand.call("write", "after")).outcome == {"said": "after, said by 1.1.0"}


async def test_another_major_version_does_not_serve(system: System, started: Hand) -> None:
    hand = await reopened(system, second_edition("2.0.0", keep_old=False))
    answer = await hand.act("write", capability="shop.write@1")
    assert isinstance(answer, Parked)
    assert "shop.write@1.0.0 is gone" in answer.reason
    assert answer.reason.endswith(f"then: bailiwick runs resume {hand.assignment.run}")
    assert hand.system.outside.calls == []


async def test_a_step_that_nobody_can_serve_any_more_can_still_be_canceled(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    gone = Shop()
    gone.app.agents.pop("clerk@1.0.0")
    system.shops = (gone,)
    await system.crash()
    assert await (await system.hand("next")).claim() is None
    await system.platform.control.cancel(ALICE, run)
    assert (await system.run(run)).status is Status.CANCELED


async def test_an_app_that_is_gone_leaves_its_runs_readable_and_cancelable(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    await started.call("read")
    system.shops = (Shop("another"),)
    await system.crash()
    assert (await system.platform.reading.detail(ALICE, run)).head.id == run
    await system.platform.control.cancel(ALICE, run)
    assert (await system.run(run)).status is Status.CANCELED


async def test_agents_of_one_name_in_two_apps_do_not_meet(shop: Shop, open_system) -> None:
    shop.workflow()
    other = Shop("other")
    other.app.agent("clerk", output={"count": int}, tools=["shop.undeclared"])
    other.workflow()
    system: System = await open_system(shop, other)
    run = await system.submit(app="shop")
    hand = await system.hand()
    await hand.claim()
    assert (await hand.act("undeclared")).state == "refused"
    await hand.finish({"anything": True})
    assert (await system.run(run)).status is Status.COMPLETED
