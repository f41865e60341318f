"""Reserved and spent never exceed the limit, at any prefix of the log, however many calls ask at once."""

import asyncio
import random
from typing import Any

import pytest

from bailiwick.base import Refusal
from bailiwick.ports import Dispatch, Parked
from bailiwick.run import Run, Status, decode_event, evolve
from bailiwick.service import Sharing
from platform_kit import ALICE, Hand, System
from world_kit import JsonPort

WIDTH = 64
PRICE = 500
FITS = 10


async def prefixes(system: System, run: str) -> list[Run]:
    """Fold the log event by event; what was true after each."""
    state: Run | None = None
    found: list[Run] = []
    for stored in await system.store.ledger.events("acme", run, 0, 5000):
        state = evolve(state, decode_event(stored.header))
        found.append(state)
    return found


async def overshoot(system: System, run: str) -> int:
    """Tell by how much the limit was exceeded at the worst instant of the log."""
    states = await prefixes(system, run)
    assert len(states) > FITS
    return max(state.allotment.reserved + state.allotment.spent - state.allotment.limit for state in states)


async def begun(system: System, usd: str) -> Hand:
    await system.submit(budget_usd=usd)
    hand = await system.hand()
    assert await hand.claim() is not None
    return hand


async def test_64_calls_at_once_on_a_budget_of_ten_are_ten(system: System) -> None:
    hand = await begun(system, "0.005")
    answers = await asyncio.gather(*(hand.act("quote", f"{n}") for n in range(WIDTH)), return_exceptions=True)
    let = [answer for answer in answers if isinstance(answer, Dispatch)]
    assert len(let) == FITS
    assert all(isinstance(answer, Dispatch | Parked | Refusal) for answer in answers)
    run = hand.assignment.run
    state = await system.refolded(run)
    assert (state.allotment.reserved, state.status) == (FITS * PRICE, Status.BLOCKED)
    for dispatch in let:
        await hand.settle(dispatch)
    assert await overshoot(system, run) == 0
    assert await system.spent(run) == FITS * PRICE
    reason = (await system.refolded(run)).steps["work"].reason
    assert "budget exhausted" in reason
    assert f"an operator may raise it: bailiwick runs resume {run} --add-usd" in reason


async def test_64_calls_through_two_processes_are_ten_too(system: System) -> None:
    """Two platforms share nothing but the store; its guard on the run's version decides who was first."""
    hand = await begun(system, "0.005")
    other = system.make_platform(Sharing("acme", shared=True))
    await other.start()
    ports = (hand.port, JsonPort(other))
    asked = [ports[n % 2].act(hand.session, hand.proposal("quote", f"{n}")) for n in range(WIDTH)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    let = [answer for answer in answers if isinstance(answer, Dispatch)]
    assert len(let) == FITS
    assert len({dispatch.key for dispatch in let}) == FITS
    run = hand.assignment.run
    assert await overshoot(system, run) == 0
    assert (await system.refolded(run)).allotment.reserved == FITS * PRICE


def asking(n: int) -> dict[str, Any]:
    arguments = {
        "model": "scripted:plain",
        "parameters": {"max_output_tokens": 50},
        "previous": "",
        "messages": [{"role": "user", "text": f"question {n}"}],
    }
    return {"capability": "model:scripted:plain", "arguments": arguments, "input_tokens": 100}


@pytest.mark.parametrize("seed", range(3))
async def test_calls_that_cost_less_than_their_estimate_make_room_and_never_too_much(
    system: System, seed: int
) -> None:
    """Estimate 200 each on 2000: ends and begins in any order; what is left over is used, and no more."""
    chance = random.Random(seed)
    hand = await begun(system, "0.002")

    async def one(n: int) -> int:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        answer = await hand.act("model", **asking(n))
        if not isinstance(answer, Dispatch):
            return 0
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        used = {"input_tokens": chance.randrange(1, 101), "output_tokens": chance.randrange(51)}
        await hand.settle(answer, usage=used, tries=1)
        return 1

    done = await asyncio.gather(*(one(n) for n in range(WIDTH)), return_exceptions=True)
    assert sum(each for each in done if isinstance(each, int)) >= FITS
    run = hand.assignment.run
    assert await overshoot(system, run) <= 0
    assert (await system.refolded(run)).allotment.reserved == 0
    await system.spent(run)


async def test_a_limit_is_exceeded_by_the_error_of_estimates_in_flight_alone(system: System) -> None:
    hand = await begun(system, "0.002")
    let = [await hand.dispatched("model", **asking(n)) for n in range(FITS)]
    excess = 0
    for dispatch in let:
        await hand.settle(dispatch, usage={"input_tokens": 150, "output_tokens": 60}, tries=1)
        excess += 150 + 2 * 60 - 200
    run = hand.assignment.run
    assert await overshoot(system, run) == excess
    assert isinstance(await hand.act("model", **asking(99)), Parked), "after that nothing more begins"


async def test_the_agent_is_told_to_finish_and_then_it_is_stopped(system: System) -> None:
    """Soft, then hard: the answer that reaches 80 % says so, also when it is replayed; the next limit blocks."""
    hand = await begun(system, "0.005")
    told = [(await hand.call("quote", f"{n}")).soft_limit for n in range(FITS)]
    assert told == [False] * 7 + [True] * 3
    assert (await hand.act("quote", "9")).soft_limit
    assert isinstance(await hand.act("quote", "one more"), Parked)
    run = hand.assignment.run
    assert (await system.refolded(run)).status is Status.BLOCKED
    assert system.outside.count("quote") == FITS
    await system.platform.control.resume(ALICE, run, add_micro_usd=2 * PRICE)
    assert await hand.claim() is not None
    assert (await hand.call("quote", "one more")).soft_limit, "11 of 12 are more than 80 %"
    assert await overshoot(system, run) == 0


REPORTED = {"input_tokens": 10, "output_tokens": 5}
GUESSED = {**REPORTED, "source": "estimated"}
NOTHING = {"input_tokens": 0, "output_tokens": 0}
ENDS = [
    # how it ended, what is said of its use, tries; what it costs, whether that is marked as estimated
    ("done", REPORTED, 1, 20, False),
    ("done", GUESSED, 1, 20, True),
    ("done", None, 1, 200, True),
    ("done", NOTHING, 1, 200, True),
    ("failed", GUESSED, 1, 20, True),
    ("failed", None, 1, 200, True),
    ("canceled", GUESSED, 1, 20, True),
    ("canceled", None, 1, 200, True),
    ("canceled", NOTHING, 1, 200, True),
    ("lost", GUESSED, 1, 20, True),
    ("lost", None, 1, 200, True),
    ("lost", NOTHING, 2, 200, True),
]


async def test_no_model_call_that_was_sent_is_settled_for_nothing(system: System) -> None:
    hand = await begun(system, "1.00")
    run = hand.assignment.run
    free = 0
    for n, (state, usage, tries, cost, marked) in enumerate(ENDS):
        dispatch = await hand.dispatched("model", **asking(n))
        before = (await system.refolded(run)).allotment.spent
        await hand.settle(dispatch, state, usage=usage, tries=tries)
        after = await system.refolded(run)
        assert (after.allotment.spent - before, after.calls[dispatch.key].estimated) == (cost, marked), ENDS[
            n
        ]
        free += after.allotment.spent == before
    assert (free, len(ENDS)) == (0, 12)
    unsent = await hand.dispatched("model", **asking(99))
    before = await system.spent(run)
    await hand.settle(unsent, "failed", usage=NOTHING, tries=0)
    assert await system.spent(run) == before


async def test_a_call_that_dies_with_its_worker_is_charged_at_its_reservation(system: System) -> None:
    hand = await begun(system, "1.00")
    run = hand.assignment.run
    for n in range(5):
        await hand.dispatched("model", **asking(n))
    await system.crash()
    assert await system.spent(run) == 5 * 200
    calls = (await system.refolded(run)).calls.values()
    assert all(call.estimated and call.cost == 200 for call in calls)
