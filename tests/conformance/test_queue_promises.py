"""The queue: due work, fair turns, and fences that no stale holder passes."""

import asyncio

import msgspec
import pytest
from conformance_shapes import ShiftedClock, claim, finish, head, opening, task

from bailiwick.base import Instant
from bailiwick.ports import Fenced, GuardFailed, MoveTask, TaskState, Unit
from bailiwick.run import TERMINAL, Status
from bailiwick.stores import Store


async def put(store: Store, *tasks: object, tenant: str = "acme") -> None:
    await store.ledger.commit(Unit(tenant, new_tasks=tasks))  # type: ignore[arg-type]


async def move(store: Store, *moves: MoveTask, tenant: str = "acme") -> None:
    await store.ledger.commit(Unit(tenant, moved_tasks=moves))


async def claimable(store: Store, limit: int = 100) -> list[str]:
    return [found.id for found in await store.queue.claimable(["write@1", "read@1"], limit)]


async def test_a_task_comes_back_as_it_was_queued(store: Store) -> None:
    queued = task("tsk_1", timeout_at=77, priority=3, app="shop", since=5)
    await put(store, queued)
    assert await store.queue.claimable(["write@1"], 10) == [queued]
    assert await store.queue.claimable(["other@1"], 10) == []
    assert await store.queue.claimable([], 10) == []


async def test_a_claim_raises_the_epoch_and_ends_the_offer(store: Store) -> None:
    await put(store, task("tsk_1"))
    await move(store, claim(task("tsk_1")))
    assert await claimable(store) == []
    with pytest.raises(Fenced) as refusal:
        await move(store, claim(task("tsk_1")))
    assert refusal.value.facts == {"task": "tsk_1", "epoch": 0}


async def test_of_64_claims_of_one_task_one_wins_and_the_others_tasks_are_not_harmed(
    store: Store,
) -> None:
    await put(store, *[task(f"tsk_{n}") for n in range(10)])
    claims = [claim(task("tsk_0"), f"ses_{n}") for n in range(64)] + [
        claim(task(f"tsk_{n}")) for n in range(1, 10)
    ]
    outcomes = await asyncio.gather(*[move(store, one) for one in claims], return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes[:64]) == 1
    assert all(outcome is None or isinstance(outcome, Fenced) for outcome in outcomes)
    assert outcomes[64:] == [None] * 9


async def test_a_superseded_epoch_writes_nothing_of_its_unit(store: Store) -> None:
    first = claim(task("tsk_1"), "ses_old")
    await put(store, task("tsk_1"))
    await store.ledger.commit(opening("run_a"))
    await move(store, first)
    requeued = msgspec.structs.replace(first.task, state=TaskState.QUEUED, session="")
    await move(store, MoveTask(TaskState.LEASED, 1, requeued))
    await move(store, claim(requeued, "ses_new"))
    stale = Unit(
        "acme", "run_a", 1, opening("x").drafts, moved_tasks=(finish(first.task),), new_tasks=(task("tsk_2"),)
    )
    with pytest.raises(Fenced) as refusal:
        await store.ledger.commit(stale)
    assert refusal.value.facts == {"task": "tsk_1", "epoch": 1}
    assert len(await store.ledger.events("acme", "run_a", 0, 9)) == 1
    assert await claimable(store) == []


async def test_a_hold_that_was_taken_back_or_taken_over_moves_and_finishes_nothing(
    store: Store,
) -> None:
    held = claim(task("tsk_1")).task
    back = msgspec.structs.replace(held, state=TaskState.QUEUED, session="")
    over = claim(back, "ses_2").task
    await put(store, task("tsk_1"))
    await move(store, claim(task("tsk_1")))
    stale = (finish(held), MoveTask(TaskState.LEASED, 1, msgspec.structs.replace(held, timeout_at=9)))
    for change in (MoveTask(TaskState.LEASED, 1, back), claim(back, "ses_2")):
        await move(store, change)
        for late in stale:
            with pytest.raises(Fenced):
                await move(store, late)
    await move(store, finish(over))


async def test_a_move_in_the_name_of_another_run_is_fenced(store: Store) -> None:
    await put(store, task("tsk_1"), task("tsk_2"))
    await move(store, claim(task("tsk_1")))
    held = msgspec.structs.replace(claim(task("tsk_1")).task, run="run_other")
    queued = msgspec.structs.replace(task("tsk_2"), run="run_other")
    for foreign in (finish(held), claim(queued)):
        with pytest.raises(Fenced):
            await move(store, foreign)
    assert await claimable(store) == ["tsk_2"]


async def test_a_tenant_finishes_no_task_of_another(store: Store) -> None:
    await put(store, task("tsk_1"))
    await move(store, claim(task("tsk_1")))
    with pytest.raises(Fenced) as refusal:
        await move(store, finish(claim(task("tsk_1", tenant="rival")).task), tenant="rival")
    assert refusal.value.facts == {"task": "tsk_1", "epoch": 1}
    await move(store, finish(claim(task("tsk_1")).task))


async def test_a_task_is_finished_once_and_then_it_is_gone(store: Store) -> None:
    taken = claim(task("tsk_1"))
    await put(store, task("tsk_1"))
    await move(store, taken)
    await move(store, finish(taken.task))
    for again in (finish(taken.task), MoveTask(TaskState.LEASED, 1, taken.task)):
        with pytest.raises(Fenced):
            await move(store, again)
    await put(store, task("tsk_1"))
    assert await claimable(store) == ["tsk_1"]


async def test_one_unit_may_complete_a_task_and_claim_the_next(store: Store) -> None:
    taken = claim(task("tsk_1"))
    await put(store, task("tsk_1"))
    await move(store, taken)
    following = task("tsk_2")
    await store.ledger.commit(
        Unit("acme", new_tasks=(following,), moved_tasks=(finish(taken.task), claim(following)))
    )
    assert await claimable(store) == []
    with pytest.raises(Fenced):
        await move(store, claim(following))


async def test_the_id_of_a_queued_task_is_taken(store: Store) -> None:
    await put(store, task("tsk_1"))
    with pytest.raises(GuardFailed) as refusal:
        await put(store, task("tsk_0"), task("tsk_1"))
    assert refusal.value.facts == {"guard": "task", "id": "tsk_1"}
    assert await claimable(store) == ["tsk_1"]


async def test_a_task_is_offered_when_it_is_due_by_the_databases_clock(
    store: Store, clock: ShiftedClock
) -> None:
    due = clock() + 60_000_000
    await put(store, task("tsk_1", due_at=due))
    assert await claimable(store) == []
    assert await store.queue.next_due() == Instant(due)
    clock.advance(61)
    assert await claimable(store) == ["tsk_1"]
    await move(store, claim(task("tsk_1")))
    assert await store.queue.next_due() == 0


async def test_offers_go_turn_by_turn_over_the_lanes_then_by_due_time(store: Store) -> None:
    await put(store, *[task(f"a{n}", due_at=10 + n) for n in range(5)], task("a-late", due_at=1, priority=-1))
    await put(store, *[task(f"b{n}", tenant="b", due_at=100 + n) for n in range(2)], tenant="b")
    await put(
        store,
        task("c0", tenant="c", due_at=50),
        task("c-first", tenant="c", due_at=999, priority=1),
        tenant="c",
    )
    heads = ["a-late", "a0", "c0", "b0", "c-first"]
    assert await claimable(store) == [*heads, "a1", "b1", "a2", "a3", "a4"]
    assert await claimable(store, 2) == [*heads, "a1", "b1"]
    assert await claimable(store, 1) == heads


async def test_an_app_and_a_priority_are_lanes_of_their_own(store: Store) -> None:
    await put(store, *[task(f"a{n}", app="flood") for n in range(50)])
    await put(store, task("b0", app="other"), task("b1", app="other", priority=2))
    assert await claimable(store, 1) == ["a0", "b0", "b1"]
    assert await claimable(store, 2) == ["a0", "b0", "b1", "a1"]


async def test_a_flood_of_one_tenant_does_not_hide_the_only_task_of_another(store: Store) -> None:
    await put(store, *[task(f"a{n:04d}") for n in range(2000)])
    await put(store, task("b0", tenant="b", due_at=999), tenant="b")
    assert await claimable(store, 2) == ["a0000", "b0", "a0001"]


async def test_tasks_that_wait_for_their_time_do_not_hide_those_that_are_due(
    store: Store, clock: ShiftedClock
) -> None:
    later = clock() + 3_600_000_000
    await put(store, *[task(f"a{n:03d}", due_at=later, priority=9) for n in range(300)], task("due"))
    assert await claimable(store, 5) == ["due"]


async def test_a_session_lives_as_long_as_it_is_renewed(store: Store, clock: ShiftedClock) -> None:
    await store.queue.open_session("ses_1", "worker-1", 15)
    clock.advance(10)
    assert await store.queue.renew_session("ses_1", 15)
    clock.advance(10)
    assert await store.queue.renew_session("ses_1", 15)
    clock.advance(16)
    assert not await store.queue.renew_session("ses_1", 15)
    assert not await store.queue.renew_session("ses_none", 15)


async def test_the_id_of_an_expired_session_is_free_again(store: Store, clock: ShiftedClock) -> None:
    await store.queue.open_session("ses_1", "worker-1", 15)
    clock.advance(16)
    await store.queue.open_session("ses_1", "worker-2", 15)
    assert await store.queue.renew_session("ses_1", 15)


async def test_only_queued_tasks_of_what_is_asked_are_offered_whatever_lies_between(
    store: Store, clock: ShiftedClock
) -> None:
    held = [task(f"held{n}", due_at=10 * n, priority=n % 3) for n in range(9)]
    mine = [task(f"mine{n}", due_at=10 * n + 5, priority=n % 3) for n in range(9)]
    other = [task(f"other{n}", due_at=10 * n + 3, priority=n, capability="other@1") for n in range(4)]
    later = [task(f"later{n}", due_at=clock() + 10**12, priority=n) for n in range(4)]
    await put(store, *held, *mine, *other, *later)
    await move(store, *[claim(one) for one in held])
    for tenant in ("a", "zebra"):
        foreign = [task(f"{tenant}{n}", tenant=tenant, priority=n, capability="other@1") for n in range(2)]
        await put(store, *foreign, task(f"{tenant}-held", tenant=tenant), tenant=tenant)
        await move(store, claim(task(f"{tenant}-held", tenant=tenant)), tenant=tenant)
    assert await claimable(store) == [f"mine{n}" for n in range(9)]
    for limit, found in ((1, 3), (2, 6)):
        assert await claimable(store, limit) == [f"mine{n}" for n in range(found)]


async def test_tenants_and_priorities_take_turns_and_a_capability_is_a_lane(store: Store) -> None:
    for tenant in ("a", "b"):
        lanes = [
            task(
                f"{tenant}-{kind}{n}", tenant=tenant, capability=f"{kind}@1", due_at=n + 1, priority=priority
            )
            for n, priority in enumerate((1, 1, 0, 0))
            for kind in ("write", "read")
        ]
        await put(store, *lanes, tenant=tenant)
    turns = [f"{tenant}-{kind}{n}" for n in (0, 2, 1, 3) for tenant in "ab" for kind in ("read", "write")]
    assert await claimable(store) == turns
    reads = [found.id for found in await store.queue.claimable(["read@1"], 1)]
    assert reads == ["a-read0", "b-read0", "a-read2", "b-read2"]


async def test_a_workers_new_session_ends_its_old_one(store: Store) -> None:
    await store.queue.open_session("ses_1", "worker-1", 15)
    await store.queue.open_session("ses_other", "worker-2", 15)
    await store.queue.open_session("ses_2", "worker-1", 15)
    alive = [await store.queue.renew_session(session, 15) for session in ("ses_1", "ses_other", "ses_2")]
    assert alive == [False, True, True]
    with pytest.raises(GuardFailed):
        await store.queue.open_session("ses_2", "worker-3", 15)
    assert await store.queue.renew_session("ses_2", 15)


async def test_a_leased_task_is_an_orphan_once_its_session_is_gone(store: Store, clock: ShiftedClock) -> None:
    sessions = ("ses_kept", "ses_replaced", "ses_expired", "ses_never")
    await put(store, task("queued"), *[task(session) for session in sessions])
    await store.queue.open_session("ses_expired", "worker-3", 5)
    await store.queue.open_session("ses_kept", "worker-1", 60)
    await store.queue.open_session("ses_replaced", "worker-2", 60)
    await move(store, *[claim(task(session), session) for session in sessions])
    assert [orphan.id for orphan in await store.queue.orphans(10)] == ["ses_never"]
    await store.queue.open_session("ses_new", "worker-2", 60)
    clock.advance(6)
    assert {orphan.id for orphan in await store.queue.orphans(10)} == {
        "ses_replaced",
        "ses_expired",
        "ses_never",
    }
    assert len(await store.queue.orphans(2)) == 2
    await store.queue.end_sessions()
    assert len(await store.queue.orphans(10)) == 4


async def test_tasks_of_one_name_in_two_tenants_are_offered_once_each(store: Store) -> None:
    for tenant, due in (("acme", 1), ("rival", 5)):
        await put(store, *[task(f"tsk_{n}", tenant=tenant, due_at=due + n) for n in range(3)], tenant=tenant)
    found = await store.queue.claimable(["write@1"], 99)
    assert [(one.tenant, one.id, one.due_at) for one in found] == [
        (tenant, f"tsk_{n}", due + n) for n in range(3) for tenant, due in (("acme", 1), ("rival", 5))
    ]


async def test_a_task_is_overdue_when_its_timeout_passed_by_the_databases_clock(
    store: Store, clock: ShiftedClock
) -> None:
    soon = clock() + 5_000_000
    await put(store, task("timed", timeout_at=soon), task("leased", timeout_at=soon + 1), task("untimed"))
    await move(store, claim(task("leased", timeout_at=soon + 1)))
    assert await store.queue.overdue(10) == []
    clock.advance(6)
    assert [late.id for late in await store.queue.overdue(10)] == ["timed", "leased"]
    assert len(await store.queue.overdue(1)) == 1


async def test_each_lane_names_its_longest_wait_among_the_first_in_line(
    store: Store, clock: ShiftedClock
) -> None:
    assert list(await store.queue.waiting()) == []
    await put(store, *[task(f"a{n:02d}", due_at=n + 1, since=500 - n) for n in range(40)])
    await put(store, task("read", capability="read@1", since=7), task("high", priority=3, since=9))
    await put(store, task("b0", tenant="b", app="other", since=11), tenant="b")
    await put(store, task("later", app="late", due_at=clock() + 10**12, since=1))
    await put(store, task("held", app="held", since=1))
    await move(store, claim(task("held", app="held", since=1)))
    found = {(each.tenant, each.app, each.priority, each.since) for each in await store.queue.waiting()}
    assert found == {
        ("acme", "shop", 0, 500 - 31),
        ("acme", "shop", 0, 7),
        ("acme", "shop", 3, 9),
        ("b", "other", 0, 11),
    }


async def test_what_is_in_hand_or_another_s_speaks_for_no_lane(store: Store) -> None:
    await put(store, task("mine", since=90), task("held", since=10), task("other", app="web", since=70))
    await put(store, task("theirs", tenant="b", since=20), tenant="b")
    await move(store, claim(task("held", since=10)))
    found = {(each.tenant, each.app, each.since) for each in await store.queue.waiting()}
    assert found == {("acme", "shop", 90), ("acme", "web", 70), ("b", "shop", 20)}


async def test_a_task_is_listed_in_the_lane_of_its_app_alone(store: Store) -> None:
    await put(store, task("a0", due_at=1), task("b0", app="web", due_at=2), task("b1", app="web", due_at=3))
    assert await claimable(store) == ["a0", "b0", "b1"]


async def test_unfinished_runs_of_a_tenant_are_counted_up_to_a_number(store: Store) -> None:
    for number, status in enumerate(Status):
        await store.ledger.commit(opening(f"run_{number}", head=head(f"run_{number}", status=status)))
    other = head("run_b", tenant="b", status="executing")
    await store.ledger.commit(opening("run_b", tenant="b", head=other))
    unfinished = len(Status) - len(TERMINAL)
    assert await store.views.count_unfinished("acme", 100) == unfinished
    assert await store.views.count_unfinished("acme", 2) == 2
    assert await store.views.count_unfinished("b", 100) == 1
    assert await store.views.count_unfinished("c", 100) == 0
    bob = msgspec.structs.replace(head("run_bob", status="executing"), requested_by="bob")
    await store.ledger.commit(opening("run_bob", head=bob))
    assert await store.views.count_unfinished("acme", 100) == unfinished + 1
    assert await store.views.count_unfinished("acme", 100, "bob") == 1
    assert await store.views.count_unfinished("acme", 2, "ann") == 2
    assert await store.views.count_unfinished("acme", 100, "nobody") == 0


async def test_workers_are_alive_until_their_session_ends(store: Store, clock: ShiftedClock) -> None:
    assert list(await store.queue.workers()) == []
    await store.queue.open_session("ses_1", "host-b", 5.0)
    await store.queue.open_session("ses_2", "host-a", 50.0)
    assert list(await store.queue.workers()) == ["host-a", "host-b"]
    clock.advance(6)
    assert list(await store.queue.workers()) == ["host-a"]


async def test_what_is_queued_names_what_it_asks_for_once(store: Store) -> None:
    assert list(await store.queue.wanted()) == []
    await put(store, task("a"), task("b"), task("c", capability="read@1"), task("d", capability="sign@2"))
    await put(store, task("held", capability="reads@1"))
    await move(store, claim(task("held", capability="reads@1")))
    assert list(await store.queue.wanted()) == ["read@1", "sign@2", "write@1"]
