"""A rollback undoes what a run did, the last first, and says `rolled-back` only when all of it is undone."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.policy import Forbidden
from bailiwick.ports import Parked
from bailiwick.run import NotAllowed, OutcomeUnknown, PastPivot, Run, Status, StepStatus
from bailiwick.service import NotFound
from platform_kit import ALICE, BOB, MALLORY, ROOT, System, decide_seen
from saga_kit import Depot, compensated, done, made, roll_back, stock, undoing
from shop_kit import Shop

Open = Callable[..., Awaitable[System]]
MAILED = {"id": "mail", "uses": "shop.mail", "input": {"text": "hello"}}


@pytest.fixture
def depot(shop: Shop) -> Depot:
    return stock(shop)


async def rolled_back(system: System, run: str) -> Run:
    await roll_back(system, run)
    return await system.ended(run)


async def test_what_was_done_is_undone_the_last_first(shop: Shop, depot: Depot, open_system: Open) -> None:
    shop.workflow(made("a"), made("b"), made("c"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    assert run.status is Status.COMPLETED
    asked = await roll_back(system, run.id)
    assert (asked.status, asked.closed) == (Status.EXECUTING, None)
    ended = await system.ended(run.id)
    assert ended.status is Status.ROLLED_BACK
    assert depot.undone() == ["c", "b", "a"]
    assert depot.things == {}
    assert compensated(ended) == ["a", "b", "c"]
    assert (await system.platform.reading.head(ALICE, run.id)).status == "rolled-back"
    told = [event for event in await system.events(run.id) if event["kind"] == "run.rollback_requested"]
    assert [(event["actor"], event["reason"]) for event in told] == [("user:alice", "it was wrong")]
    closings = [event for event in await system.events(run.id) if event["kind"] == "run.closed"]
    assert [event["status"] for event in closings] == ["completed", "rolled-back"]
    assert await system.refolded(run.id) == ended


async def test_what_never_happened_is_not_undone_and_a_failed_run_is_rolled_back(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    broken = {"id": "broken", "uses": "shop.fragile", "input": {"text": "x"}}
    shop.workflow(made("a"), made("never", when="intent.title == 'never'"), broken, made("after"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    assert run.status is Status.FAILED
    ended = await rolled_back(system, run.id)
    assert ended.status is Status.ROLLED_BACK
    assert depot.effects == [("make", "a"), ("unmake", "a")]
    assert undoing(ended) == {"never~undo": "skipped", "a~undo": "succeeded"}
    assert ended.steps["never~undo"].reason == "nothing to undo: never never happened"


async def test_a_failed_step_whose_write_was_done_is_undone_too(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    async def clerk(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
        await ctx.tool("depot.make", {"thing": given["thing"]})
        raise ValueError("after the write")

    undo = {"uses": "depot.unmake", "input": {"thing": "$.steps.work.input.thing", "version": 1}}
    shop.workflow({"id": "work", "uses": "maker", "input": {"thing": "t"}, "compensate": undo})
    shop.app.agent(
        "maker", output={"type": "object"}, input={"type": "object"}, run=clerk, tools=["depot.make"]
    )
    system = await open_system(shop)
    system.work()
    run = await done(system)
    assert (run.status, depot.things) == (Status.FAILED, {"t": 1})
    ended = await rolled_back(system, run.id)
    assert (ended.status, depot.things) == (Status.ROLLED_BACK, {})
    assert ended.steps["work"].status is StepStatus.COMPENSATED


async def test_each_turn_of_a_loop_is_undone_by_itself_and_a_block_as_a_whole(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    turn = made("part", input={"thing": "${$.intent.title}-${$.previous.part.output.version?}"})
    loop = {
        "id": "loop",
        "repeat": {"until": "steps.check.output.said == 'no'", "max": 2},
        "on_error": "fail",
    }
    check = {"id": "check", "uses": "shop.read", "input": {"text": "yes"}}
    whole = {"uses": "depot.unmake", "input": {"thing": "inner", "version": "$.steps.inner.output.version"}}
    inner = {"id": "inner", "uses": "depot.make", "input": {"thing": "inner"}}
    shop.workflow({"id": "box", "do": [inner], "compensate": whole}, {**loop, "do": [turn, check]})
    system = await open_system(shop)
    system.work()
    run = await done(system, title="t")
    assert (run.status, run.category) == (Status.FAILED, ErrorCategory.EXHAUSTED)
    ended = await rolled_back(system, run.id)
    assert ended.status is Status.ROLLED_BACK
    assert depot.undone() == ["t-1", "t-", "inner"]
    assert list(undoing(ended)) == ["loop[2].part~undo", "loop[1].part~undo", "box~undo"]


async def test_a_write_without_a_compensation_waits_for_a_person_and_is_never_called_rolled_back(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    shop.workflow(made("a"), MAILED, made("b"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    await roll_back(system, run.id)
    blocked = await system.status(run.id, Status.BLOCKED)
    assert depot.undone() == ["b"], "what is left waits for its turn"
    head = await system.platform.reading.head(ALICE, run.id)
    assert head.waiting_for.startswith("mail~undo: the plan names no compensation for what mail did")
    with pytest.raises(NotAllowed):
        await system.platform.control.resolve(ALICE, run.id, "mail~undo", done=False)
    with pytest.raises(Forbidden):
        await system.platform.control.resolve(BOB, run.id, "mail~undo", done=True)
    await system.platform.control.resolve(ALICE, run.id, "mail~undo", done=True, reason="told them all")
    ended = await system.ended(run.id)
    assert (ended.status, depot.undone()) == (Status.ROLLED_BACK, ["b", "a"])
    assert ended.steps["mail~undo"].reason.startswith("done by hand: alice")
    assert blocked.closed is None


@pytest.mark.parametrize("way", ["resume", "by hand"])
async def test_a_compensation_that_fails_for_good_blocks_with_an_owner_and_goes_on_when_repaired(
    shop: Shop, depot: Depot, open_system: Open, way: str
) -> None:
    shop.workflow(made("a"), made("b"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    depot.refusing["b"] = ErrorCategory.TRANSIENT
    await roll_back(system, run.id)
    blocked = await system.status(run.id, Status.BLOCKED)
    assert depot.times == 2, "it was tried as often as its retry says, and then no more"
    step = blocked.steps["b~undo"]
    assert (step.status, step.attempt, step.category) == (StepStatus.BLOCKED, 2, ErrorCategory.TRANSIENT)
    assert "an operator must repair it and resume the run" in step.reason
    assert depot.undone() == []
    assert not [event for event in await system.events(run.id) if event.get("status") == "rolled-back"]
    depot.refusing.clear()
    if way == "resume":
        await system.platform.control.resume(ALICE, run.id)
        ended = await system.ended(run.id)
        assert depot.undone() == ["b", "a"]
    else:
        await system.platform.control.resolve(ALICE, run.id, "b~undo", done=True)
        ended = await system.ended(run.id)
        assert depot.undone() == ["a"]
    assert ended.status is Status.ROLLED_BACK
    assert compensated(ended) == ["a", "b"]


async def test_a_thing_that_somebody_else_changed_is_not_overwritten(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    shop.workflow(made("a"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    depot.things["a"] = 2
    await roll_back(system, run.id)
    blocked = await system.status(run.id, Status.BLOCKED)
    assert depot.things == {"a": 2}
    assert "precondition: a is at version 2" in blocked.steps["a~undo"].reason


async def test_past_a_pivot_a_run_only_goes_forward(shop: Shop, depot: Depot, open_system: Open) -> None:
    shop.workflow(made("a"), {**MAILED, "pivot": True}, made("b"))
    system = await open_system(shop)
    system.work()
    run = await done(system)
    with pytest.raises(PastPivot) as refused:
        await roll_back(system, run.id)
    assert refused.value.facts == {"run": run.id, "step": "mail"}
    assert (await system.refolded(run.id)) == run
    assert depot.undone() == []


async def test_before_its_pivot_a_run_is_rolled_back(shop: Shop, depot: Depot, open_system: Open) -> None:
    pivot = {"id": "point", "uses": "shop.fragile", "input": {"text": "x"}, "pivot": True}
    shop.workflow(made("a"), pivot)
    system = await open_system(shop)
    system.work()
    run = await done(system)
    assert (await rolled_back(system, run.id)).status is Status.ROLLED_BACK
    assert depot.things == {}


async def test_a_pivot_that_nobody_knows_of_must_be_resolved_first(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    shop.workflow({**MAILED, "pivot": True})
    system = await open_system(shop)
    run = await system.submit()
    hand = await system.hand()
    await hand.claim()
    dispatch = await hand.dispatched("mail", "hello")
    await hand.settle(dispatch, "unknown")
    with pytest.raises(OutcomeUnknown):
        await roll_back(system, run)


@pytest.mark.parametrize("happened", [True, False])
async def test_an_unknown_outcome_is_resolved_before_anything_is_undone(
    shop: Shop, depot: Depot, open_system: Open, happened: bool
) -> None:
    undo = {"uses": "depot.make", "input": {"thing": "apology"}}
    shop.workflow(made("a"), {**MAILED, "compensate": undo})
    system = await open_system(shop)
    run = await system.submit()
    hand = await system.hand()
    await hand.claim()
    await hand.call(
        "tool:depot.make".removeprefix("tool:"), capability="depot.make", arguments={"thing": "a"}
    )
    assert await hand.finish({"thing": "a", "version": 1}) is not None
    dispatch = await hand.dispatched("mail", "hello")
    await hand.settle(dispatch, "unknown")
    rolling = await roll_back(system, run)
    assert rolling.status is Status.BLOCKED
    assert undoing(rolling) == {}
    system.work()
    await system.platform.control.resolve(
        ALICE,
        run,
        dispatch.key,
        done=happened,
        output={"said": "hello"},
        reason="looked",
        despite_quarantine=not happened,
    )
    ended = await system.ended(run)
    assert ended.status is Status.ROLLED_BACK
    assert ("make", "apology") in depot.effects or not happened
    assert undoing(ended)["mail~undo"] == ("succeeded" if happened else "skipped")
    assert depot.undone() == ["a"]


async def test_a_rollback_of_a_blocked_run_first_ends_what_waits(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    aside = {"after": ["a"], "reason": "they share nothing"}
    pay = {"id": "pay", "uses": "shop.pay", "input": {"text": "x"}, **aside}
    wire = {"id": "wire", "uses": "shop.fragile", "input": {"text": "x"}, "on_error": "human", **aside}
    shop.workflow(made("a"), pay, wire, made("b", after=["pay", "wire"]))
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    await system.until(run, lambda run: run.tally.blocked == 1 and run.tally.waiting == 1)
    assert (await system.run(run)).status is Status.BLOCKED
    approval = await system.approval(run)
    ended = await rolled_back(system, run)
    assert (ended.status, depot.effects) == (Status.ROLLED_BACK, [("make", "a"), ("unmake", "a")])
    assert {ended.steps[name].status for name in ("pay", "wire")} == {StepStatus.CANCELED}
    assert (await system.platform.approving.show(BOB, approval.id)).approval.state == "withdrawn"


async def test_a_rollback_is_asked_once_of_a_run_that_rests_by_somebody_who_may(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    shop.workflow(made("a"))
    system = await open_system(shop)
    run = await system.submit()
    with pytest.raises(NotAllowed):
        await roll_back(system, run)
    system.work()
    await system.ended(run)
    with pytest.raises(Forbidden):
        await system.platform.control.roll_back(BOB, run, "no")
    with pytest.raises(NotFound):
        await system.platform.control.roll_back(MALLORY, run, "mine")
    depot.refusing["a"] = ErrorCategory.TOOL_FAILED
    await roll_back(system, run)
    with pytest.raises(NotAllowed) as again:
        await roll_back(system, run)
    assert again.value.facts["state"] == "being rolled back"
    await system.status(run, Status.BLOCKED)
    with pytest.raises(NotAllowed):
        await roll_back(system, run)
    depot.refusing.clear()
    await system.platform.control.resume(ALICE, run)
    await system.ended(run)
    with pytest.raises(NotAllowed) as after:
        await system.platform.control.roll_back(ROOT, run, "once more")
    assert after.value.facts["state"] == "rolled-back"
    assert depot.undone() == ["a"]


async def test_cancel_and_deadline_do_not_touch_a_rollback_and_a_halt_does(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    shop.workflow(made("a"), made("b"))
    system = await open_system(shop)
    system.work()
    run = await done(system, deadline_seconds=60)
    depot.refusing["b"] = ErrorCategory.TOOL_FAILED
    await roll_back(system, run.id)
    await system.status(run.id, Status.BLOCKED)
    system.clock.advance(61)
    with pytest.raises(NotAllowed) as refused:
        await system.platform.control.cancel(ALICE, run.id)
    assert refused.value.facts["state"] == "being rolled back"
    assert await system.platform.recovering.pass_deadlines() == 0
    depot.refusing.clear()
    halt = await system.platform.halts.set(ROOT, "tool", "depot.unmake", "stop")
    await system.platform.control.resume(ALICE, run.id)
    halted = await system.until(run.id, lambda run: run.steps["b~undo"].reason.startswith("halted"))
    assert (halted.status, depot.undone()) == (Status.BLOCKED, [])
    await system.platform.halts.lift(ROOT, halt.id)
    ended = await system.ended(run.id)
    assert (ended.status, depot.undone()) == (Status.ROLLED_BACK, ["b", "a"])


async def test_a_held_compensation_waits_for_its_approval(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    undo = {"uses": "shop.sign", "input": {"text": "back: ${$.steps.w.output.said}"}}
    shop.workflow({"id": "w", "uses": "shop.write", "input": {"text": "x"}, "compensate": undo})
    system = await open_system(shop)
    system.work()
    run = await done(system)
    await roll_back(system, run.id)
    waiting = await system.status(run.id, Status.WAITING_FOR_APPROVAL)
    assert (waiting.closed, system.outside.count("sign")) == (None, 0)
    approval = await system.approval(run.id)
    await decide_seen(system.platform, BOB, approval.id, approve=False, reason="not yet")
    blocked = await system.status(run.id, Status.BLOCKED)
    assert "rejected by bob: not yet" in blocked.steps["w~undo"].reason
    await system.platform.control.resume(ALICE, run.id)
    await system.status(run.id, Status.WAITING_FOR_APPROVAL)
    approval = await system.approval(run.id)
    await decide_seen(system.platform, BOB, approval.id, approve=True)
    ended = await system.ended(run.id)
    assert ended.status is Status.ROLLED_BACK
    assert system.outside.calls[-1] == ("sign", "back: x")
    assert system.outside.count("sign") == 1


async def test_a_parked_compensation_gives_its_worker_back(
    shop: Shop, depot: Depot, open_system: Open
) -> None:
    undo = {"uses": "shop.sign", "input": {"text": "x"}}
    shop.workflow({"id": "w", "uses": "shop.write", "input": {"text": "x"}, "compensate": undo})
    system = await open_system(shop)
    task = system.work()
    run = await done(system)
    task.cancel()
    await roll_back(system, run.id)
    hand = await system.hand()
    await hand.claim()
    assert isinstance(await hand.act("sign"), Parked)
    assert await hand.claim() is None
