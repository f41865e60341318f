"""A commit whose answer is lost loses nothing: no step stays in hands that do not know it, no call is asked for in vain."""

import asyncio
from typing import Any

import pytest

from bailiwick.base import Json
from bailiwick.ports import Dispatch, Parked, Recorded, Unit
from bailiwick.run import CallState, LeaseLost, StepStatus
from bailiwick.service.core.memory import Entry
from bailiwick.stores import StoreBroken
from platform_kit import ROOT, Hand, System, soon


class Forgetful:
    """A ledger that commits, and then says that it does not know whether it did."""

    def __init__(self, system: System) -> None:
        self._ledger = system.platform.runs.ledger
        self.left = 1
        self.down = False
        system.platform.runs.ledger = self

    async def commit(self, unit: Unit) -> None:
        if self.down:
            raise StoreBroken("it is down")
        await self._ledger.commit(unit)
        if self.left:
            self.left -= 1
            raise StoreBroken("the answer was lost")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_a_claim_whose_commit_was_lost_sight_of_is_handed_out_all_the_same(system: System) -> None:
    run = await system.submit()
    hand = await system.hand()
    Forgetful(system)
    assignment = await hand.claim()
    assert assignment is not None
    assert (assignment.run, assignment.epoch) == (run, 1)
    assert await system.platform.recovering.reap() == 0, "it is in good hands"


async def test_a_first_step_taken_with_the_run_is_given_back(system: System) -> None:
    hand = await system.hand()
    claiming = asyncio.ensure_future(system.port.claim(hand.session, 1, 10.0))
    while system.platform.sessions.find(hand.session).room == 0:
        await asyncio.sleep(0)
    Forgetful(system)
    with pytest.raises(StoreBroken):
        await system.submit(key="once")
    run = await system.submit(key="once")
    assert await system.platform.recovering.reap() == 1
    (assignment,) = await soon(claiming)
    assert (assignment.run, assignment.epoch) == (run, 2)


async def test_a_next_step_taken_at_the_end_of_one_is_given_back(system: System) -> None:
    system.shops[0].workflow(
        {"id": "one", "uses": "clerk", "input": {}}, {"id": "two", "uses": "clerk", "input": {}}, name="two"
    )
    await system.submit("two")
    hand = await system.hand()
    await hand.claim()
    Forgetful(system)
    with pytest.raises(LeaseLost):
        await hand.finish({})
    assert await system.platform.recovering.reap() == 1
    again = await hand.claim()
    assert again is not None
    assert (again.step, again.epoch) == ("two", 2)


async def test_a_doubt_is_kept_while_the_store_cannot_be_asked(system: System) -> None:
    system.shops[0].workflow(
        {"id": "one", "uses": "clerk", "input": {}}, {"id": "two", "uses": "clerk", "input": {}}, name="two"
    )
    await system.submit("two")
    hand = await system.hand()
    await hand.claim()
    ledger = Forgetful(system)
    with pytest.raises(LeaseLost):
        await hand.finish({})
    ledger.down = True
    assert await system.platform.recovering.reap() == 0
    ledger.down = False
    assert await system.platform.recovering.reap() == 1


async def test_whoever_asks_again_under_the_same_name_gets_the_dispatch(started: Hand) -> None:
    Forgetful(started.system)
    first = await soon(started.act("mail", ask="ask_1"))
    again = await soon(started.act("mail", ask="ask_1"))
    assert isinstance(first, Dispatch)
    assert again == first
    beside = asyncio.ensure_future(started.act("mail", ask="ask_2"))
    assert isinstance(await started.settle(first), Recorded)
    assert isinstance(await soon(beside), Recorded)
    assert started.system.outside.count("mail") == 0, "nothing but the answers was given twice"
    assert (await started.system.calls(started.assignment.run))["mail"].tries == 1


async def test_a_dispatch_is_not_given_again_under_a_halt(started: Hand) -> None:
    assert isinstance(await started.act("mail", ask="ask_1"), Dispatch)
    await started.system.platform.halts.set(ROOT, "tool", "shop.mail", "stop")
    assert isinstance(await soon(started.act("mail", ask="ask_1")), Parked)


async def test_a_free_read_is_recorded_once_when_it_is_reported_twice(started: Hand) -> None:
    dispatch = await started.dispatched("read")
    Forgetful(started.system)
    first = await started.settle(dispatch)
    again = await started.settle(dispatch)
    assert (first.state, again.state) == (CallState.DONE, CallState.DONE)
    assert first.outcome == again.outcome


class Held:
    """A ledger whose next commit waits for its refusal."""

    def __init__(self, system: System) -> None:
        self._ledger = system.platform.runs.ledger
        self.begun = asyncio.Event()
        self.refuse = asyncio.Event()
        system.platform.runs.ledger = self

    async def commit(self, unit: Unit) -> None:
        if not self.refuse.is_set():
            self.begun.set()
            await self.refuse.wait()
            raise StoreBroken("it is down")
        await self._ledger.commit(unit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_who_is_ended_during_a_commit_that_fails_is_ended(started: Hand) -> None:
    """A refusal in place of the end would let them ask again, for as long as the store is down."""
    system, run = started.system, started.assignment.run
    ledger = Held(system)
    acting = asyncio.ensure_future(started.act("mail"))
    await soon(ledger.begun.wait())
    before = await system.run(run)
    acting.cancel()
    await asyncio.sleep(0)
    assert not acting.done(), "the commit cannot be taken back"
    ledger.refuse.set()
    with pytest.raises(asyncio.CancelledError):
        await soon(acting)
    assert (await system.run(run)) is not before, "what is in memory may be wrong"
    assert isinstance(await started.act("mail"), Dispatch)


class Blind:
    """A memory that has nothing at hand after the next commit, while what would have to be read cannot be."""

    def __init__(self, system: System) -> None:
        self._memory = system.platform.runs.memory
        self.up = self.down = False
        system.platform.runs.memory = self

    def keep(self, entry: Entry) -> Entry:
        kept = self._memory.keep(entry)
        kept.contents.clear()
        self.down = not self.up
        return kept

    async def read(self, entry: Entry, seqs: tuple[int, ...]) -> dict[int, Json]:
        if self.down:
            raise StoreBroken("it is down")
        return await self._memory.read(entry, seqs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


async def test_a_next_step_that_cannot_be_read_for_a_moment_is_given_back_whole(system: System) -> None:
    system.shops[0].workflow(
        {"id": "one", "uses": "clerk", "input": {}},
        {"id": "two", "uses": "clerk", "input": {"title": "$.intent.title"}},
        name="two",
    )
    run = await system.submit("two", title="a title")
    hand = await system.hand()
    await hand.claim()
    memory = Blind(system)
    assert await hand.finish({}) is None, "the report is on record; the next step is another matter"
    assert (await system.run(run)).steps["two"].status is StepStatus.RUNNING
    memory.up, memory.down = True, False
    assert await system.platform.recovering.reap() == 1
    again = await hand.claim()
    assert again is not None
    assert (again.step, again.epoch, again.input) == ("two", 2, {"title": "a title"})
