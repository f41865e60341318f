"""Shared budgets: runs take their allotments from tenant, app and feature, and give back what they do not need."""

import asyncio

import pytest

from bailiwick.base import Refusal
from bailiwick.ports import Budget
from bailiwick.service import ScopeExhausted
from platform_kit import ALICE, MALLORY, ROOT, Hand, System
from shop_kit import Shop

SCOPES = [("tenant", ""), ("app", "shop"), ("feature", "search")]
FEATURE = {"labels": {"feature": "search"}}
MILLION = 1_000_000


async def set_to(
    system: System, usd: str, scope: str = "app", name: str = "shop", per: str = "day"
) -> Budget:
    return await system.platform.budgets.set(ROOT, scope, name, per, usd)


async def taken(system: System) -> list[int]:
    return [each.taken_micro_usd for each in await system.platform.budgets.show(ALICE)]


async def drained(hand: Hand) -> None:
    """Finish every run that waits for its one step."""
    while await hand.claim() is not None:
        await hand.finish({})


@pytest.mark.parametrize("per", ["day", "total"])
@pytest.mark.parametrize(("scope", "name"), SCOPES)
async def test_of_64_submissions_exactly_the_ten_that_fit_are_admitted(
    system: System, scope: str, name: str, per: str
) -> None:
    await set_to(system, "5.00", scope, name, per)
    asked = [system.submit(budget_usd="0.50", key=f"key-{n}", **FEATURE) for n in range(64)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, ScopeExhausted)]
    admitted = [each for each in outcomes if isinstance(each, str)]
    assert (len(admitted), len(refused)) == (10, 54)
    assert await taken(system) == [5 * MILLION]
    (known,) = {each.code for each in refused}
    assert known == "budget_exhausted"
    assert refused[0].facts["left"] == 0
    assert f"{scope}" in refused[0].message
    assert f"bailiwick budgets set {f'{scope} {name}'.strip()} --per {per} --limit-usd" in refused[0].remedy
    events = await system.store.ledger.events("acme", "tenant:acme", 0, 500)
    assert sum(b'"kind":"intent.refused"' in event.header for event in events) == 54
    assert sum(b'"kind":"budget.set"' in event.header for event in events) == 1


async def test_a_closed_run_gives_back_what_it_did_not_spend(system: System) -> None:
    await set_to(system, "0.50")
    run = await system.submit(budget_usd="0.50")
    with pytest.raises(ScopeExhausted):
        await system.submit(budget_usd="0.01")
    hand = await system.hand()
    await hand.claim()
    await hand.call("quote")
    await hand.finish({})
    assert (await system.refolded(run)).closed is not None
    assert await taken(system) == [500]
    await system.submit(budget_usd="0.4995")
    assert await taken(system) == [500_000]


@pytest.mark.parametrize("limit", ["1.00", "0.40"])
async def test_one_key_takes_once_and_is_never_refused_for_what_it_took_itself(
    system: System, limit: str
) -> None:
    await set_to(system, limit)
    first = [system.submit(budget_usd="0.40", key="same") for _ in range(16)]
    assert len(set(await asyncio.gather(*first))) == 1
    assert await taken(system) == [400_000]


async def test_a_run_takes_from_every_scope_that_it_is_in_and_from_no_other(system: System) -> None:
    for scope, name in (*SCOPES, ("app", "other"), ("feature", "other")):
        await set_to(system, "1.00", scope, name, "total")
    await system.submit(budget_usd="0.25", **FEATURE)
    await system.submit(budget_usd="0.25")
    listed = {each.id: each.taken_micro_usd for each in await system.platform.budgets.show(ALICE)}
    assert listed == {
        "app:other/total": 0,
        "app:shop/total": 500_000,
        "feature:other/total": 0,
        "feature:search/total": 250_000,
        "tenant/total": 500_000,
    }


async def test_a_top_up_takes_from_the_scopes_too_and_is_refused_beyond_them(system: System) -> None:
    await set_to(system, "0.0012")
    run = await system.submit(budget_usd="0.0007")
    hand = await system.hand()
    await hand.claim()
    await hand.call("quote", "first")
    await hand.act("quote", "second")
    with pytest.raises(ScopeExhausted) as refused:
        await system.platform.control.resume(ALICE, run, add_micro_usd=600)
    assert refused.value.facts["left"] == 500
    assert (await system.refolded(run)).allotment.limit == 700
    await system.platform.control.resume(ALICE, run, add_micro_usd=500)
    assert await taken(system) == [1200]
    await hand.claim()
    await hand.call("quote", "first")
    await hand.call("quote", "second")
    await hand.finish({})
    assert await taken(system) == [1000]
    assert (await system.refolded(run)).allotment.spent == 1000


async def test_a_day_begins_at_midnight_utc(system: System) -> None:
    await set_to(system, "0.50")
    await system.submit(budget_usd="0.50")
    with pytest.raises(ScopeExhausted):
        await system.submit(budget_usd="0.50")
    system.clock.advance(86_400)
    await system.submit(budget_usd="0.50")
    (view,) = await system.platform.budgets.show(ALICE)
    assert view.day == system.platform.budgets.today()


async def test_the_books_agree_after_a_crash_and_when_all_is_done(shop: Shop, open_system) -> None:
    shop.workflow()
    system = await open_system(shop)
    await set_to(system, "3.00", per="total")
    for _ in range(6):
        await system.submit(budget_usd="0.50")
    await system.crash()
    with pytest.raises(ScopeExhausted):
        await system.submit(budget_usd="0.50")
    await drained(await system.hand())
    assert await taken(system) == [0]


async def test_only_an_admin_of_the_tenant_sets_a_budget(system: System) -> None:
    with pytest.raises(Refusal) as forbidden:
        await system.platform.budgets.set(ALICE, "tenant", "", "day", "1")
    assert forbidden.value.code == "forbidden"
    await system.platform.budgets.set(MALLORY, "tenant", "", "day", "0.01")
    await system.submit(budget_usd="0.50")
    assert await taken(system) == []


@pytest.mark.parametrize(
    ("scope", "name", "per"),
    [("tenant", "x", "day"), ("app", "", "day"), ("run", "x", "day"), ("app", "shop", "week"), ("", "", "")],
)
async def test_a_scope_that_there_is_not_is_refused(system: System, scope: str, name: str, per: str) -> None:
    with pytest.raises(Refusal) as refused:
        await system.platform.budgets.set(ROOT, scope, name, per, "1")
    assert refused.value.code == "invalid_budget_scope"
