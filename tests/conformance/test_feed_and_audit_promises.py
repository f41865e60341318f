"""The feed and the audit logs: every event once, in order, without gaps, under one head."""

import asyncio

import pytest
from conformance_shapes import draft, following, opening

from bailiwick.base import parse_canonical
from bailiwick.ports import GuardFailed, StoredEvent, TreeHead, Unit
from bailiwick.stores import Store


async def place_all(store: Store) -> None:
    while await store.feed.place(1000):
        pass


async def read_all(store: Store, page: int) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    while events := await store.feed.read(found[-1].position if found else 0, page):
        found += events
    return found


async def test_the_feed_holds_every_event_once_without_gaps_and_in_stream_order(store: Store) -> None:
    async def client(run: str) -> None:
        await store.ledger.commit(opening(run, events=2))
        for version in range(2, 8):
            await asyncio.gather(store.ledger.commit(following(run, version)), store.feed.place(3))

    async def loser() -> None:
        for _ in range(10):
            await asyncio.gather(store.ledger.commit(following("run_0", 99)), return_exceptions=True)

    await asyncio.gather(*[client(f"run_{n}") for n in range(8)], loser())
    await place_all(store)
    feed = await read_all(store, page=7)
    assert [event.position for event in feed] == list(range(1, 65))
    for n in range(8):
        assert [event.seq for event in feed if event.stream == f"run_{n}"] == list(range(1, 9))
    assert all(event.payload is not None for event in feed)


async def test_an_event_is_not_read_before_it_is_placed(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=5))
    assert await store.feed.read(0, 10) == []
    assert [event.position for event in await store.ledger.events("acme", "run_a", 0, 9)] == [0] * 5
    assert [await store.feed.place(2) for _ in range(4)] == [2, 2, 1, 0]
    assert [event.position for event in await store.ledger.events("acme", "run_a", 0, 9)] == [1, 2, 3, 4, 5]
    assert [event.position for event in await store.feed.read(3, 10)] == [4, 5]


async def integrate(store: Store, log: str, limit: int = 1000) -> int:
    head = await store.audit.head(log)
    leaves = await store.audit.pending_leaves(log, limit)
    size = (head.size if head else 0) + len(leaves)
    frontier = tuple(event.leaf for event in leaves[-2:])
    await store.audit.integrate(
        TreeHead(log, size, frontier, f"note {size}"), [(event.stream, event.seq) for event in leaves]
    )
    return size


async def test_every_leaf_gets_one_index_in_feed_order_of_its_own_log(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    await store.ledger.commit(opening("run_b", tenant="rival", events=2))
    await store.ledger.commit(Unit("acme", others=(("tenant:acme", draft()), ("platform", draft("p")))))
    assert await store.audit.logs() == []
    assert await store.audit.pending_leaves("tenant:acme", 9) == []
    await place_all(store)
    assert await store.audit.logs() == ["platform", "tenant:acme", "tenant:rival"]
    assert await integrate(store, "tenant:acme", 3) == 3
    assert await integrate(store, "tenant:acme") == 4
    assert await integrate(store, "tenant:rival") == 2
    assert await store.audit.logs() == ["platform"]
    entries = await store.audit.entries("tenant:acme", -1, 10)
    assert [(entry.stream, entry.seq) for entry in entries] == [
        ("run_a", 1),
        ("run_a", 2),
        ("run_a", 3),
        ("tenant:acme", 1),
    ]
    assert await store.audit.leaves("tenant:acme", 4) == [entry.leaf for entry in entries]
    assert await store.audit.leaves("tenant:acme", 2) == [entry.leaf for entry in entries[:2]]
    assert [entry.seq for entry in await store.audit.entries("tenant:acme", 0, 1)] == [2]
    indices = [await store.audit.leaf_index("tenant:acme", "run_a", seq) for seq in (1, 2, 3, 4)]
    assert indices == [0, 1, 2, None]
    assert parse_canonical(entries[3].header)["stream"] == "tenant:acme"


async def test_a_head_comes_back_as_it_was_stored(store: Store) -> None:
    assert await store.audit.head("tenant:acme") is None
    await store.ledger.commit(opening("run_a", events=3))
    assert await store.audit.head("tenant:acme") is None
    await place_all(store)
    pending = await store.audit.pending_leaves("tenant:acme", 10)
    head = TreeHead("tenant:acme", 3, (pending[0].leaf, pending[1].leaf), "a signed note\n")
    await store.audit.integrate(head, [(event.stream, event.seq) for event in pending])
    assert await store.audit.head("tenant:acme") == head
    signed_again = TreeHead("tenant:acme", 3, head.frontier, "a newer note\n")
    await store.audit.integrate(signed_again, [])
    assert await store.audit.head("tenant:acme") == signed_again


@pytest.mark.parametrize("size", [1, 3, 4], ids=["behind", "short", "ahead"])
async def test_a_head_that_does_not_continue_the_log_writes_nothing(store: Store, size: int) -> None:
    await store.ledger.commit(opening("run_a", events=2))
    await place_all(store)
    with pytest.raises(GuardFailed):
        await store.audit.integrate(TreeHead("tenant:acme", size, (), "n"), [("run_a", 1), ("run_a", 2)])
    assert await store.audit.head("tenant:acme") is None
    assert len(await store.audit.pending_leaves("tenant:acme", 9)) == 2


@pytest.mark.parametrize(
    "leaves",
    [
        [("run_a", 2), ("run_a", 1)],
        [("run_a", 2), ("run_a", 3)],
        [("run_a", 1), ("run_a", 1)],
        [("run_a", 1), ("none", 1)],
    ],
    ids=["turned round", "one left out", "twice", "not there"],
)
async def test_leaves_out_of_order_are_not_integrated(store: Store, leaves: list[tuple[str, int]]) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    await place_all(store)
    with pytest.raises(GuardFailed):
        await store.audit.integrate(TreeHead("tenant:acme", 2, (), "n"), leaves)
    assert await store.audit.leaf_index("tenant:acme", "run_a", 1) is None


async def test_of_two_sequencers_one_integrates(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=2))
    await place_all(store)
    head = TreeHead("tenant:acme", 2, (), "n")
    racers = [store.audit.integrate(head, [("run_a", 1), ("run_a", 2)]) for _ in range(8)]
    outcomes = await asyncio.gather(*racers, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, GuardFailed) for outcome in outcomes) == 7
    with pytest.raises(GuardFailed):
        await store.audit.integrate(TreeHead("tenant:none", 0, (), "n"), [])
