"""A crash at every point of every compensation: nothing is undone twice, nothing is left out, the order holds."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.ports import Dispatch
from bailiwick.run import CallState, Status
from platform_kit import ALICE, Hand, System
from saga_kit import compensated, done, made, roll_back, stock
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long

Open = Callable[..., Awaitable[System]]
POINTS = ("asked", "claimed", "dispatched", "executed", "settled", "finished")
THINGS = ("a", "b", "c")
MAIL_BACK = {"uses": "shop.wire", "input": {"text": "back: $.steps"}}


class Saga:
    """A run whose rollback is driven one call of the port at a time, up to a named point of its nth compensation."""

    def __init__(
        self, system: System, run: str, tool: str, arguments: Callable[[str], dict[str, Any]]
    ) -> None:
        self.system = system
        self.run = run
        self.tool = tool
        self.arguments = arguments
        self.hand: Hand

    async def up_to(self, nth: int, point: str) -> str:
        """Bring it there; answer the step that is undone then."""
        await roll_back(self.system, self.run)
        self.hand = await self.system.hand()
        for at in range(nth):
            assert await self._one(POINTS[-1]), at
        return await self._one(point)

    async def _one(self, point: str) -> str:
        hand, reached = self.hand, POINTS.index(point)
        run = await self.system.run(self.run)
        step = next(step.name for step in run.steps.values() if step.status in ("ready", "running"))
        if reached >= 1 and run.steps[step].status == "ready":
            assert await hand.claim() is not None
        if reached >= 2:
            undone = step.removesuffix("~undo")
            dispatch = await hand.dispatched("", capability=self.tool, arguments=self.arguments(undone))
            if reached >= 3:
                await self._execute(dispatch, settle=reached >= 4)
        if reached >= 5:
            await hand.finish({})
        return step

    async def _execute(self, dispatch: Dispatch, *, settle: bool) -> None:
        outcome = await self.hand.execute(dispatch)
        assert outcome.state == "done", outcome
        if settle:
            await self.hand.port.settle(self.hand.session, outcome)


CRASHES = [(nth, point) for nth in range(len(THINGS)) for point in POINTS]


def test_every_point_of_every_compensation_is_among_the_crashes() -> None:
    assert len(CRASHES) == 3 * 6


@pytest.mark.parametrize(("nth", "point"), CRASHES)
async def test_an_idempotent_undo_happens_once_wherever_it_crashes(
    shop: Shop, open_system: Open, nth: int, point: str
) -> None:
    depot = stock(shop)
    shop.workflow(*(made(thing) for thing in THINGS))
    system = await open_system(shop)
    worker = system.work()
    run = (await done(system)).id
    worker.cancel()
    saga = Saga(system, run, "depot.unmake", lambda thing: {"thing": thing, "version": 1})
    step = await saga.up_to(nth, point)
    assert step == f"{THINGS[-1 - nth]}~undo"
    await system.crash()
    system.work()
    ended = await system.ended(run)
    assert ended.status is Status.ROLLED_BACK
    assert depot.effects == [
        *(("make", thing) for thing in THINGS),
        *(("unmake", thing) for thing in reversed(THINGS)),
    ]
    assert len(depot.calls) == 6 + (point == "executed"), (
        "an undo that had arrived is asked again, with its key"
    )
    assert compensated(ended) == list(THINGS)
    assert await system.refolded(run) == ended


MAILS = [(nth, point) for nth in range(2) for point in POINTS]


@pytest.mark.parametrize(("nth", "point"), MAILS)
async def test_an_undo_that_keeps_no_key_is_never_repeated_and_never_guessed(
    shop: Shop, open_system: Open, nth: int, point: str
) -> None:
    steps = [
        {
            "id": name,
            "uses": "shop.mail",
            "input": {"text": name},
            "compensate": {"uses": "shop.wire", "input": {"text": f"back {name}"}},
        }
        for name in ("one", "two")
    ]
    shop.workflow(*steps)
    system = await open_system(shop)
    worker = system.work()
    run = (await done(system)).id
    worker.cancel()
    saga = Saga(system, run, "shop.wire", lambda name: {"text": f"back {name}"})
    step = await saga.up_to(nth, point)
    arrived = system.outside.count("wire") == nth + 1
    assert arrived == (POINTS.index(point) >= 3)
    await system.crash()
    if point in ("dispatched", "executed"):
        blocked = await system.run(run)
        assert (blocked.status, blocked.closed) == (Status.BLOCKED, None)
        unknown = [call for call in blocked.calls.values() if call.state is CallState.UNKNOWN]
        assert [call.step for call in unknown] == [step]
        await system.platform.control.resolve(
            ALICE,
            run,
            unknown[0].key,
            done=arrived,
            output={"said": "x"},
            reason="looked",
            despite_quarantine=not arrived,
        )
    system.work()
    if point == "dispatched":
        await system.until(run, lambda run: run.steps[step].status == "blocked")
        await system.platform.control.resume(ALICE, run)
    ended = await system.ended(run)
    assert ended.status is Status.ROLLED_BACK
    told = [text for tool, text in system.outside.calls if tool == "wire"]
    assert told == ["back two", "back one"]
    assert await system.spent(run) == 300 * len(told) + 300 * (point == "dispatched"), (
        "what became of a try was found out, what it cost was not"
    )
