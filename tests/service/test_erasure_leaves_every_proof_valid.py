"""A payload that was erased is gone everywhere, and whatever was proven before is proven still."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bailiwick.audit import Fault, verify_export, verify_proof
from bailiwick.base import Digest, Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.policy import Forbidden
from bailiwick.ports import StaleVersion, Unit
from bailiwick.run import Status
from bailiwick.service import (
    ContentsErased,
    NotErasable,
    NotFound,
    ReasonMissing,
    ReasonTooLong,
    RunNotEnded,
    event_view,
)
from bailiwick.stores import SqliteStore, StoreBroken
from platform_kit import ALICE, BOB, MALLORY, ROOT, Hand, System, decide_seen
from shop_kit import Shop

CANARY = "zanzibar-0417"
LARGE = f"{CANARY} " * 2_000
WHY = "ticket 17"
SUBSETS = 200 if os.environ.get("BAILIWICK_LONG") else 6
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    made.workflow(
        {"id": "work", "uses": "clerk", "input": {"text": "$.intent.input.text"}},
        {"id": "after", "uses": "other", "input": {"from": "$.steps.work.output"}},
        input=TEXT,
    )
    return made


@pytest.fixture
async def system(shop: Shop, open_system: Callable[..., Awaitable[System]]) -> System:
    return await open_system(shop)


async def begun(system: System, text: str = CANARY) -> Hand:
    await system.submit(input={"text": text})
    hand = await system.hand()
    assert await hand.claim() is not None
    return hand


async def completed(system: System, text: str = CANARY) -> str:
    """A run that read, quoted, wrote, had a payment approved, and came to a large output."""
    hand = await begun(system, text)
    run = hand.assignment.run
    for tool in ("read", "quote", "write"):
        await hand.call(tool, text)
    await hand.act("pay", text)
    await decide_seen(system.platform, BOB, (await system.approval(run)).id, approve=True)
    granted = await hand.claim()
    assert granted is not None
    assert granted.dispatch is not None
    await hand.port.settle(hand.session, await hand.execute(granted.dispatch))
    assert await hand.claim() is not None
    await hand.finish({"text": text * 2_000})
    await hand.finish({"text": text})
    assert (await system.run(run)).status is Status.COMPLETED
    return run


async def failed(system: System) -> str:
    hand = await begun(system)
    await hand.call("write", CANARY)
    await hand.finish(None, category=ErrorCategory.INTERNAL, reason="it broke")
    return hand.assignment.run


async def canceled(system: System) -> str:
    hand = await begun(system)
    await hand.call("never", CANARY)
    await system.platform.control.cancel(ROOT, hand.assignment.run)
    await hand.finish(None, category=ErrorCategory.CANCELED, reason="stopped")
    return hand.assignment.run


async def kept(system: System, run: str) -> list[int]:
    return list(await system.store.ledger.kept("acme", run, 0, 500))


async def export(system: System) -> dict[str, bytes]:
    return await system.platform.sequencing.export(ROOT)


def files_with(folder: Path, text: str) -> list[str]:
    """Name the files that hold a text anywhere in their bytes."""
    found = [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
    return sorted(str(path.relative_to(folder)) for path in found)


async def test_what_was_proven_before_an_erasure_is_proven_after_it(system: System, tmp_path: Path) -> None:
    run = await completed(system)
    platform = system.platform
    witnessed = (await platform.sequencing.checkpoint(ROOT)).note
    vkey = platform.sequencing.signer.vkey
    stored = await platform.reading.event(ROOT, run, 1)
    early = await platform.sequencing.proof(ROOT, run, 1, stored.header)
    done = await platform.erasing.erase(ROOT, run, 1, WHY)
    assert done.erased == (f"{run}.1",)
    files = await export(system)
    report = verify_export(files, trusted=[vkey], witnessed=[witnessed])
    assert (report.ok, report.findings, report.erased) == (True, (), (f"{run}.1",))
    assert report.witnessed > 0
    folder = tmp_path / "export"
    folder.mkdir()
    for name, body in files.items():
        (folder / name).write_bytes(body)
    command = [sys.executable, "-I", str(folder / "verify.py"), str(folder), vkey]
    alone = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    again = await platform.reading.event(ROOT, run, 1)
    assert (again.header, again.payload, again.salt) == (stored.header, None, b"")
    late = await platform.sequencing.proof(ROOT, run, 1, again.header)
    for proof in (early, late):
        verify_proof(proof, [vkey])


async def test_the_erasure_says_who_erased_what_and_why(system: System) -> None:
    run = await completed(system)
    await system.platform.erasing.erase(ROOT, run, 1, WHY)
    tenant = await system.store.ledger.events("acme", "tenant:acme", 0, 50)
    acts = [view for view in map(event_view, tenant) if view["kind"] == "payload.erased"]
    assert [(act["actor"], act["reason"]) for act in acts] == [("user:root", WHY)]
    assert f'"erased":"{run}.1"'.encode() in tenant[-1].header


async def test_a_payload_that_goes_without_an_act_is_a_finding(system: System) -> None:
    run = await completed(system)
    await system.platform.erasing.erase(ROOT, run, 1, WHY)
    second = (await kept(system, run))[0]
    system.tampered = True
    assert system.edit(f"DELETE FROM payloads WHERE {system.payload_of(run, second)}") == 1
    report = verify_export(await export(system))
    assert [(each.code, each.event) for each in report.findings] == [
        (Fault.PAYLOAD_MISSING, f"{run}.{second}")
    ]
    assert [(each.invariant, each.id) for each in await system.violations()] == [
        ("payloads_are_kept", f"{run}.{second}")
    ]


async def test_after_erasing_any_payloads_of_any_runs_everything_holds(system: System) -> None:
    """Closing the system asks every invariant and replays every run once more."""
    chance = random.Random(20260)
    checked = 0
    for _ in range(SUBSETS):
        runs = [await make(system) for make in (completed, failed, canceled)]
        gone = {
            (run, seq) for run in runs for seq in await kept(system, run) if chance.random() < chance.random()
        }
        for run, seq in sorted(gone):
            await system.platform.erasing.erase(ROOT, run, seq, WHY)
        names = {f"{run}.{seq}" for run, seq in gone}
        report = verify_export(await export(system))
        assert report.findings == ()
        assert {event for event in report.erased if event.rpartition(".")[0] in runs} == names
        for replayed in await system.replays():
            assert replayed.differences == ()
        for run in runs:
            before = await system.run(run)
            assert await system.refolded(run) == before
            shown = await system.events(run)
            assert {event["id"] for event in shown if event["erased"]} == names & {e["id"] for e in shown}
            await system.platform.reading.detail(ALICE, run)
        assert await system.violations() == []
        checked += len(gone)
    assert checked >= SUBSETS


async def test_a_decision_whose_ground_was_erased_is_unkept_and_no_difference(system: System) -> None:
    run = await completed(system)
    whole = await system.replays()
    assert [each.unkept for each in whole] == [()]
    await system.platform.erasing.erase_run(ROOT, run, WHY)
    (replayed,) = await system.replays()
    assert replayed.differences == ()
    assert replayed.unkept
    assert all("erased" in each for each in replayed.unkept)
    assert replayed.state == whole[0].state
    assert replayed.decisions + len(replayed.unkept) >= whole[0].decisions


@pytest.mark.sqlite_only(
    "PostgreSQL's files are its server's: dead rows stay until VACUUM, as docs/security.md says"
)
async def test_the_bytes_are_gone_from_every_file(system: System) -> None:
    run = await completed(system)
    data = system.folder / "data"
    assert len(files_with(data, CANARY)) >= 2, "one in the database or its log, one as a blob"
    await system.platform.erasing.erase_run(ROOT, run, WHY)
    assert files_with(data, CANARY) == []
    assert await kept(system, run) == []
    assert not system.platform.streams.watch(run).take()
    await system.crash()
    assert files_with(data, CANARY) == []
    assert (await system.run(run)).status is Status.COMPLETED


async def test_one_erasure_leaves_the_neighbours_alone(system: System) -> None:
    run, other = await completed(system), await completed(system, "other")
    before = await kept(system, run), await kept(system, other)
    await system.platform.erasing.erase(ROOT, run, before[0][1], WHY)
    assert await kept(system, run) == [seq for seq in before[0] if seq != before[0][1]]
    assert await kept(system, other) == before[1]


async def test_a_crash_before_the_blob_goes_is_made_good(system: System) -> None:
    run = await completed(system)
    blobs = system.store.blobs

    async def die(tenant: str, digest: Digest) -> None:
        raise StoreBroken("the process died here")

    blobs.remove = die  # type: ignore[method-assign]
    with pytest.raises(StoreBroken):
        await system.platform.erasing.erase_run(ROOT, run, WHY)
    assert await kept(system, run) == []
    assert files_with(system.folder / "data" / "blobs", CANARY)
    await system.crash()
    settled = await system.platform.erasing.sweep()
    assert files_with(system.folder / "data", CANARY) == []
    system.clock.advance(
        30 * 86_400
    )  # a note on PostgreSQL stays for some days, for the blobs of other processes
    settled += await system.platform.erasing.sweep()
    assert settled >= 1
    assert await system.platform.erasing.sweep() == 0
    assert verify_export(await export(system)).ok


async def test_a_blob_that_another_payload_lies_in_stays(system: System) -> None:
    run, twin = await completed(system), await completed(system)
    await system.platform.erasing.erase_run(ROOT, run, WHY)
    assert await system.platform.reading.output(ALICE, twin, "work") == {"text": CANARY * 2_000}
    await system.platform.erasing.erase_run(ROOT, twin, WHY)
    assert files_with(system.folder / "data", CANARY) == []


@pytest.mark.parametrize("when", ["before", "between", "after"])
async def test_a_blob_that_a_unit_on_its_way_needs_stays(system: System, when: str) -> None:
    """Whoever finds the blob there and commits a payload that lies in it must not lose it."""
    run = await completed(system)
    hand = await begun(system)
    ledger = system.store.ledger
    way = "_writer" if isinstance(system.store, SqliteStore) else "_pump"  # what units go through
    large = ledger._large
    twin: list[asyncio.Task[Any]] = []
    go, asked = asyncio.Event(), asyncio.Event()

    async def finish() -> None:
        await hand.finish({"text": CANARY * 2_000})

    class Slow:
        """Lets the removal be asked for while the other unit is stored and not committed."""

        def submit(self, entry: Any) -> Any:
            asked.set()

            async def later() -> Any:
                await go.wait()
                return await writer.submit(entry)

            return asyncio.ensure_future(later())

        writer = property(lambda _: writer.writer)

    writer = getattr(ledger, way)
    removed = large.remove

    async def remove(tenant: str, digest: Digest, is_named: Callable[[], Awaitable[bool]]) -> bool:
        async def named() -> bool:
            found = await is_named()
            if when == "between" and not twin:
                twin.append(asyncio.ensure_future(finish()))
                while not large._held[tenant, digest]:
                    await asyncio.sleep(0)
            return found

        return await removed(tenant, digest, named)

    large.remove = remove  # type: ignore[method-assign]
    if when == "before":
        setattr(ledger, way, Slow())
        twin.append(asyncio.ensure_future(finish()))
        await asked.wait()
        setattr(ledger, way, writer)
    await system.platform.erasing.erase_run(ROOT, run, WHY)
    go.set()
    if when == "after":
        twin.append(asyncio.ensure_future(finish()))
    await asyncio.gather(*twin)
    output = await system.platform.reading.output(ALICE, hand.assignment.run, "work")
    assert output == {"text": CANARY * 2_000}
    await system.platform.erasing.sweep()
    assert await system.violations() == []


async def test_what_cannot_be_erased_is_refused_and_says_why(system: System) -> None:
    erasing = system.platform.erasing
    hand = await begun(system)
    for act in (
        erasing.erase(ROOT, hand.assignment.run, 1, WHY),
        erasing.erase_run(ROOT, hand.assignment.run, WHY),
    ):
        with pytest.raises(RunNotEnded) as going:
            await act
        assert "runs cancel" in going.value.remedy
    run = await completed(system, "mine")
    bare = next(
        event["seq"] for event in await system.events(run) if event["payload"] is None and not event["erased"]
    )
    await erasing.erase(ROOT, run, 1, WHY)
    refused: list[tuple[type[Refusal], Awaitable[Any], str]] = [
        (NotErasable, erasing.erase(ROOT, run, 1, WHY), "erased before"),
        (NotErasable, erasing.erase(ROOT, run, bare, WHY), "never had"),
        (NotFound, erasing.erase(ROOT, run, 10_000, WHY), "no event"),
        (NotFound, erasing.erase(ROOT, "run_none", 1, WHY), "no run"),
        (NotFound, erasing.erase(MALLORY, run, 2, WHY), "no run"),
        (NotFound, erasing.erase_run(MALLORY, run, WHY), "no run"),
        (Forbidden, erasing.erase(ALICE, run, 2, WHY), "payloads.erase"),
        (Forbidden, erasing.erase_run(BOB, run, WHY), "payloads.erase"),
        (ReasonMissing, erasing.erase(ROOT, run, 2, "  "), "reason"),
        (ReasonTooLong, erasing.erase_run(ROOT, run, "x" * 401), "401"),
    ]
    before = await kept(system, run)
    for kind, asked, says in refused:
        with pytest.raises(kind) as refusal:
            await asked
        assert says in refusal.value.message
    assert await kept(system, run) == before
    await erasing.erase_run(ROOT, run, WHY)
    with pytest.raises(NotErasable):
        await erasing.erase_run(ROOT, run, WHY)


async def test_of_sixteen_who_erase_the_same_one_does(system: System) -> None:
    run = await completed(system)
    asked = [system.platform.erasing.erase(ROOT, run, 1, WHY) for _ in range(16)]
    came = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, NotErasable) for each in came) == 15
    tenant = await system.store.ledger.events("acme", "tenant:acme", 0, 50)
    assert sum(b"payload.erased" in event.header for event in tenant) == 1


async def test_a_long_run_is_erased_in_bounded_units_and_goes_on_where_it_was_cut(system: System) -> None:
    hand = await begun(system)
    for at in range(130):
        await hand.call("read", f"{CANARY} {at}")
    await hand.finish({})
    if (await system.run(hand.assignment.run)).closed is None:
        await hand.claim()
        await hand.finish({})
    run = hand.assignment.run
    count = len(await kept(system, run))
    assert count > 120
    sizes: list[int] = []
    commit = system.store.ledger.commit

    async def counted(unit: Unit) -> None:
        if len(sizes) == 1:
            sizes.append(0)
            raise StaleVersion(run=run, expected=0, actual=0)
        if unit.erased:
            sizes.append(len(unit.erased))
        await commit(unit)

    system.platform.erasing._ledger.commit = counted  # type: ignore[method-assign]
    done = await system.platform.erasing.erase_run(ROOT, run, WHY)
    assert len(done.erased) == count
    assert sum(sizes) == count
    assert max(sizes) <= 100
    assert files_with(system.folder / "data", CANARY) == []


async def test_what_stays_is_named(system: System) -> None:
    hand = await begun(system)
    artifact = await system.store.blobs.put("acme", b"an artifact")
    foreign = await system.store.blobs.put("evil", b"of another")
    await hand.finish({"report": artifact, "other": foreign, "none": "e" * 64})
    await hand.finish({})
    done = await system.platform.erasing.erase_run(ROOT, hand.assignment.run, WHY)
    plan = (await system.run(hand.assignment.run)).plan
    assert artifact in done.artifacts
    assert plan in done.artifacts
    assert foreign not in done.artifacts
    assert "e" * 64 not in done.artifacts


async def test_an_export_that_meets_an_erasure_half_way_is_still_sound(system: System) -> None:
    run = await completed(system)
    audit = system.platform.sequencing._audit
    entries = audit.entries
    erased: list[str] = []

    async def late(log: str, after: int, limit: int) -> Any:
        if not erased:
            erased.append(run)
            await system.platform.erasing.erase_run(ROOT, run, WHY)
        return await entries(log, after, limit)

    audit.entries = late  # type: ignore[method-assign]
    report = verify_export(await export(system))
    assert report.findings == ()
    assert len(report.erased) > 5


async def test_readers_say_erased_and_do_not_fail(system: System) -> None:
    run = await completed(system)
    (approval,) = await system.platform.approving.list(BOB, state="", run=run)
    await system.platform.reading.detail(ALICE, run)
    await system.platform.erasing.erase_run(ROOT, run, WHY)
    detail = await system.platform.reading.detail(ALICE, run)
    assert (detail.intent, detail.output) == (None, None)
    assert set(detail.erased) >= {"intent", "output"}
    assert await system.platform.reading.output(ALICE, run, "work") is None
    shown = await system.platform.approving.show(BOB, approval.id)
    assert (shown.erased, shown.action, shown.artifacts) == (True, None, {})
    events = await system.events(run)
    assert CANARY not in str(events)
    assert all(event["erased"] == (event["commitment"] is not None) for event in events)
    with pytest.raises(Refusal):
        await system.platform.control.resume(ROOT, run)


async def test_another_process_serves_nothing_that_was_erased(system: System) -> None:
    """Its memory may be older: of an ended run it keeps no contents, and it follows the log."""
    from bailiwick.service import Sharing  # noqa: PLC0415 - the one test that needs it

    hand = await begun(system)
    run = hand.assignment.run
    other = system.make_platform(Sharing(operators="acme", shared=True))
    assert (await other.reading.detail(ALICE, run)).intent is not None
    await hand.finish({"text": CANARY})
    await hand.finish({})
    await other.comparing.compare()
    assert CANARY in str((await other.reading.detail(ALICE, run)).intent)
    await system.platform.erasing.erase_run(ROOT, run, WHY)
    assert (await other.reading.detail(ALICE, run)).intent is None
    assert not other.runs.memory.known(run).contents


async def test_what_was_erased_is_not_rolled_back_half_way(system: System) -> None:
    run = await completed(system)
    await system.platform.erasing.erase(ROOT, run, (await kept(system, run))[-1], WHY)
    before = await system.run(run)
    with pytest.raises(ContentsErased) as refusal:
        await system.platform.control.roll_back(ROOT, run, "undo it")
    assert refusal.value.facts["event"].startswith(f"{run}.")
    assert await system.refolded(run) == before
