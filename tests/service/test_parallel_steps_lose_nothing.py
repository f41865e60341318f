"""What steps write side by side is in the workspace of whatever comes after them, or named in a conflict."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.app import Context
from bailiwick.base import Digest, Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.run import END, Status, StepStatus
from bailiwick.service.people.ways import ways_out
from platform_kit import ALICE, MALLORY, System, soon
from shop_kit import Shop

Opener = Callable[..., Awaitable[System]]
BESIDE = {"after": [], "reason": "they share nothing", "input": {}}
TWO = ({"id": "left", "uses": "clerk", **BESIDE}, {"id": "right", "uses": "other", **BESIDE})
JOIN = {"id": "join", "uses": "third", "input": {}, "after": ["left", "right"]}


def writing(*paths: str, text: str = "") -> Any:
    async def code(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await asyncio.gather(
            *(ctx.tool("files.write", {"path": path, "text": text or path}) for path in paths)
        )
        return {}

    return code


async def nothing(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    return {}


async def files(system: System, tree: str | None) -> dict[str, bytes]:
    return dict(await system.trees.files("acme", Digest(tree or "")))


async def test_two_parallel_steps_of_three_files_each_leave_six(open_system: Opener, shop: Shop) -> None:
    shop.scripts.update(clerk=writing("a1", "a2", "a3"), other=writing("b1", "b2", "b3"), third=nothing)
    shop.workflow(*TWO, JOIN)
    shop.workflow(*TWO, name="open")
    system = await open_system(shop)
    system.work("one")
    system.work("two")
    for workflow in ("job", "open"):
        run = await soon(system.ended(await system.submit(workflow)))
        assert run.status is Status.COMPLETED
        assert set(await files(system, run.tree)) == {"a1", "a2", "a3", "b1", "b2", "b3"}
    assert run.steps[END].joined == ("left", "right")


async def conflict(open_system: Opener, shop: Shop, *steps: Any) -> tuple[System, str]:
    shop.scripts.update(
        clerk=writing("both", "mine", text="left"), other=writing("both", text="right"), third=nothing
    )
    shop.workflow(*steps)
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    await soon(system.status(run, Status.BLOCKED))
    return system, run


async def test_a_conflict_blocks_the_joining_step_and_a_person_takes_a_side(
    open_system: Opener, shop: Shop
) -> None:
    system, id = await conflict(open_system, shop, *TWO, JOIN)
    step = (await system.run(id)).steps["join"]
    assert (step.status, step.category) == (StepStatus.BLOCKED, ErrorCategory.CONFLICT)
    assert "both (left, right)" in step.reason
    assert "mine" not in step.reason
    entry = await system.platform.runs.entry("acme", id)
    assert [way.command for way in ways_out(entry.run, entry.plan, {})] == [
        f"bailiwick runs resolve {id} join --take left",
        f"bailiwick runs resolve {id} join --take right",
    ]
    control = system.platform.control
    for wrong in ({}, {"take": "left", "tree": "ab" * 32}, {"tree": "ab" * 32}, {"tree": "../x"}):
        with pytest.raises(Refusal) as refused:
            await control.choose(ALICE, id, "join", **wrong)
        assert refused.value.code == "no_such_workspace"
    with pytest.raises(Refusal) as stranger:
        await control.choose(MALLORY, id, "join", take="left")
    assert stranger.value.code == "not_found"
    await control.choose(ALICE, id, "join", take="right")
    run = await soon(system.ended(id))
    assert run.status is Status.COMPLETED
    assert await files(system, run.tree) == {"both": b"right", "mine": b"left"}, (
        "only the conflict is decided"
    )
    assert "chosen by alice: what right left" in str(await system.events(id))


async def test_a_person_chooses_another_workspace_for_the_end_of_a_run(
    open_system: Opener, shop: Shop
) -> None:
    system, id = await conflict(open_system, shop, *TWO)
    assert (await system.run(id)).steps[END].status is StepStatus.BLOCKED
    empty = await system.store.blobs.put("acme", b"[]")
    await system.platform.control.choose(ALICE, id, END, tree=empty)
    run = await soon(system.ended(id))
    assert (run.status, run.tree) == (Status.COMPLETED, empty)


async def test_a_run_in_conflict_can_be_canceled_and_rolled_back(open_system: Opener, shop: Shop) -> None:
    system, id = await conflict(open_system, shop, *TWO, JOIN)
    await system.platform.control.cancel(ALICE, id)
    assert (await soon(system.ended(id))).status is Status.CANCELED
    again = await system.submit()
    await soon(system.status(again, Status.BLOCKED))
    await system.platform.control.roll_back(ALICE, again, "no")
    assert (await soon(system.ended(again))).status is Status.ROLLED_BACK


async def test_a_workspace_that_is_gone_blocks_its_join_instead_of_failing_it(
    open_system: Opener, shop: Shop
) -> None:
    shop.scripts.update(clerk=writing("a"), other=writing("b"), third=nothing)
    shop.workflow(*TWO, JOIN)
    system = await open_system(shop)
    run = await system.submit()
    hand = await system.hand()
    left = await hand.claim()
    assert left is not None
    done = await hand.call("files.write:", capability="files.write", arguments={"path": "a", "text": "a"})
    await system.store.blobs.remove("acme", Digest(done.tree))
    other = await system.hand("other")
    assert await other.claim()
    await other.call("files.write:", capability="files.write", arguments={"path": "b", "text": "b"})
    await hand.finish({})
    await other.finish({})
    step = (await system.run(run)).steps["join"]
    assert (step.status, step.category) == (StepStatus.BLOCKED, ErrorCategory.CONFLICT)
    assert "is not stored" in step.reason
    right = (await system.run(run)).steps["right"]
    await system.platform.control.choose(ALICE, run, "join", tree=right.tree_after)
    assert await hand.claim()
    await hand.finish({})
    assert await files(system, (await system.run(run)).tree) == {"b": b"b"}
