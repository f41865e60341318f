"""Durability: what was acknowledged is there after a restart, however the process ended."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance_shapes import (
    approval,
    claim,
    following,
    head,
    opening,
    posting,
    submission,
    task,
)

from bailiwick.ports import Draft, StaleVersion, Unit
from bailiwick.stores import DataDirInUse, Store, StoreClosed, open_store
from postgres_kit import wait_until_alone

KILLS = 50 if os.environ.get("BAILIWICK_LONG") else 3
ACKS_BEFORE_KILL = 120
CHILD = Path(__file__).with_name("conformance_child.py")


async def test_closing_and_opening_again_loses_nothing(open_again: Callable[[], Store]) -> None:
    store = open_again()
    big = Draft({"kind": "big"}, b"9" * 40_000, bytes(16))
    await store.ledger.commit(
        opening(
            "run_a",
            others=(("tenant:acme", big),),
            head=head("run_a"),
            new_tasks=(task("tsk_1"), task("tsk_2")),
            new_approvals=(approval(),),
            postings=(posting("pst_1"),),
            submission=submission("key-1"),
        )
    )
    await store.queue.open_session("ses_1", "worker-1", 600)
    await store.ledger.commit(Unit("acme", moved_tasks=(claim(task("tsk_2")),)))
    await store.feed.place(1)
    before = await store.ledger.events("acme", "run_a", 0, 9)

    store = open_again()
    assert await store.ledger.events("acme", "run_a", 0, 9) == before
    assert await store.ledger.payloads("acme", "tenant:acme", [1]) == {1: b"9" * 40_000}
    assert await store.views.run("acme", "run_a") == head("run_a")
    assert await store.views.approval("acme", "apr_1") == approval()
    assert await store.views.postings("acme", "run_a") == [posting("pst_1")]
    assert await store.ledger.submission("acme", "key-1") == submission("key-1")
    assert await store.queue.claimable(["write@1"], 9) == [task("tsk_1")]
    assert await store.queue.renew_session("ses_1", 600)
    assert [event.position for event in await store.feed.read(0, 9)] == [1]


async def test_chains_and_positions_go_on_where_they_were(open_again: Callable[[], Store]) -> None:
    await open_again().ledger.commit(opening("run_a", events=2))
    store = open_again()
    with pytest.raises(StaleVersion):
        await store.ledger.commit(opening("run_a"))
    await store.ledger.commit(following("run_a", 2))
    await store.ledger.commit(opening("run_b"))
    await store.feed.place(100)
    events = await store.feed.read(0, 100)
    assert [(event.stream, event.seq, event.position) for event in events] == [
        ("run_a", 1, 1),
        ("run_a", 2, 2),
        ("run_a", 3, 3),
        ("run_b", 1, 4),
    ]
    assert events[1].leaf.hex().encode() in events[2].header


async def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    for call in (store.ledger.commit(opening("run_a")), store.ledger.halts(), store.feed.read(0, 1)):
        with pytest.raises(StoreClosed):
            await call
    store.close()


def start_child(data_dir: Path, name: str, place: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(  # the one thing that can be killed without warning
        [sys.executable, str(CHILD), str(data_dir), name, place],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    assert first == "ready\n", child.communicate()
    return child


async def test_a_second_process_is_refused_and_told_who_holds_the_directory(
    open_again: Callable[[], Store], place: str, tmp_path: Path
) -> None:
    child = start_child(tmp_path / "data", "x", place)
    try:
        with pytest.raises(DataDirInUse) as refusal:
            open_again()
        assert refusal.value.facts["holder"] == f"process {child.pid}"
    finally:
        child.kill()
        child.communicate()
    open_again()


async def test_the_same_process_is_refused_too(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataDirInUse) as refusal:
        open_store(tmp_path / "data", blob_key=bytes(16))
    assert refusal.value.facts["holder"] == f"process {os.getpid()}"


async def test_every_acknowledged_unit_survives_sigkill_in_mid_load(
    open_again: Callable[[], Store], place: str, tmp_path: Path
) -> None:
    acknowledged: dict[str, int] = {}
    for kill in range(KILLS):
        child = start_child(tmp_path / "data", str(kill), place)
        assert child.stdout is not None
        for _ in range(ACKS_BEFORE_KILL):
            note(acknowledged, child.stdout.readline())
        child.kill()
        rest, _ = child.communicate()
        for line in rest.splitlines(keepends=True):
            note(acknowledged, line)
    if place:
        wait_until_alone(place)
    store = open_again()
    assert len(acknowledged) == 8 * KILLS
    for run, version in acknowledged.items():
        events = await store.ledger.events("acme", run, 0, 100_000)
        found = await store.views.run("acme", run)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len(events) >= version
        assert found is not None
        assert found.version == len(events)
    while await store.feed.place(1000):
        pass
    runs = sum(
        found.version for found in await store.views.runs("acme", status="", app="", before="", limit=10_000)
    )
    tenant = await store.ledger.events("acme", "tenant:acme", 0, 1_000_000)
    feed = await store.feed.read(0, 1_000_000)
    assert [event.position for event in feed] == list(range(1, runs + len(tenant) + 1))
    assert len(tenant) == runs - 8 * KILLS


def note(acknowledged: dict[str, int], line: str) -> None:
    if not line.endswith("\n"):
        return  # cut off by the kill: nobody heard it
    run, version = line.split()
    acknowledged[run] = int(version)
