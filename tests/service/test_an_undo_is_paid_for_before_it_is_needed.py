"""What a compensation may cost is set aside before its step begins: the forward step lacks money, never the undo."""

from collections.abc import Awaitable, Callable

import pytest

from bailiwick.budget import format_usd
from bailiwick.contract import ErrorCategory
from bailiwick.plan import PlanRefused
from bailiwick.run import Status, StepStatus
from platform_kit import ALICE, System
from saga_kit import compensated, done, made, roll_back, stock
from shop_kit import Shop

Open = Callable[..., Awaitable[System]]
PRICE = 1_000
TRIES = 2


def quotes(times: int) -> dict[str, object]:
    """Spend 500 micro-USD in each turn."""
    quote = {"id": "quote", "uses": "shop.quote", "input": {"text": "x"}}
    return {**quote, "repeat": {"until": "steps.quote.output.said == 'no'", "max": times}}


async def test_a_rollback_works_though_all_else_is_spent(shop: Shop, open_system: Open) -> None:
    depot = stock(shop, price=PRICE)
    shop.workflow(made("a"), made("b"), quotes(2))
    system = await open_system(shop)
    system.work()
    run = await system.submit(budget_usd=format_usd(2 * TRIES * PRICE + 900))
    blocked = await system.status(run, Status.BLOCKED)
    assert (blocked.allotment.reserved, blocked.allotment.spent) == (2 * TRIES * PRICE, 500)
    assert "budget exhausted" in blocked.steps["quote[2]"].reason
    depot.stumbles["b"] = 1
    await roll_back(system, run)
    ended = await system.ended(run)
    assert ended.status is Status.ROLLED_BACK
    assert compensated(ended) == ["a", "b"]
    assert ended.allotment.reserved == 0
    assert await system.spent(run) == 500 + 3 * PRICE


async def test_money_that_lacks_for_the_undo_blocks_the_step_before_it_does_anything(
    shop: Shop, open_system: Open
) -> None:
    depot = stock(shop, price=PRICE)
    wire = {"id": "wire", "uses": "shop.wire", "input": {"text": "x"}}
    shop.workflow(wire, made("a", when="intent.title == 'x'"))
    system = await open_system(shop)
    system.work()
    run = await system.submit(title="x", budget_usd=format_usd(TRIES * PRICE + 299))
    blocked = await system.status(run, Status.BLOCKED)
    assert blocked.steps["a"].status is StepStatus.BLOCKED
    assert blocked.steps["a"].reason.startswith("budget exhausted for its compensation")
    assert depot.effects == []
    await system.platform.control.resume(ALICE, run, add_micro_usd=1)
    ended = await system.ended(run)
    assert (ended.status, depot.things) == (Status.COMPLETED, {"a": 1})


async def test_what_is_set_aside_is_free_once_the_run_ends_and_taken_again_for_its_rollback(
    shop: Shop, open_system: Open
) -> None:
    depot = stock(shop, price=PRICE)
    shop.workflow(made("a"), made("b"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    assert (run.allotment.reserved, run.steps["a"].aside) == (0, TRIES * PRICE)
    depot.refusing["b"] = ErrorCategory.TOOL_FAILED
    await roll_back(system, run.id)
    blocked = await system.status(run.id, Status.BLOCKED)
    assert blocked.allotment.reserved == TRIES * PRICE, "a's is kept while b's is being spent"
    depot.refusing.clear()
    await system.platform.control.resume(ALICE, run.id)
    assert (await system.ended(run.id)).allotment.reserved == 0


async def test_a_budget_that_cannot_pay_for_the_undo_is_refused_before_a_run_exists(
    shop: Shop, open_system: Open
) -> None:
    stock(shop, price=PRICE)
    shop.workflow(made("a"))
    system = await open_system(shop)
    with pytest.raises(PlanRefused) as refused:
        await system.submit(budget_usd=format_usd(TRIES * PRICE - 1))
    assert [finding["code"] for finding in refused.value.facts["findings"]] == ["over_allotment"]
