"""Tenants and workers apart: nobody reads, changes or acts on what is not his."""

import pytest

from bailiwick.base import Instant, Refusal
from bailiwick.policy import Role
from bailiwick.ports import Frame
from bailiwick.service import NotFound
from platform_kit import ALICE, MALLORY, ROOT, Hand, System, decide_seen


async def test_a_stranger_reads_and_changes_nothing(system: System, started: Hand) -> None:
    """Every use case with an id of another tenant answers as if there were none."""
    run = started.assignment.run
    await started.call("read")
    await started.act("pay")
    platform = system.platform
    approval = (await system.approval(run)).id
    halt = await platform.halts.set(ALICE, "run", "run_x", "stop")
    held, _ = await platform.keyring.create(ROOT, name="k", role=Role.VIEWER)
    artifact = (await system.run(run)).plan
    before = (await system.refolded(run)).version
    attempts = [
        # First of all: the refusals of the others are the first events of the stranger's own log.
        platform.sequencing.checkpoint(MALLORY),
        platform.sequencing.export(MALLORY),
        platform.reading.head(MALLORY, run),
        platform.reading.detail(MALLORY, run),
        platform.reading.output(MALLORY, run, "work"),
        platform.reading.events(MALLORY, run),
        platform.reading.event(MALLORY, run, 1),
        platform.reading.cost(MALLORY, run),
        platform.reading.artifact(MALLORY, artifact),
        platform.control.cancel(MALLORY, run),
        platform.control.resume(MALLORY, run, add_micro_usd=1),
        platform.control.resolve(MALLORY, run, "eff_x", done=True),
        platform.approving.show(MALLORY, approval),
        decide_seen(platform, MALLORY, approval, approve=True),
        platform.halts.lift(MALLORY, halt.id),
        platform.keyring.revoke(MALLORY, held.key.id),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt
    assert await platform.reading.runs(MALLORY) == []
    assert await platform.approving.list(MALLORY, state="") == []
    assert await platform.keyring.list(MALLORY) == []
    assert platform.halts.list("evil") == []
    assert await platform.reading.artifact(ALICE, artifact)
    assert (await system.refolded(run)).version == before


async def test_a_halt_of_a_strangers_run_stops_nobody(system: System, started: Hand) -> None:
    run = started.assignment.run
    for scope, target in [("run", run), ("app", "shop"), ("tenant", "acme"), ("tenant", "")]:
        await system.platform.halts.set(MALLORY, scope, target, "mine")
    assert (await started.call("read")).state == "done"


async def test_a_worker_acts_only_on_what_it_holds(system: System, started: Hand) -> None:
    run = started.assignment.run
    for changes in [{"tenant": "evil"}, {"run": "run_x"}, {"step": "other"}, {"epoch": 7}]:
        with pytest.raises(Refusal):
            await started.act("read", **changes)
    watcher = system.platform.streams.watch("run_x")
    mine = system.platform.streams.watch(run)
    body = {"type": "text", "text": "hi"}
    frames = (
        Frame("run_x", "work", 1, "", Instant(1), body),
        Frame(run, "work", 9, "", Instant(1), body),
        Frame(run, "work", started.assignment.epoch, "", Instant(1), body),
    )
    await started.port.frames(started.session, frames)
    assert watcher.take() == []
    assert len(mine.take()) == 1
