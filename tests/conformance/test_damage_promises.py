"""Damage: what somebody edits or erases by hand is told apart and found when it is read."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest
from conformance_shapes import draft

from bailiwick.ports import Draft, Unit
from bailiwick.stores import EventDamaged, PayloadDamaged, Store
from postgres_kit import cluster

Edit = tuple[str, str]
"""One edit in each store's own words, SQLite's first; the only stream has as many events as there are positions."""


@pytest.fixture
def edited(open_again: Callable[[], Store], place: str, tmp_path: Path) -> Callable[[Edit], Awaitable[Store]]:
    async def edit(by_hand: Edit) -> Store:
        store = open_again()
        unit = Unit("acme", "run_a", 0, (draft("one", {"n": 1}), draft("two", {"n": 2}), draft("three")))
        await store.ledger.commit(unit)
        await store.feed.place(10)
        await store.end()
        if place:
            changed = f"WITH changed AS ({by_hand[1]} RETURNING 1) SELECT count(*) FROM changed"
            assert cluster().sql(changed, place) == "1"
        else:
            raw = apsw.Connection(str(tmp_path / "data" / "ledger.db"))
            raw.execute(by_hand[0])
            assert raw.changes() == 1
            raw.close()
        return open_again()

    return edit


@pytest.mark.parametrize(
    "by_hand",
    [
        (
            "UPDATE payloads SET body = CAST('{\"n\":7}' AS BLOB) WHERE pos = 2",
            "UPDATE payloads SET body = '{\"n\":7}' WHERE seq = 2",
        ),
        (
            "UPDATE payloads SET salt = zeroblob(16) WHERE pos = 2",
            "UPDATE payloads SET salt = decode(repeat('00', 16), 'hex') WHERE seq = 2",
        ),
        (
            "UPDATE payloads SET body = NULL, blob = 'none' WHERE pos = 2",
            "UPDATE payloads SET body = NULL, blob = 'none' WHERE seq = 2",
        ),
        (
            "INSERT INTO payloads (pos, salt, body) VALUES (3, zeroblob(16), x'7b7d')",
            (
                "INSERT INTO payloads (stream, seq, salt, body)"
                " SELECT stream, 3, decode(repeat('00', 16), 'hex'), '{}' FROM payloads WHERE seq = 2"
            ),
        ),
        (
            "UPDATE payloads SET salt = x'01' WHERE pos = 2",
            "UPDATE payloads SET salt = '\\x01' WHERE seq = 2",
        ),
    ],
    ids=["body", "salt", "blob lost", "added", "short salt"],
)
async def test_an_edited_payload_is_found_when_it_is_read(
    edited: Callable[[Edit], Awaitable[Store]], by_hand: Edit
) -> None:
    store = await edited(by_hand)
    for read in (
        store.ledger.events("acme", "run_a", 0, 9),
        store.ledger.payloads("acme", "run_a", [2, 3]),
        store.feed.read(0, 9),
    ):
        with pytest.raises(PayloadDamaged) as refusal:
            await read
        assert refusal.value.facts["stream"] == "run_a"
    assert await store.ledger.payloads("acme", "run_a", [1]) == {1: b'{"n":1}'}


async def test_an_erased_payload_is_absent_not_damaged(edited: Callable[[Edit], Awaitable[Store]]) -> None:
    store = await edited(("DELETE FROM payloads WHERE pos = 2", "DELETE FROM payloads WHERE seq = 2"))
    assert [event.payload for event in await store.ledger.events("acme", "run_a", 0, 9)] == [
        b'{"n":1}',
        None,
        None,
    ]


async def test_an_edited_header_is_found_when_it_is_read(edited: Callable[[Edit], Awaitable[Store]]) -> None:
    store = await edited(
        (
            "UPDATE events SET header = CAST(replace(CAST(header AS TEXT), 'two', 'owt') AS BLOB) WHERE pos = 2",
            (
                "UPDATE events SET header = convert_to(replace(convert_from(header, 'UTF8'), 'two', 'owt'), 'UTF8')"
                " WHERE seq = 2"
            ),
        )
    )
    for read in (store.ledger.events("acme", "run_a", 0, 9), store.feed.read(0, 9)):
        with pytest.raises(EventDamaged) as refusal:
            await read
        assert refusal.value.facts == {"stream": "run_a", "seq": 2}


async def test_a_damaged_large_payload_is_found(store: Store, tmp_path: Path) -> None:
    await store.ledger.commit(Unit("acme", "run_a", 0, (Draft({"kind": "big"}, b"5" * 50_000, bytes(16)),)))
    blobs = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 1
    blobs[0].write_bytes(b"6" * 50_000)
    with pytest.raises(PayloadDamaged):
        await store.ledger.payloads("acme", "run_a", [1])


async def test_a_large_payload_of_a_refused_unit_leaves_no_row(store: Store) -> None:
    big = Draft({"kind": "big"}, b"5" * 50_000, bytes(16))
    outcomes = await asyncio.gather(
        *[store.ledger.commit(Unit("acme", "run_a", 0, (big,))) for _ in range(8)], return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert len(await store.ledger.events("acme", "run_a", 0, 99)) == 1
