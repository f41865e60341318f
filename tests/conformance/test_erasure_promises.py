"""Both stores: a payload goes in one unit with what says so, and its blob when nothing lies in it any more."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from conformance_shapes import ShiftedClock, draft, opening

from bailiwick.base import Digest, canonical, digest_of
from bailiwick.ports import GuardFailed, StaleVersion, Unit
from bailiwick.stores import Store
from postgres_kit import cluster

BIG = {"text": "x" * 20_000}
NAME = digest_of(canonical(BIG))
OTHER = {"text": "y" * 20_000}
OTHER_NAME = digest_of(canonical(OTHER))
DAYS = 8 * 86_400.0
"""Longer than any store remembers a blob that has gone."""


def erasing(run: str, *seqs: int, expected: int = 3, tenant: str = "acme") -> Unit:
    acts = tuple((f"tenant:{tenant}", draft("payload.erased")) for _ in seqs)
    return Unit(tenant, run, expected, others=acts, erased=tuple((run, seq) for seq in seqs))


async def acts(store: Store) -> int:
    return len(await store.ledger.events("acme", "tenant:acme", 0, 100))


async def test_an_erased_payload_is_gone_with_its_salt_and_its_event_stays(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    before = await store.ledger.events("acme", "run_a", 0, 9)
    assert await store.ledger.kept("acme", "run_a", 0, 9) == [1, 2, 3]
    await store.ledger.commit(erasing("run_a", 2))
    after = await store.ledger.events("acme", "run_a", 0, 9)
    assert [event.header for event in after] == [event.header for event in before]
    assert [(event.payload is None, event.salt == b"") for event in after] == [
        (False, False),
        (True, True),
        (False, False),
    ]
    assert await store.ledger.kept("acme", "run_a", 0, 9) == [1, 3]
    assert await store.ledger.kept("acme", "run_a", 1, 1) == [3]
    assert await store.ledger.payloads("acme", "run_a", [2]) == {}
    assert await acts(store) == 1


@pytest.mark.parametrize("seqs", [(9,), (1, 9), (2, 2)], ids=["absent", "one of two", "twice"])
async def test_a_unit_that_erases_what_is_not_there_changes_nothing(
    store: Store, seqs: tuple[int, ...]
) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    with pytest.raises(GuardFailed) as refusal:
        await store.ledger.commit(erasing("run_a", *seqs))
    assert refusal.value.facts == {"guard": "payload", "id": "run_a"}
    assert await store.ledger.kept("acme", "run_a", 0, 9) == [1, 2, 3]
    assert await acts(store) == 0


async def test_only_the_tenant_s_own_payloads_go_and_only_of_the_run_as_it_was_seen(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    await store.ledger.commit(opening("run_a", events=3, tenant="evil"))
    await store.ledger.commit(opening("run_b", events=5))
    with pytest.raises(StaleVersion):
        await store.ledger.commit(erasing("run_a", 1, expected=2))
    await store.ledger.commit(erasing("run_a", 1, tenant="evil"))
    assert await store.ledger.kept("acme", "run_a", 0, 9) == [1, 2, 3]
    assert await store.ledger.kept("evil", "run_a", 0, 9) == [2, 3]


async def test_of_32_who_erase_the_same_payload_one_does(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    came = await asyncio.gather(
        *[store.ledger.commit(erasing("run_a", 1)) for _ in range(32)], return_exceptions=True
    )
    assert sum(isinstance(each, GuardFailed) for each in came) == 31
    assert await acts(store) == 1


async def test_a_blob_goes_with_the_last_payload_that_lies_in_it(store: Store) -> None:
    for run in ("run_a", "run_b"):
        await store.ledger.commit(Unit("acme", run, 0, (draft("big", BIG),)))
    await store.ledger.commit(Unit("evil", "run_c", 0, (draft("big", BIG),)))
    await store.ledger.commit(erasing("run_a", 1, expected=1))
    await store.ledger.sweep()
    assert await store.blobs.has("acme", NAME)
    assert (await store.ledger.payloads("acme", "run_b", [1]))[1] == canonical(BIG)
    await store.ledger.commit(erasing("run_b", 1, expected=1))
    await store.ledger.sweep()
    assert not await store.blobs.has("acme", NAME)
    assert await store.blobs.has("evil", NAME)


async def test_a_crash_after_the_commit_leaves_no_blob_for_ever(
    open_again: Callable[[], Store], tmp_path: Path
) -> None:
    store = open_again()
    await store.ledger.commit(Unit("acme", "run_a", 0, (draft("big", BIG),)))
    await store.ledger.commit(erasing("run_a", 1, expected=1))
    assert await store.blobs.has("acme", NAME)
    store = open_again()
    await store.ledger.sweep()
    assert not await store.blobs.has("acme", NAME)
    await store.ledger.commit(Unit("acme", "run_b", 0, (draft("big", BIG),)))
    await store.ledger.sweep()
    assert (await store.ledger.payloads("acme", "run_b", [1]))[1] == canonical(BIG)


async def test_an_erasure_takes_the_blob_of_its_own_payload_and_looks_at_no_other(
    store: Store, clock: ShiftedClock
) -> None:
    await store.ledger.commit(Unit("acme", "run_a", 0, (draft("big", BIG), draft("big", OTHER))))
    await store.ledger.commit(Unit("acme", "run_b", 0, (draft("big", {"text": "z" * 20_000}),)))
    await store.ledger.commit(Unit("evil", "run_a", 0, (draft("big", BIG),)))
    await store.ledger.commit(erasing("run_a", 1, expected=2))
    clock.advance(DAYS)
    assert await store.ledger.sweep() == 1
    assert not await store.blobs.has("acme", NAME)
    assert await store.blobs.has("acme", OTHER_NAME)
    assert await store.ledger.sweep() == 0


@pytest.mark.parametrize(
    ("tenant", "body"), [("acme", OTHER), ("evil", BIG)], ids=["same tenant", "same blob"]
)
async def test_a_blob_that_a_unit_on_its_way_may_need_goes_when_that_unit_does_not_come(
    open_again: Callable[[], Store], place: str, tmp_path: Path, tenant: str, body: dict[str, str]
) -> None:
    store = open_again()
    needed = digest_of(canonical(body))
    for owner, run, payload in (("acme", "run_a", BIG), (tenant, "run_b", body)):
        await store.ledger.commit(Unit(owner, run, 0, (draft("big", payload),)))
        await store.ledger.commit(erasing(run, 1, expected=1, tenant=owner))
    await store.end()
    same_instant(place, tmp_path)
    store = open_again()
    async with store.ledger._large.stored(Unit(tenant, "run_c", 0, (draft("big", body),))):
        assert await store.ledger.sweep() == 1
        assert (await store.blobs.has("acme", NAME), await store.blobs.has(tenant, needed)) == (False, True)
    assert await store.ledger.sweep() == 1
    assert not await store.blobs.has(tenant, needed)


def same_instant(place: str, tmp_path: Path) -> None:
    """Let all blobs that are to go have been given up at one instant, long ago."""
    edit = "UPDATE removals SET since = 1"
    if place:
        cluster().sql(edit, place)
        return
    raw = apsw.Connection(str(tmp_path / "data" / "ledger.db"))
    raw.execute(edit)
    raw.close()


async def test_what_comes_and_is_erased_while_its_blob_goes_is_looked_after_again(
    store: Store, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.ledger.commit(Unit("acme", "run_a", 0, (draft("big", BIG),)))
    await store.ledger.commit(erasing("run_a", 1, expected=1))
    clock.advance(DAYS)
    remove = store.blobs.remove

    async def meanwhile(tenant: str, digest: Digest) -> None:
        await remove(tenant, digest)
        monkeypatch.undo()
        await store.ledger.commit(Unit("acme", "run_b", 0, (draft("big", BIG),)))
        await store.ledger.commit(erasing("run_b", 1, expected=1))
        clock.advance(2 * DAYS)

    monkeypatch.setattr(store.blobs, "remove", meanwhile)
    await store.ledger.sweep()
    assert await store.blobs.has("acme", NAME)
    await store.ledger.sweep()
    assert not await store.blobs.has("acme", NAME)


async def test_removing_a_blob_twice_is_removing_it_once(store: Store) -> None:
    name = await store.blobs.put("acme", b"content")
    await store.blobs.remove("acme", Digest(name))
    await store.blobs.remove("acme", Digest(name))
    assert await store.blobs.get("acme", name) is None
    assert await store.blobs.put("acme", b"content") == name
    assert await store.blobs.get("acme", name) == b"content"
