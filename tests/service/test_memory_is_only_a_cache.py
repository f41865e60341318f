"""What is in memory never decides against what is on disk, and belongs to nobody outside."""

import asyncio
from typing import Any

from msgspec.structs import replace

from bailiwick.ports import Report, Unit
from bailiwick.run import Run, Status, StepStatus
from platform_kit import ALICE, Hand, System
from shop_kit import Shop


async def test_a_refusal_from_an_old_state_is_decided_again(system: System, started: Hand) -> None:
    """Another process moved the run on; whoever holds the step is not told that it lost it."""
    run = started.assignment.run
    memory = system.platform.runs.memory
    newest = (await memory.entry("acme", run)).run
    await system.submit()
    memory.known(run).run = _without_the_claim(newest)
    await started.finish({"ok": True})
    assert (await system.run(run)).status is Status.COMPLETED


def _without_the_claim(run: Run) -> Run:
    step = replace(run.steps["work"], status=StepStatus.READY, epoch=0, session="")
    return replace(run, version=run.version - 1, steps={**run.steps, "work": step})


async def test_of_two_loadings_the_newer_stays(system: System, started: Hand) -> None:
    run = started.assignment.run
    memory = system.platform.runs.memory
    old = await memory.entry("acme", run)
    memory.forget(run)
    stale = await memory.entry("acme", run)
    assert stale is not old
    await started.call("quote")
    newer = await memory.entry("acme", run)
    memory.forget(run)
    memory.keep(newer)
    old.run = _without_the_claim(old.run)
    assert memory.keep(old) is newer
    assert memory.known(run) is newer


async def test_a_run_is_claimed_only_after_its_opening_is_known(system: System) -> None:
    """The first worker may see a new run on disk before the one who opened it hears of its commit."""
    ledger = system.platform.runs.ledger
    late = asyncio.Event()

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        async def commit(self, unit: Unit) -> None:
            await ledger.commit(unit)
            if unit.expected == 0:
                await late.wait()

    system.platform.runs.ledger = Late()
    opening = asyncio.ensure_future(system.submit())
    hand = await system.hand()
    while not await system.store.queue.claimable(list(system.capabilities), 1):
        await asyncio.sleep(0)
    claiming = asyncio.ensure_future(hand.claim())
    for _ in range(50):
        await asyncio.sleep(0)
    late.set()
    run = await opening
    assert await claiming is not None
    await hand.finish({})
    assert (await system.run(run)).status is Status.COMPLETED


async def test_an_output_belongs_to_nobody_once_it_is_recorded(shop: Shop, open_system) -> None:
    """Also in one process, where no wire makes copies."""
    shop.workflow(
        {"id": "one", "uses": "clerk", "input": {}},
        {"id": "two", "uses": "other", "input": {"from": "$.steps.one.output"}},
    )
    system = await open_system(shop)
    system.clock.stop()
    run = await system.submit()
    hand = await system.hand()
    at = await hand.claim()
    output: dict[str, Any] = {"list": [1]}
    report = Report(at.task, at.tenant, at.run, at.step, at.epoch, output)
    second = await system.platform.finish(hand.session, report)
    assert second is not None
    output["list"].append(2)
    second.input["from"]["list"].append(3)
    assert await system.platform.reading.output(ALICE, run, "one") == {"list": [1]}
    system.platform.runs.memory.known(run).contents.clear()
    assert await system.platform.reading.output(ALICE, run, "one") == {"list": [1]}


async def test_a_canceled_caller_s_commit_is_told_all_the_same(system: System, started: Hand) -> None:
    told: list[int] = []
    system.platform.observers.append(lambda before, after, events: told.append(after.version))
    version = (await system.run(started.assignment.run)).version
    asking = asyncio.ensure_future(started.act("quote"))
    while not system.platform.runs._alone._lines:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    after = await system.refolded(started.assignment.run)
    assert told == ([version + 1] if after.version == version + 1 else [])
