"""One tenant has no more of a deployment than it may, and is told so; what was accepted stays, and stopping always works."""

import asyncio
from typing import Any

import pytest

from bailiwick.app import Context
from bailiwick.ports import Waiting
from bailiwick.run import Status
from bailiwick.service import BytesLimit, InvalidIntent, LimitBook, Limits, Overloaded, RunsLimit
from platform_kit import ALICE, MALLORY, ROOT, System
from shop_kit import Shop


@pytest.fixture
def limited(shop: Shop, open_system):
    """Open a system whose tenant acme has limits of its own."""

    async def clerk(_ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        return {}

    shop.scripts["clerk"] = clerk
    shop.workflow({"id": "work", "uses": "clerk", "input": {}})

    async def open_limited(**own: float) -> System:
        system = await open_system(shop)
        system.limits = LimitBook(None, {"acme": own})
        await system.crash()
        return system

    return open_limited


async def test_of_ten_submissions_at_once_as_many_are_taken_as_may_be(limited) -> None:
    system = await limited(runs=3)
    answers = await asyncio.gather(*(system.submit() for _ in range(10)), return_exceptions=True)
    refused = [each for each in answers if isinstance(each, BaseException)]
    assert len(refused) == 7
    assert all(isinstance(each, RunsLimit) and each.facts["limit"] == 3 for each in refused)
    assert await system.submit(who=MALLORY), "another tenant is not concerned"
    with pytest.raises(RunsLimit):
        await system.submit()
    hand = await system.hand()
    for _ in range(2):
        await hand.claim()
        await hand.finish({})
    assert await system.submit()


async def test_unfinished_runs_are_counted_after_a_restart_and_across_processes(limited) -> None:
    system = await limited(runs=2)
    first = await system.submit()
    await system.crash()
    await system.submit()
    with pytest.raises(RunsLimit):
        await system.submit()
    await system.platform.control.cancel(ALICE, first)
    assert (await system.run(first)).closed is Status.CANCELED
    assert await system.submit()


async def test_a_submission_that_fails_gives_its_place_back(limited) -> None:
    system = await limited(runs=1)
    for _ in range(3):
        with pytest.raises(InvalidIntent):
            await system.submit(priority=99)
    assert await system.submit()


async def test_a_repeat_of_what_was_accepted_is_never_limited_into_another_answer(limited) -> None:
    system = await limited(runs=1, queue_seconds=5)
    run = await system.submit(key="mine")
    with pytest.raises(RunsLimit):
        await system.submit(key="other")
    assert await system.submit(key="mine") == run
    system.clock.advance(60)
    assert await system.submit(key="mine") == run
    with pytest.raises(RunsLimit):
        await system.submit(key="other")


async def test_an_identity_s_runs_are_counted_apart_from_its_neighbours(limited) -> None:
    system = await limited(identity_runs=1)
    first = await system.submit()
    with pytest.raises(RunsLimit) as refused:
        await system.submit()
    assert (refused.value.facts["of"], refused.value.facts["limit"]) == ("identity", 1)
    assert await system.submit(who=ROOT), "another identity of the tenant is not concerned"
    await system.crash()
    with pytest.raises(RunsLimit):
        await system.submit()
    await system.platform.control.cancel(ALICE, first)
    assert await system.submit()


async def test_a_tenant_that_stores_as_much_as_it_may_begins_nothing_and_loses_nothing(
    limited, shop: Shop
) -> None:
    async def clerk(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        await ctx.tool("shop.mail", {"text": "one"})
        return {}

    shop.scripts["clerk"] = clerk
    system = await limited(bytes=100_000)
    run = await system.submit()
    scrap = await system.store.blobs.put("acme", b"x" * 100_000)
    with pytest.raises(BytesLimit) as refused:
        await system.submit()
    assert refused.value.facts["stored"] >= refused.value.facts["limit"] == 100_000
    system.work()
    blocked = await system.status(run, Status.BLOCKED)
    assert "artifacts of this tenant take" in blocked.steps["work"].reason
    assert blocked.steps["work"].reason.endswith(f"then: bailiwick runs resume {run}")
    assert system.outside.count("mail") == 0
    theirs = await system.submit(who=MALLORY)
    assert (await system.ended(theirs, "evil")).closed is Status.COMPLETED, "another tenant is not concerned"
    await system.store.blobs.remove("acme", scrap)
    await system.platform.control.resume(ALICE, run)
    assert (await system.ended(run)).closed is Status.COMPLETED
    assert system.outside.count("mail") == 2
    assert await system.submit()


async def test_what_others_store_is_counted_in_time(limited) -> None:
    system = await limited(bytes=100_000)
    await system.submit()
    path = system.store.blobs.space("acme") / "ab" / "another-process"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 100_000)
    assert await system.submit(), "not seen yet"
    await system.platform.storage.count()
    with pytest.raises(BytesLimit):
        await system.submit()


async def settled(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next submission look at the queue, however soon it comes."""
    monkeypatch.setattr(system.platform.admitting, "_looked", float("-inf"))


async def test_while_accepted_work_waits_too_long_new_work_is_refused_and_nothing_is_lost(
    limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await limited(queue_seconds=30)
    accepted = [await system.submit(key=f"key-{number}") for number in range(5)]
    system.clock.advance(29)
    await settled(system, monkeypatch)
    accepted.append(await system.submit())
    system.clock.advance(5)
    await settled(system, monkeypatch)
    with pytest.raises(Overloaded) as refusal:
        await system.submit()
    assert refusal.value.facts["app"] == "shop"
    assert refusal.value.facts["retry_after_seconds"] >= 1
    assert await system.submit(key="key-0") == accepted[0]
    assert await system.submit(who=MALLORY), "another tenant's line is its own"
    await system.platform.control.cancel(ALICE, accepted[0])
    halt = await system.platform.halts.set(ROOT, scope="app", target="shop", reason="stop")
    await system.platform.halts.lift(ROOT, halt.id)
    system.work()
    ended = [(await system.ended(run)).closed for run in accepted]
    assert ended == [Status.CANCELED] + [Status.COMPLETED] * 5
    await settled(system, monkeypatch)
    assert await system.submit()


async def test_an_old_line_of_a_lower_priority_does_not_close_the_door_for_a_higher_one(
    limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await limited(queue_seconds=10)
    await system.submit(priority=-1)
    system.clock.advance(60)
    await settled(system, monkeypatch)
    assert await system.submit()
    with pytest.raises(Overloaded):
        await system.submit(priority=-1)
    with pytest.raises(Overloaded):
        await system.submit(priority=-2)


async def test_the_time_when_nobody_was_there_to_work_is_no_overload(
    limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await limited(queue_seconds=10)
    await system.submit()
    await system.close()
    system.clock.advance(3600)
    await system.open()
    await settled(system, monkeypatch)
    assert await system.submit()


async def test_the_store_names_each_lane_with_its_longest_wait(limited) -> None:
    system = await limited()
    first = await system.run(await system.submit())
    await system.submit(priority=2)
    await system.submit()
    mine = await system.submit(who=MALLORY)
    since = (await system.run(mine, "evil")).created_at
    found = await system.store.queue.waiting()
    assert Waiting("acme", "shop", 100, first.created_at) in found
    assert Waiting("evil", "shop", 100, since) in found
    assert {(each.tenant, each.priority) for each in found} == {("acme", 100), ("acme", 102), ("evil", 100)}


async def test_a_tenant_has_no_more_steps_in_hand_than_it_may_and_the_rest_comes_after(limited) -> None:
    system = await limited(steps=2)
    runs = [await system.submit() for _ in range(5)]
    other = await system.submit(who=MALLORY)
    hand = await system.hand()
    taken = await hand.port.claim(hand.session, 8, 0.0)
    assert sorted(each.tenant for each in taken) == ["acme", "acme", "evil"]
    assert [each.run for each in taken if each.tenant == "evil"] == [other]
    assert await hand.claim() is None
    more = asyncio.ensure_future(hand.port.claim(hand.session, 8, 20.0))
    hand.assignment = next(each for each in taken if each.tenant == "acme")
    await hand.finish({})
    (following,) = await asyncio.wait_for(more, 2.0)
    assert following.run in runs
    assert following.run not in {each.run for each in taken}


async def test_a_submission_takes_no_place_beyond_the_steps_of_its_tenant(limited) -> None:
    system = await limited(steps=1)
    await system.submit()
    hand = await system.hand()
    assert await hand.claim() is not None
    session = system.platform.sessions.find(hand.session)
    session.room = 4
    await system.submit()
    assert session.given == []
    await system.submit(who=MALLORY)
    assert [held.tenant for held in session.given] == ["evil"]
    session.room = 0


@pytest.mark.parametrize(
    "own", [{"weight": 0.0}, {"weight": 1000.0}, {"runs": -1}, {"runs": 1.5}, {"nonsense": 1}], ids=str
)
def test_limits_that_make_no_sense_are_refused_by_name(own: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(own))):
        LimitBook(None, {"acme": own})


def test_what_is_not_said_of_a_tenant_is_as_usual() -> None:
    book = LimitBook(Limits(runs=7, weight=2), {"acme": {"weight": 5}})
    assert (book.of("acme").runs, book.weight_of("acme")) == (7, 5)
    assert (book.of("else").runs, book.weight_of("else")) == (7, 2)
