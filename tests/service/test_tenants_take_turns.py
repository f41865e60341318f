"""Whoever comes with one run waits for turns, not for all that others have queued before."""

import itertools

import msgspec
import pytest

from bailiwick.base import Instant
from bailiwick.ports import Task, TaskState
from bailiwick.service import InvalidIntent
from bailiwick.service.core.turns import NORMAL, Lane, Ring, Turns
from bailiwick.service.hands.finishing import TURN_STEPS
from platform_kit import ALICE, MALLORY, System, person
from shop_kit import Shop

NOW = Instant(10**15)
KEYS = frozenset({"write@1"})


def task(tenant: str, number: int, *, app: str = "app", priority: int = NORMAL) -> Task:
    return Task(
        id=f"{tenant}-{app}-{priority}-{number:04}",
        tenant=tenant,
        run="run",
        step="step",
        call="",
        capability="write@1",
        pool="default",
        priority=priority,
        state=TaskState.QUEUED,
        epoch=0,
        session="",
        due_at=Instant(number),
        timeout_at=Instant(0),
        app=app,
    )


def one_by_one(turns: Turns, queued: list[Task], count: int) -> list[Task]:
    """Draw with a single free place again and again, as the queue empties."""
    drawn: list[Task] = []
    for _ in range(count):
        (taken,) = turns.draw([each for each in queued if each not in drawn], 1, KEYS, NOW)
        drawn.append(taken)
    return drawn


def test_a_tenant_that_comes_last_is_served_next_and_then_at_every_second_turn() -> None:
    turns = Turns()
    flood = [task("flood", number) for number in range(160)]
    one_by_one(turns, flood, 40)
    mine = [task("mine", 1000 + number) for number in range(5)]
    order = [each.tenant for each in one_by_one(turns, flood[40:] + mine, 9)]
    assert order == ["mine", "flood", "mine", "flood", "mine", "flood", "mine", "flood", "mine"]


def test_apps_of_a_tenant_share_its_turns_and_take_none_of_another() -> None:
    turns = Turns()
    queued = [task("a", number, app=app) for number in range(20) for app in ("one", "two", "three")]
    queued += [task("b", number) for number in range(30)]
    drawn = one_by_one(turns, queued, 24)
    assert [each.tenant for each in drawn].count("b") == 12
    assert [each.app for each in drawn if each.tenant == "a"] == ["one", "three", "two"] * 4


def test_weights_are_turns() -> None:
    turns = Turns({"heavy": 3.0, "light": 1.0}.__getitem__)
    queued = [task(tenant, number) for number in range(40) for tenant in ("heavy", "light")]
    drawn = [each.tenant for each in one_by_one(turns, queued, 40)]
    assert drawn.count("heavy") == 30
    assert all("light" in drawn[at : at + 5] for at in range(0, 35, 5))


def test_a_higher_priority_goes_first_and_a_lower_one_does_not_starve() -> None:
    turns = Turns()
    queued = [task("a", number) for number in range(80)]
    one_by_one(turns, queued, 10)
    queued = queued[10:] + [task("a", 1000 + number, priority=NORMAL + 1) for number in range(80)]
    drawn = one_by_one(turns, queued, 50)
    assert {each.priority for each in drawn[:4]} == {NORMAL + 1}
    assert [each.priority for each in drawn].count(NORMAL) == 10
    third = [task("b", number) for number in range(3)]
    third += [task("b", 1000 + number, priority=NORMAL + 3) for number in range(3)]
    assert [each.priority - NORMAL for each in one_by_one(Turns(), third, 6)] == [3, 3, 3, 0, 0, 0]


def test_in_a_lane_the_longest_due_goes_first_whatever_capability_it_needs() -> None:
    queued = [task("a", number) for number in (3, 1, 2)]
    queued.append(msgspec.structs.replace(task("a", 0), capability="read@1"))
    drawn = Turns().draw(queued, 3, frozenset({"write@1", "read@1"}), NOW)
    assert [each.due_at for each in drawn] == [0, 1, 2]
    assert Turns().draw([], 3, KEYS, NOW) == ()
    assert len(Turns().draw(queued, 9, KEYS, NOW)) == 4


def test_who_was_idle_has_saved_up_nothing_and_owes_nothing() -> None:
    ring = Ring()
    for _ in range(1000):
        ring.serve("busy", 1.0)
    assert ring.begins("busy") - ring.begins("new") == 1.0
    ring.serve("new", 1.0)
    assert ring.begins("new") == ring.begins("busy")


def test_a_ring_forgets_only_what_makes_no_difference() -> None:
    ring, plain = Ring(), Ring()
    for number in range(9000):
        ring.serve("busy", 1.0)
        ring.serve(f"tenant-{number}", 1.0)
    assert len(ring._ends) < 2100
    plain.serve("tenant-0", 1.0)
    ring.serve("again", 1.0)
    assert ring.begins("again") - ring.begins("new") == 1.0 == plain.begins("tenant-0")


def test_a_run_gives_way_only_to_whoever_is_before_it_and_can_be_served() -> None:
    turns, mine, other = Turns(), Lane("mine", "app", NORMAL), Lane("other", "app", NORMAL)
    turns.serve(mine)
    assert not turns.yields(mine, KEYS, NOW)
    turns.waits(mine)
    assert not turns.yields(mine, KEYS, NOW), "its own lane is no reason to stop"
    turns.waits(other)
    assert turns.yields(mine, KEYS, NOW)
    turns.draw([task("mine", 1)], 1, KEYS, NOW)
    assert not turns.yields(mine, KEYS, NOW), "the queue was looked at: nobody else is in it"
    turns.draw([task("mine", 3), task("other", 2)], 0, KEYS, NOW)
    assert turns.yields(mine, KEYS, NOW)
    assert not turns.yields(other, KEYS, NOW)
    turns.draw([], 1, KEYS, NOW)
    foreign = msgspec.structs.replace(task("other", 2), capability="else@1")
    turns.draw([foreign], 0, frozenset({"else@1"}), NOW)
    assert not turns.yields(mine, KEYS, NOW), "these hands serve none of it"
    assert turns.yields(mine, frozenset({"else@1"}), NOW)


def test_what_another_process_queued_is_looked_for_but_not_at_every_step() -> None:
    turns, mine = Turns(), Lane("mine", "app", NORMAL)
    turns.draw([], 1, KEYS, NOW)
    turns.heard()
    assert not turns.yields(mine, KEYS, Instant(NOW + 50_000))
    assert turns.yields(mine, KEYS, Instant(NOW + 50_001))
    turns.draw([], 1, KEYS, Instant(NOW + 50_001))
    assert not turns.yields(mine, KEYS, Instant(NOW + 10**9))


async def served(system: System, until: str) -> list[tuple[str, str]]:
    """Work with one hand, one step at a time, until a run is over; tell whose steps were served."""
    hand = await system.hand()
    order: list[tuple[str, str]] = []
    while not order or (await system.run(until, order_tenant(system, until))).closed is None:
        at = await hand.claim()
        assert at is not None
        while at is not None:
            order.append((at.tenant, at.app))
            at = await hand.finish({})
    return order


def order_tenant(system: System, run: str) -> str:
    return system.platform.runs.memory.known(run).run.tenant  # type: ignore[union-attr]


@pytest.mark.parametrize("handed", ["claimed", "chained"])
async def test_behind_160_runs_of_another_a_run_is_served_after_a_turn_for_each_of_its_own(
    shop: Shop, open_system, handed: str
) -> None:
    shop.workflow(*[{"id": f"s{n}", "uses": "clerk", "input": {}} for n in range(5)])
    system = await open_system(shop)
    system.clock.stop()
    for _ in range(160):
        await system.submit()
    hand = await system.hand()
    if handed == "chained":  # the flood's own run is in hand, and would go on for long
        await hand.claim()
    run = await system.submit(who=person("mallory", MALLORY.role or "", "evil"))  # type: ignore[arg-type]
    before = 0
    while handed == "chained" and await hand.finish({}) is not None:
        before += 1
    order = await served(system, run)
    foreign = [tenant for tenant, _ in order].count("acme")
    assert before <= TURN_STEPS
    assert foreign <= 5 + TURN_STEPS


async def test_an_app_and_a_low_priority_wait_behind_no_flood_either(bundle, open_system) -> None:
    first, second = Shop("first"), Shop("second")
    for each in (first, second):
        each.workflow({"id": "work", "uses": "clerk", "input": {}})
    system = await open_system(first, second)
    system.clock.stop()
    for _ in range(40):
        await system.submit(app="first", priority=3)
    other = await system.submit(app="second", priority=-3)
    order = await served(system, other)
    assert len(order) <= 1 + TURN_STEPS


async def test_a_submission_takes_no_place_from_whoever_waits_already(shop: Shop, open_system) -> None:
    shop.workflow({"id": "work", "uses": "clerk", "input": {}})
    system = await open_system(shop)
    hand = await system.hand()
    session = system.platform.sessions.find(hand.session)
    flood = await system.submit()
    assert (await hand.claim()).run == flood
    mine = await system.submit(who=MALLORY)  # nobody waits for work: it is queued
    session.room = 1  # as it is while the session has not come to look yet
    late = await system.submit()
    assert session.given == []
    session.room = 0
    assert (await hand.claim()).run == mine
    assert (await hand.claim()).run == late


async def test_a_priority_is_bounded_and_on_record(shop: Shop, open_system) -> None:
    shop.workflow({"id": "work", "uses": "clerk", "input": {}})
    system = await open_system(shop)
    for wrong in (4, -4, 2**62):
        with pytest.raises(InvalidIntent) as refusal:
            await system.submit(priority=wrong)
        assert refusal.value.facts["pointer"] == "/priority"
    low, high = await system.submit(priority=-3), await system.submit(priority=3)
    assert [(await system.refolded(run)).priority for run in (low, high)] == [-3, 3]
    assert [event.get("priority", 0) for event in (await system.events(high))[:1]] == [3]
    hand = await system.hand()
    assert (await hand.claim()).run == high


async def test_a_retry_that_is_due_does_not_wait_behind_all_that_is_submitted_meanwhile(
    shop: Shop, open_system
) -> None:
    retry = {"on": ["internal"], "attempts": 2, "backoff_seconds": 1}
    shop.workflow({"id": "work", "uses": "clerk", "input": {}, "retry": retry})
    system = await open_system(shop)
    first = await system.submit()
    hand = await system.hand()
    assert (await hand.claim()).run == first
    await hand.finish(None, reason="it stumbled")
    system.clock.advance(120)
    runs = [await system.submit() for _ in range(20)]
    assert runs
    assert (await hand.claim()).run == first


def test_the_order_does_not_depend_on_how_many_are_drawn_at_once() -> None:
    queued = [task(tenant, number) for number, tenant in zip(range(30), itertools.cycle("aab"), strict=False)]
    at_once = Turns().draw(queued, 30, KEYS, NOW)
    assert list(at_once) == one_by_one(Turns(), queued, 30)


async def test_a_stranger_in_the_same_tenant_cannot_buy_turns_of_another(shop: Shop, open_system) -> None:
    shop.workflow({"id": "work", "uses": "clerk", "input": {}})
    system = await open_system(shop)
    system.clock.stop()
    for _ in range(20):
        await system.submit(who=ALICE, priority=3)
    mine = await system.submit(who=MALLORY, priority=-3)
    order = await served(system, mine)
    assert len(order) <= 2
