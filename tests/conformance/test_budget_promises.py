"""Shared budgets: what is taken is there, whoever is first; a day begins at zero; what is given back may be taken again."""

import asyncio

import msgspec
import pytest
from conformance_shapes import opening

from bailiwick.base import Instant
from bailiwick.ports import Budget, GuardFailed, Taking, Unit
from bailiwick.stores import SqliteStore

DAY = 20_000


def budget(**other: object) -> Budget:
    made = Budget("app:shop/day", "acme", "app", "shop", "day", 100, "root", Instant(1))
    return msgspec.structs.replace(made, **other)


def taking(amount: int, day: int = DAY, id: str = "app:shop/day") -> Taking:
    return Taking("acme", id, day, amount)


async def held(store: SqliteStore) -> tuple[int, int]:
    (found,) = await store.views.budgets("acme")
    return found.day, found.taken_micro_usd


async def test_a_budget_comes_back_as_it_was_set_and_belongs_to_its_tenant(store: SqliteStore) -> None:
    other = budget(id="tenant/total", scope="tenant", name="", period="total")
    await store.ledger.commit(Unit("acme", budgets=(other, budget())))
    assert list(await store.views.budgets("acme")) == [budget(), other]
    assert list(await store.views.budgets("evil")) == []
    with pytest.raises(ValueError, match="tenant"):
        await store.ledger.commit(Unit("evil", taken=(taking(1),)))


async def test_of_64_units_that_take_ten_fit_and_every_other_writes_nothing(store: SqliteStore) -> None:
    await store.ledger.commit(Unit("acme", budgets=(budget(),)))
    units = [opening(f"run_{n}", taken=(taking(10),)) for n in range(64)]
    outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(type(None)) == 10
    refused = [outcome for outcome in outcomes if isinstance(outcome, GuardFailed)]
    assert len(refused) == 54
    assert {(each.facts["guard"], each.facts["id"]) for each in refused} == {("budget", "app:shop/day")}
    assert await held(store) == (DAY, 100)
    opened = [run for run in range(64) if await store.ledger.events("acme", f"run_{run}", 0, 9)]
    assert opened == [run for run, outcome in enumerate(outcomes) if outcome is None]


async def test_a_unit_that_takes_from_two_takes_from_both_or_none(store: SqliteStore) -> None:
    small = budget(id="tenant/total", scope="tenant", name="", period="total", limit_micro_usd=5)
    await store.ledger.commit(Unit("acme", budgets=(budget(), small)))
    with pytest.raises(GuardFailed):
        await store.ledger.commit(opening("run_a", taken=(taking(10), taking(10, 0, "tenant/total"))))
    assert [each.taken_micro_usd for each in await store.views.budgets("acme")] == [0, 0]


async def test_a_new_day_begins_at_zero_and_a_clock_that_is_behind_takes_from_the_day_that_began(
    store: SqliteStore,
) -> None:
    await store.ledger.commit(Unit("acme", budgets=(budget(),)))
    await store.ledger.commit(Unit("acme", taken=(taking(90),)))
    await store.ledger.commit(Unit("acme", taken=(taking(60, DAY + 1),)))
    assert await held(store) == (DAY + 1, 60)
    await store.ledger.commit(Unit("acme", taken=(taking(40),)))
    assert await held(store) == (DAY + 1, 100)
    with pytest.raises(GuardFailed):
        await store.ledger.commit(Unit("acme", taken=(taking(1),)))


async def test_what_is_given_back_may_be_taken_again_but_not_on_another_day(store: SqliteStore) -> None:
    await store.ledger.commit(Unit("acme", budgets=(budget(),)))
    await store.ledger.commit(Unit("acme", taken=(taking(100),)))
    await store.ledger.commit(Unit("acme", returned=(taking(30),)))
    await store.ledger.commit(Unit("acme", taken=(taking(30),)))
    await store.ledger.commit(Unit("acme", taken=(taking(50, DAY + 1),)))
    await store.ledger.commit(Unit("acme", returned=(taking(70),)))
    assert await held(store) == (DAY + 1, 50)


async def test_what_is_given_back_goes_to_its_own_budget_alone(store: SqliteStore) -> None:
    other = budget(id="tenant/total", scope="tenant", name="", period="total")
    await store.ledger.commit(Unit("acme", budgets=(budget(), other)))
    await store.ledger.commit(Unit("evil", budgets=(budget(tenant="evil"),)))
    foreign = msgspec.structs.replace(taking(50), tenant="evil")
    await store.ledger.commit(Unit("evil", taken=(foreign,)))
    await store.ledger.commit(Unit("acme", taken=(taking(50), taking(50, id="tenant/total"))))
    await store.ledger.commit(Unit("acme", returned=(taking(20),)))
    assert [each.taken_micro_usd for each in await store.views.budgets("acme")] == [30, 50]
    assert [each.taken_micro_usd for each in await store.views.budgets("evil")] == [50]


async def test_a_cost_beyond_an_allotment_is_booked_in_any_case(store: SqliteStore) -> None:
    await store.ledger.commit(Unit("acme", budgets=(budget(),)))
    await store.ledger.commit(Unit("acme", taken=(taking(100),)))
    await store.ledger.commit(Unit("acme", returned=(taking(-7),)))
    assert await held(store) == (DAY, 107)


async def test_a_limit_that_is_set_again_keeps_what_is_taken(store: SqliteStore) -> None:
    await store.ledger.commit(Unit("acme", budgets=(budget(),)))
    await store.ledger.commit(Unit("acme", taken=(taking(80),)))
    await store.ledger.commit(Unit("acme", budgets=(budget(limit_micro_usd=50, set_by="ann"),)))
    (found,) = await store.views.budgets("acme")
    assert (found.limit_micro_usd, found.taken_micro_usd, found.set_by) == (50, 80, "ann")
    with pytest.raises(GuardFailed):
        await store.ledger.commit(Unit("acme", taken=(taking(1),)))
