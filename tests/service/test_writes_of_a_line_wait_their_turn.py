"""Within a line one call that changes the workspace is on its way at a time, and none is stored over newer work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.app import Context
from bailiwick.base import Digest, Refusal
from bailiwick.plan import Plan
from bailiwick.ports import Dispatch, Parked
from bailiwick.run import CallState, LeaseLost, Release, Run, Status
from bailiwick.service.core.changes import Change, Record
from platform_kit import ALICE, Hand, System, soon
from shop_kit import Shop

Opener = Callable[..., Awaitable[System]]


async def files(system: System, tree: str) -> dict[str, bytes]:
    return dict(await system.trees.files("acme", Digest(tree)))


def write(hand: Hand, path: str, **changes: Any) -> Any:
    return hand.act(
        "files.write:", capability="files.write", arguments={"path": path, "text": path}, **changes
    )


async def queued(system: System, many: int) -> None:
    """Wait until so many calls wait for their turn."""
    async with asyncio.timeout(5):
        while sum(len(queue) for queue in system.platform.gate.lines._queues.values()) < many:
            await asyncio.sleep(0)


async def at_work(system: System, shop: Shop) -> tuple[str, Hand]:
    shop.workflow()
    run = await system.submit()
    hand = await system.hand()
    assert await hand.claim()
    return run, hand


async def test_every_file_written_at_once_is_in_the_workspace(open_system: Opener, shop: Shop) -> None:
    many = 12

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await asyncio.gather(
            *(ctx.tool("files.write", {"path": f"f{n}.txt", "text": f"{n}"}) for n in range(many))
        )
        return {}

    shop.scripts["clerk"] = clerk
    shop.workflow()
    system = await open_system(shop)
    system.work()
    run = await soon(system.ended(await system.submit()))
    assert run.status is Status.COMPLETED
    assert await files(system, run.tree) == {f"f{n}.txt": f"{n}".encode() for n in range(many)}
    done = [call for call in run.calls.values() if call.state is CallState.DONE]
    assert len(done) == many
    assert len({call.base for call in done}) == many, "each began with what the one before left"


async def test_writes_are_let_go_in_the_order_in_which_they_arrived(open_system: Opener, shop: Shop) -> None:
    system = await open_system(shop)
    run, hand = await at_work(system, shop)
    first = await write(hand, "a")
    waiting = [asyncio.ensure_future(write(hand, name)) for name in ("b", "c", "d")]
    order = []
    current: Dispatch = first
    for asked in waiting:
        await queued(system, len(waiting) - len(order))
        assert not any(each.done() for each in waiting[len(order) :]), "one at a time"
        await hand.port.settle(hand.session, await hand.execute(current))
        current = await soon(asked)
        order.append(current.tree)
    await hand.port.settle(hand.session, await hand.execute(current))
    await hand.finish({})
    assert len(set(order)) == 3
    assert set(await files(system, (await system.run(run)).tree)) == {"a", "b", "c", "d"}


async def test_a_read_does_not_wait_for_a_write(open_system: Opener, shop: Shop) -> None:
    system = await open_system(shop)
    _, hand = await at_work(system, shop)
    going = await write(hand, "a")
    seen = await soon(hand.dispatched("read"))
    assert seen.tree == going.tree, "it sees the workspace without what is not recorded yet"


async def test_a_write_that_waits_hears_that_its_step_is_lost(open_system: Opener, shop: Shop) -> None:
    system = await open_system(shop)
    run, hand = await at_work(system, shop)
    await write(hand, "a")
    waiting = asyncio.ensure_future(write(hand, "b"))
    await queued(system, 1)

    async def reaped(_run: Run, _plan: Plan) -> Change:
        return Change(Release("work", hand.assignment.epoch, "the session ended"), Record("timer:reaper"))

    await system.platform.runs.change("acme", run, reaped)
    with pytest.raises(LeaseLost):
        await soon(waiting)


async def test_a_write_that_waits_hears_that_its_run_ends(open_system: Opener, shop: Shop) -> None:
    system = await open_system(shop)
    run, hand = await at_work(system, shop)
    await write(hand, "a")
    waiting = asyncio.ensure_future(write(hand, "b"))
    await queued(system, 1)
    await system.platform.control.cancel(ALICE, run, "enough")
    answer = await soon(waiting)
    assert isinstance(answer, Parked)
    assert answer.canceled


async def test_a_write_whose_caller_gave_up_lets_the_next_one_go(open_system: Opener, shop: Shop) -> None:
    system = await open_system(shop)
    _, hand = await at_work(system, shop)
    going = await write(hand, "a")
    gone, last = (asyncio.ensure_future(write(hand, name)) for name in ("b", "c"))
    await queued(system, 2)
    gone.cancel()
    await hand.port.settle(hand.session, await hand.execute(going))
    assert isinstance(await soon(last), Dispatch)


async def test_a_lost_write_lets_the_next_one_go_and_is_never_stored_over_it(
    open_system: Opener, shop: Shop
) -> None:
    system = await open_system(shop)
    run, hand = await at_work(system, shop)
    old = await write(hand, "a")
    late = await hand.execute(old)
    lost = await hand.settle(old, "lost", base=old.tree)
    assert lost.state == "lost"
    await hand.port.settle(hand.session, await hand.execute(await soon(write(hand, "b"))))
    answer = await hand.port.settle(hand.session, late)
    assert (answer.state, answer.outcome) == ("lost", None)
    again = await soon(write(hand, "a"))
    assert again.tree != old.tree
    assert (await hand.port.settle(hand.session, late)).state == "lost", "an earlier try is not this one"
    recorded = await hand.port.settle(hand.session, await hand.execute(again))
    assert recorded.state == "done"
    await hand.finish({})
    assert set(await files(system, (await system.run(run)).tree)) == {"a", "b"}


async def test_a_workspace_of_a_call_that_changes_none_is_refused(open_system: Opener, shop: Shop) -> None:
    system = await open_system(shop)
    run, hand = await at_work(system, shop)
    for tool in ("read", "write"):
        dispatch = await hand.dispatched(tool)
        with pytest.raises(Refusal) as refused:
            await hand.settle(dispatch, tree="ab" * 32)
        assert refused.value.code == "invalid_outcome"
    assert (await system.run(run)).tree == ""
