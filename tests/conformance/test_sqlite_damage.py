"""Only SQLite: what somebody edits or erases by hand is told apart and found when it is read."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance_shapes import (
    draft,
)

from bailiwick.ports import Draft, Unit
from bailiwick.stores import (
    EventDamaged,
    PayloadDamaged,
    SqliteStore,
    open_inspector,
)


@pytest.fixture
def place() -> str:
    """Say that the store is SQLite, alone."""
    return ""


async def edited(open_again: Callable[[], SqliteStore], tmp_path: Path, sql: str) -> SqliteStore:
    store = open_again()
    unit = Unit("acme", "run_a", 0, (draft("one", {"n": 1}), draft("two", {"n": 2}), draft("three")))
    await store.ledger.commit(unit)
    await store.feed.place(10)
    store.close()
    raw = sqlite3.connect(tmp_path / "data" / "ledger.db")
    assert raw.execute(sql).rowcount == 1
    raw.commit()
    raw.close()
    return open_again()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE payloads SET body = CAST('{\"n\":7}' AS BLOB) WHERE pos = 2",
        "UPDATE payloads SET salt = zeroblob(16) WHERE pos = 2",
        "UPDATE payloads SET body = NULL, blob = 'none' WHERE pos = 2",
        "INSERT INTO payloads (pos, salt, body) VALUES (3, zeroblob(16), x'7b7d')",
        "UPDATE payloads SET salt = x'01' WHERE pos = 2",
    ],
    ids=["body", "salt", "blob lost", "added", "short salt"],
)
async def test_an_edited_payload_is_found_when_it_is_read(
    open_again: Callable[[], SqliteStore], tmp_path: Path, sql: str
) -> None:
    store = await edited(open_again, tmp_path, sql)
    for read in (
        store.ledger.events("acme", "run_a", 0, 9),
        store.ledger.payloads("acme", "run_a", [2, 3]),
        store.feed.read(0, 9),
    ):
        with pytest.raises(PayloadDamaged) as refusal:
            await read
        assert refusal.value.facts["stream"] == "run_a"
    assert await store.ledger.payloads("acme", "run_a", [1]) == {1: b'{"n":1}'}


async def test_an_erased_payload_is_absent_not_damaged(
    open_again: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    store = await edited(open_again, tmp_path, "DELETE FROM payloads WHERE pos = 2")
    assert [event.payload for event in await store.ledger.events("acme", "run_a", 0, 9)] == [
        b'{"n":1}',
        None,
        None,
    ]


async def test_an_edited_header_is_found_when_it_is_read(
    open_again: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    edit = "UPDATE events SET header = replace(CAST(header AS TEXT), 'two', 'owt') WHERE pos = 2"
    store = await edited(
        open_again, tmp_path, edit.replace("replace(", "CAST(replace(").replace(" WHERE", " AS BLOB) WHERE")
    )
    for read in (store.ledger.events("acme", "run_a", 0, 9), store.feed.read(0, 9)):
        with pytest.raises(EventDamaged) as refusal:
            await read
        assert refusal.value.facts == {"stream": "run_a", "seq": 2}


async def test_a_damaged_large_payload_is_found(
    open_again: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    store = open_again()
    await store.ledger.commit(Unit("acme", "run_a", 0, (Draft({"kind": "big"}, b"5" * 50_000, bytes(16)),)))
    blobs = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 1
    blobs[0].write_bytes(b"6" * 50_000)
    with pytest.raises(PayloadDamaged):
        await store.ledger.payloads("acme", "run_a", [1])


async def test_a_large_payload_of_a_refused_unit_leaves_no_row(store: SqliteStore) -> None:
    big = Draft({"kind": "big"}, b"5" * 50_000, bytes(16))
    outcomes = await asyncio.gather(
        *[store.ledger.commit(Unit("acme", "run_a", 0, (big,))) for _ in range(8)], return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert len(await store.ledger.events("acme", "run_a", 0, 99)) == 1


async def test_the_inspector_lists_large_payloads_alone_and_in_pages(
    store: SqliteStore, tmp_path: Path
) -> None:
    big = Draft({"kind": "big"}, b"5" * 50_000, bytes(16))
    await store.ledger.commit(Unit("acme", "run_a", 0, (draft("small", {"n": 1}), big, draft("none"), big)))
    with open_inspector(tmp_path / "data") as inspector:
        assert [found.seq for found in await inspector.large_payloads(0, 9)] == [2, 4]
        assert [found.seq for found in await inspector.large_payloads(0, 1)] == [2]
        assert [found.seq for found in await inspector.large_payloads(2, 9)] == [4]
