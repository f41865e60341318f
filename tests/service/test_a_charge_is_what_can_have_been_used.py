"""A call is charged at most what it can have cost, at a price that is named; what was claimed beyond stands beside it."""

from typing import Any

import pytest

from bailiwick.base import parse_canonical
from bailiwick.budget import HIDDEN
from bailiwick.ports import MOST_TOKENS, Dispatch
from bailiwick.service import InvalidUsage
from platform_kit import ALICE, ROOT, Hand, System

RESERVED = 200
TABLE = "table scripted:* since 1970-01-01T00:00:00.000000Z #"


def asking(n: int = 0) -> dict[str, Any]:
    arguments = {
        "model": "scripted:plain",
        "parameters": {"max_output_tokens": 50},
        "previous": "",
        "messages": [{"role": "user", "text": f"question {n}"}],
    }
    return {"capability": "model:scripted:plain", "arguments": arguments, "input_tokens": 100}


async def begun(system: System, usd: str = "1.00") -> Hand:
    await system.submit(budget_usd=usd)
    hand = await system.hand()
    assert await hand.claim() is not None
    return hand


async def payload(system: System, run: str) -> dict[str, Any]:
    last = (await system.store.ledger.events("acme", run, 0, 500))[-1]
    assert last.payload is not None
    told: dict[str, Any] = parse_canonical(last.payload)
    return told


async def test_a_claim_of_all_the_money_in_the_world_costs_what_the_call_can_have_cost(
    system: System,
) -> None:
    await system.platform.budgets.set(ROOT, "tenant", "", "total", "2.00")
    hand = await begun(system)
    run = hand.assignment.run
    dispatch = await hand.dispatched("model", **asking())
    claimed = {"input_tokens": MOST_TOKENS, "output_tokens": MOST_TOKENS}
    await hand.settle(dispatch, usage=claimed, tries=1, outcome={"said": "x"})
    most = RESERVED + HIDDEN + 2 * len('{"said":"x"}')
    assert await system.spent(run) == most
    (line,) = await system.platform.reading.cost(ALICE, run)
    assert (line.usage_source, line.claimed_input_tokens, line.claimed_output_tokens) == (
        "capped",
        MOST_TOKENS,
        MOST_TOKENS,
    )
    told = await payload(system, run)
    assert told["charge"]["claimed"] == claimed
    assert (await system.refolded(run)).calls[dispatch.key].estimated
    assert isinstance(await hand.act("model", **asking(1)), Dispatch), "the run goes on"
    assert await system.submit(budget_usd="0.90"), "so does the tenant"


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -1, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": -(2**60)},
        {"input_tokens": 2**53, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": 5, "cached_input_tokens": -3},
    ],
)
async def test_a_usage_that_nobody_can_count_is_refused_and_loses_nothing(
    system: System, usage: dict[str, int]
) -> None:
    hand = await begun(system)
    dispatch = await hand.dispatched("model", **asking())
    with pytest.raises(InvalidUsage) as refused:
        await hand.settle(dispatch, usage=usage, tries=1)
    assert refused.value.code == "invalid_usage"
    await hand.settle(dispatch, usage={"input_tokens": 10, "output_tokens": 5}, tries=1)
    assert await system.spent(hand.assignment.run) == 20


async def test_each_charge_names_the_price_that_it_was_made_at(system: System) -> None:
    hand = await begun(system)
    run = hand.assignment.run
    dispatch = await hand.dispatched("model", **asking())
    await hand.settle(dispatch, usage={"input_tokens": 10, "output_tokens": 5}, tries=1)
    assert (await payload(system, run))["charge"]["price"].startswith(TABLE)
    await hand.call("quote")
    assert (await payload(system, run))["charge"]["price"] == "contract shop.quote@1.0.0"
    silent = await hand.dispatched("model", **asking(2))
    await hand.settle(silent, usage=None, tries=1)
    await hand.call("read")
    assert "charge" not in await payload(system, run)
    lines = await system.platform.reading.cost(ALICE, run)
    assert [line.price.partition(" #")[0] for line in lines] == [
        TABLE.removesuffix(" #"),
        "contract shop.quote@1.0.0",
        "reservation",
    ]


async def test_a_try_that_was_lost_is_charged_at_its_reservation_and_says_so(system: System) -> None:
    hand = await begun(system)
    await hand.dispatched("model", **asking())
    await system.crash()
    (line,) = await system.platform.reading.cost(ALICE, hand.assignment.run)
    assert (line.cost_micro_usd, line.price) == (RESERVED, "reservation")
