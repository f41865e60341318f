"""Two processes on one store: a halt on one is in force on the other in time, and who cannot know lets nothing start."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bailiwick.base import Refusal
from bailiwick.ports import (
    Dispatch,
    Halt,
    Hello,
    Ledger,
    Parked,
    StoredEvent,
    Submission,
    Unit,
)
from bailiwick.run import CallState, Status
from bailiwick.service import HaltsUnconfirmed, Sharing
from bailiwick.stores import StoreBusy
from platform_kit import ALICE, BOB, MALLORY, ROOT, Hand, System, decide_seen, soon
from world_kit import JsonPort


class Ticks:
    """A monotonic clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Line:
    """A way to the ledger: it can be cut for reads of halts, and something can happen while a unit is written."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.cut = False
        self.reading = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.slow: Ticks | None = None
        self.then: Callable[[], Awaitable[None]] | None = None

    async def commit(self, unit: Unit) -> None:
        await self._ledger.commit(unit)
        if self.then is not None and unit.run:
            act, self.then = self.then, None
            await act()

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        return await self._ledger.events(tenant, stream, after, limit)

    async def payloads(self, tenant: str, stream: str, seqs: Sequence[int]) -> dict[int, bytes]:
        return await self._ledger.payloads(tenant, stream, seqs)

    async def submission(self, tenant: str, key: str) -> Submission | None:
        return await self._ledger.submission(tenant, key)

    async def halts(self) -> Sequence[Halt]:
        if self.cut:
            raise StoreBusy("the line is cut")
        found = await self._ledger.halts()
        if self.slow is not None:
            self.slow.now += 0.6
        self.reading.set()
        if self.hold is not None:
            await self.hold.wait()
        return found


class Pair:
    """The system's own platform sets halts; another, with a hand of its own, has to obey them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.ticks = Ticks()
        self.line = Line(system.store.ledger)
        self.other = system.make_platform(Sharing("acme", shared=True, ticks=self.ticks), self.line)
        self.hand: Hand

    async def start(self) -> "Pair":
        await self.other.start()
        port = JsonPort(self.other)
        session = await port.hello(Hello("other", self.system.capabilities))
        self.hand = Hand(self.system, session.id)
        self.hand.port = port
        await self.system.submit()
        assert await self.hand.claim() is not None
        return self

    @property
    def run(self) -> str:
        return self.hand.assignment.run

    async def halt(self) -> Halt:
        return await self.system.platform.halts.set(ROOT, "app", "shop", "stop")


@pytest.fixture
async def pair(system: System) -> Pair:
    return await Pair(system).start()


async def test_a_halt_is_in_force_on_the_other_process_within_half_a_second(pair: Pair) -> None:
    assert isinstance(await pair.hand.act("quote", "before"), Dispatch)
    await pair.halt()
    pair.ticks.now += 0.51
    stopped = await pair.hand.act("quote", "after")
    assert isinstance(stopped, Parked)
    assert "stop" in stopped.reason
    assert (await pair.system.refolded(pair.run)).status is Status.BLOCKED


async def test_the_keeper_s_duty_brings_it_over_and_tells_who_is_at_work(pair: Pair) -> None:
    await pair.hand.dispatched("quote")
    await pair.halt()
    assert await pair.other.halts.refresh() == 1
    notices = await pair.hand.port.heartbeat(pair.hand.session, 0.01)
    assert [(each.task, each.what) for each in notices] == [(f"{pair.run}/work", "halt")]
    assert await pair.other.halts.refresh() == 0, "a duty that did nothing says so"


async def test_an_old_look_that_is_answered_late_takes_no_halt_back(pair: Pair) -> None:
    """A notice and the keeper's duty may look at once; the look that began before the halt ends behind the other."""
    hold = pair.line.hold = asyncio.Event()
    pair.line.reading.clear()
    early = asyncio.ensure_future(pair.other.halts.refresh())
    await soon(pair.line.reading.wait())
    pair.line.hold = None
    halt = await pair.halt()
    assert await pair.other.halts.refresh() == 1
    hold.set()
    await soon(early)
    assert pair.other.halts.in_force(halt.id)
    assert isinstance(await pair.hand.act("quote", "after"), Parked)


async def test_who_cannot_read_the_halts_lets_nothing_start(pair: Pair) -> None:
    pair.line.cut = True
    pair.ticks.now += 0.49
    assert isinstance(await pair.hand.act("quote", "on a fresh view"), Dispatch)
    pair.ticks.now += 0.02
    before = (await pair.system.refolded(pair.run)).version
    for tool in ("read", "quote", "write", "mail"):
        with pytest.raises(HaltsUnconfirmed) as refused:
            await pair.hand.act(tool, "blind")
        assert refused.value.category == "unavailable", "a worker asks again"
    await pair.system.submit()
    assert await pair.hand.port.claim(pair.hand.session, 1, 0.0) == ()
    assert (await pair.system.refolded(pair.run)).version == before
    pair.line.cut = False
    assert isinstance(await pair.hand.act("quote", "it answers again"), Dispatch)


async def test_a_view_that_was_old_when_it_came_lets_nothing_start(pair: Pair) -> None:
    """Its age counts from when it was asked for: the answer may be older than the reply."""
    pair.line.slow = pair.ticks
    pair.ticks.now += 1.0
    with pytest.raises(HaltsUnconfirmed):
        await pair.hand.act("quote")
    pair.line.slow = None
    assert isinstance(await pair.hand.act("quote"), Dispatch)


@pytest.mark.parametrize("tool", ["read", "quote", "write", "mail"])
async def test_a_halt_that_lands_while_the_intent_is_written_keeps_the_call_from_starting(
    pair: Pair, tool: str
) -> None:
    """The commit takes longer than the view is good for; the dispatch is never handed out, and costs nothing."""

    async def meanwhile() -> None:
        pair.ticks.now += 2.0
        await pair.halt()

    pair.line.then = meanwhile
    if tool == "read":
        await meanwhile()
        pair.line.then = None
    assert isinstance(await pair.hand.act(tool), Parked)
    state = await pair.system.refolded(pair.run)
    assert state.status is Status.BLOCKED
    assert {call.state for call in state.calls.values()} <= {CallState.LOST}
    assert (state.allotment.reserved, state.allotment.spent) == (0, 0)
    (halt,) = pair.system.platform.halts.list("acme")
    await pair.system.platform.halts.lift(ROOT, halt.id)
    pair.ticks.now += 1.0
    assert await pair.hand.claim() is not None
    assert (await pair.hand.call(tool)).state == "done"
    assert pair.system.outside.count(tool) == 1


async def test_a_withheld_dispatch_goes_out_once_the_halts_can_be_read_again(pair: Pair) -> None:
    async def meanwhile() -> None:
        pair.ticks.now += 2.0
        pair.line.cut = True

    pair.line.then = meanwhile
    with pytest.raises(HaltsUnconfirmed):
        await pair.hand.act("mail")
    assert (await pair.system.calls(pair.run))["mail"].state is CallState.INTENDED
    pair.line.cut = False
    assert (await pair.hand.call("mail")).state == "done"
    assert pair.system.outside.count("mail") == 1


async def test_a_granted_action_is_held_back_by_a_halt_that_lands_while_it_is_dispatched(pair: Pair) -> None:
    system = pair.system
    assert isinstance(await pair.hand.act("pay"), Parked)
    await decide_seen(system.platform, BOB, (await system.approval(pair.run)).id, approve=True)

    async def at_the_dispatch() -> None:
        call = (await system.calls(pair.run))["pay"]
        if call.state is not CallState.INTENDED:
            pair.line.then = at_the_dispatch
            return
        pair.ticks.now += 2.0
        await pair.halt()

    pair.line.then = at_the_dispatch
    assert await pair.hand.claim() is None
    assert (await system.calls(pair.run))["pay"].state is CallState.LOST
    assert system.outside.count("pay") == 0
    (halt,) = system.platform.halts.list("acme")
    await system.platform.halts.lift(ROOT, halt.id)
    pair.ticks.now += 1.0
    claimed = await pair.hand.claim()
    assert claimed is not None
    assert claimed.dispatch is not None
    await pair.hand.port.settle(pair.hand.session, await pair.hand.execute(claimed.dispatch))
    assert (await system.calls(pair.run))["pay"].state is CallState.DONE
    assert system.outside.count("pay") == 1


async def test_what_another_process_lifted_goes_on_here(pair: Pair) -> None:
    halt = await pair.halt()
    pair.ticks.now += 1.0
    assert isinstance(await pair.hand.act("read"), Parked)
    await pair.system.platform.halts.lift(ROOT, halt.id)
    assert await pair.other.halts.refresh() == 1
    assert await pair.hand.claim() is not None
    assert (await pair.hand.call("read")).state == "done"


async def test_what_was_parked_in_the_moment_of_a_lift_goes_on_by_the_keeper(pair: Pair) -> None:
    halt = await pair.halt()
    pair.ticks.now += 1.0
    assert isinstance(await pair.hand.act("read"), Parked)
    assert await pair.other.lifting.catch_up() == 0, "it still stands"
    # Each looks for parked steps before this one was parked.
    pair.system.platform.halts.on_lift = pair.other.halts.on_lift = None
    await pair.system.platform.halts.lift(ROOT, halt.id)
    pair.ticks.now += 1.0
    assert (await pair.system.refolded(pair.run)).status is Status.BLOCKED
    assert await pair.other.lifting.catch_up() == 1
    assert await pair.other.lifting.catch_up() == 0
    assert await pair.hand.claim() is not None
    assert (await pair.hand.call("read")).state == "done"


async def test_a_halt_set_here_while_the_halts_are_read_is_not_lost(pair: Pair) -> None:
    other = pair.other
    pair.line.reading.clear()
    pair.line.hold = asyncio.Event()
    reading = asyncio.ensure_future(other.halts.refresh())
    await pair.line.reading.wait()
    halt = await other.halts.set(ROOT, "app", "shop", "stop")
    pair.line.hold.set()
    await reading
    assert other.halts.in_force(halt.id)
    pair.line.reading.clear()
    pair.line.hold = asyncio.Event()
    reading = asyncio.ensure_future(other.halts.refresh())
    await pair.line.reading.wait()
    await other.halts.lift(ROOT, halt.id)
    pair.line.hold.set()
    await reading
    assert not other.halts.in_force(halt.id)


async def test_the_whole_platform_is_stopped_by_the_deployment_s_own_admins_alone(system: System) -> None:
    with pytest.raises(Refusal) as foreign:
        await system.platform.halts.set(MALLORY, "platform", "", "everybody out")
    assert foreign.value.code == "not_the_operator"
    assert system.platform.halts.list("acme") == []
    with pytest.raises(Refusal) as operator:
        await system.platform.halts.set(ALICE, "platform", "", "all")
    assert operator.value.code == "forbidden"
    assert (await system.platform.halts.set(ROOT, "platform", "", "all")).scope == "platform"
    nobody = system.make_platform(Sharing())
    with pytest.raises(Refusal) as unnamed:
        await nobody.halts.set(ROOT, "platform", "", "all")
    assert unnamed.value.code == "not_the_operator"
