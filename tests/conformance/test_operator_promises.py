"""Both stores: what an operator, an inspector and a process at its start see of the whole ledger."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from conformance_shapes import ShiftedClock, claim, draft, head, opening, task

from bailiwick.base import canonical, digest_of
from bailiwick.ports import Inspector, LargePayload, Unit
from bailiwick.stores import Address, Store, inspect_postgres, open_inspector

LARGE = {"text": "x" * 20_000}
LARGER = {"text": "y" * 30_000}

Inspecting = Callable[[], contextlib.AbstractAsyncContextManager[Inspector]]


@pytest.fixture
def inspecting(place: str, tmp_path: Path, clock: ShiftedClock) -> Inspecting:
    @contextlib.asynccontextmanager
    async def look() -> AsyncIterator[Inspector]:
        if place:
            async with inspect_postgres(Address(place)) as inspector:
                yield inspector
        else:
            with open_inspector(tmp_path / "data", clock) as inspector:
                yield inspector

    return look


async def test_the_depth_of_a_pool_counts_what_could_be_claimed_now(
    store: Store, clock: ShiftedClock
) -> None:
    later = clock() + 60_000_000
    tasks = [task("due"), task("due too"), task("later", due_at=later)]
    await store.ledger.commit(Unit("acme", new_tasks=tuple(tasks)))
    assert await store.depths() == {"default": 2}
    leased = task("leased")
    await store.ledger.commit(Unit("acme", new_tasks=(leased,)))
    await store.ledger.commit(Unit("acme", moved_tasks=(claim(leased),)))
    assert await store.depths() == {"default": 2}
    clock.advance(61)
    assert await store.depths() == {"default": 3}


async def test_heads_of_all_tenants_come_once_each_page_by_page(store: Store, inspecting: Inspecting) -> None:
    names = [("acme", "run_a"), ("acme", "run_b"), ("evil", "run_a"), ("evil", "run_c")]
    for tenant, run in reversed(names):
        await store.ledger.commit(opening(run, tenant=tenant, head=head(run, tenant=tenant)))
    found: list[tuple[str, str]] = []
    async with inspecting() as inspector:
        while page := await inspector.heads(found[-1] if found else ("", ""), 1):
            assert len(page) == 1
            found += [(one.tenant, one.id) for one in page]
            assert len(found) <= len(names)
    assert found == names


@pytest.mark.parametrize("placed", [0, 3, 99], ids=["none placed", "some placed", "all placed"])
async def test_an_inspector_finds_each_payload_that_lies_in_the_blobs(
    store: Store, inspecting: Inspecting, placed: int
) -> None:
    await store.ledger.commit(Unit("acme", "run_a", 0, (draft("small", {"n": 1}), draft("large", LARGE))))
    await store.ledger.commit(Unit("evil", "run_a", 0, (draft("large", LARGER), draft("none"))))
    await store.ledger.commit(Unit("acme", "run_b", 0, (draft("large", LARGE),)))
    await store.feed.place(placed)
    found: list[LargePayload] = []
    async with inspecting() as inspector:
        while page := await inspector.large_payloads(found[-1].position if found else 0, 1):
            found += page
            assert len(found) <= 3
    told = {(one.tenant, one.stream, one.seq): one.digest for one in found}
    assert told == {
        ("acme", "run_a", 2): digest_of(canonical(LARGE)),
        ("evil", "run_a", 1): digest_of(canonical(LARGER)),
        ("acme", "run_b", 1): digest_of(canonical(LARGE)),
    }
    assert len(found) == 3
    for one in found:
        events = await store.ledger.events(one.tenant, one.stream, one.seq - 1, 1)
        assert (one.header, one.salt) == (events[0].header, events[0].salt)


async def test_a_start_ends_what_this_process_held_before_and_of_others_what_none_can_hold(
    store: Store, place: str
) -> None:
    for n in (1, 2, 3):
        await store.queue.open_session(f"ses_{n}", f"worker-{n}", 15)
    await store.begin(["worker-1", "worker-3"])
    alive = [await store.queue.renew_session(f"ses_{n}", 15) for n in (1, 2, 3)]
    # Beside SQLite there is no other process; those on PostgreSQL go on.
    assert alive == [False, bool(place), False]
