"""What becomes of a step and its actions when everything in memory is lost, at each moment and for each class."""

import pytest
from msgspec.structs import replace

from bailiwick.base import Digest, Instant
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind
from bailiwick.ports import Assignment, Dispatch, Hello, Parked, Recorded
from bailiwick.run import Call, CallState, LeaseLost, Status, StepStatus, repeatable
from platform_kit import ALICE, BOB, ROOT, Hand, System, decide_seen


async def again(system: System) -> Hand:
    """Crash, and let a fresh worker claim what there is."""
    await system.crash()
    hand = await system.hand("fresh")
    assert await hand.claim() is not None
    return hand


async def test_a_claimed_step_goes_on_in_the_same_attempt_under_a_higher_epoch(
    system: System, started: Hand
) -> None:
    first = started.assignment
    hand = await again(system)
    assert (hand.assignment.step, hand.assignment.attempt) == (first.step, first.attempt)
    assert hand.assignment.epoch == first.epoch + 1
    await hand.finish({"ok": True})
    assert (await system.run(first.run)).status is Status.COMPLETED


async def test_a_free_read_is_simply_repeated(system: System, started: Hand) -> None:
    await started.execute(await started.dispatched("read"))
    hand = await again(system)
    assert (await hand.call("read")).state == "done"
    assert await system.spent(hand.assignment.run) == 0


async def test_a_metered_call_is_charged_at_its_estimate_and_repeated(system: System, started: Hand) -> None:
    await started.execute(await started.dispatched("quote"))
    hand = await again(system)
    run = hand.assignment.run
    lost = (await system.calls(run))["quote"]
    assert (lost.state, lost.estimated) == (CallState.LOST, True)
    assert await system.spent(run) == 500
    assert (await hand.call("quote")).state == "done"
    assert await system.spent(run) == 1000
    lines = await system.store.views.postings("acme", run)
    assert [line.ended for line in lines] == ["lost", "completed"]


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "never-sent"])
async def test_an_idempotent_write_is_repeated_with_the_same_key(
    system: System, started: Hand, arrived: bool
) -> None:
    first = await started.dispatched("write")
    if arrived:
        await started.execute(first)
    hand = await again(system)
    second = await hand.dispatched("write")
    assert (second.key, second.body, second.attempt_of_effect) == (first.key, first.body, 2)
    await hand.settle(second, outcome=(await hand.execute(second)).outcome)
    assert system.outside.effects == {first.key: "x"}


async def test_an_external_action_is_never_repeated_by_itself(system: System, started: Hand) -> None:
    run = started.assignment.run
    await started.execute(await started.dispatched("mail"))
    await system.crash()
    hand = await system.hand("fresh")
    assert await hand.claim() is None
    call = (await system.calls(run))["mail"]
    assert call.state is CallState.UNKNOWN
    head = await system.platform.reading.head(ALICE, run)
    assert head.status == Status.BLOCKED
    assert "outcome unknown" in head.waiting_for
    assert system.outside.count("mail") == 1


@pytest.mark.parametrize("done", [True, False])
async def test_a_resolved_outcome_lets_the_run_go_on(system: System, started: Hand, done: bool) -> None:
    run = started.assignment.run
    key = (await started.dispatched("mail")).key
    await system.crash()
    await system.platform.control.resolve(
        ALICE,
        run,
        key,
        done=done,
        output={"said": "seen in the outbox"},
        reason="looked",
        despite_quarantine=True,
    )
    hand = await system.hand("fresh")
    await hand.claim()
    answer = await hand.act("mail")
    assert isinstance(answer, Recorded)
    if done:
        assert (answer.state, answer.outcome) == ("done", {"said": "seen in the outbox"})
    else:
        assert (answer.state, answer.category) == ("failed", ErrorCategory.TOOL_FAILED)
    await hand.finish({})
    assert (await system.run(run)).status is Status.COMPLETED
    assert await system.spent(run) == 0


@pytest.mark.parametrize("tool", ["read", "quote", "write", "mail"])
async def test_a_recorded_outcome_is_replayed_and_nothing_executes_again(
    system: System, started: Hand, tool: str
) -> None:
    live = await started.call(tool)
    hand = await again(system)
    answer = await hand.act(tool)
    assert isinstance(answer, Recorded)
    assert (answer.key, answer.state, answer.outcome) == (live.key, live.state, live.outcome)
    assert system.outside.count(tool) == 1


@pytest.mark.parametrize("done", [True, False])
async def test_an_unknown_outcome_keeps_its_reservation_until_it_is_resolved(
    system: System, started: Hand, done: bool
) -> None:
    run = started.assignment.run
    dispatch = await started.dispatched("wire")
    answer = await started.settle(dispatch, "unknown", reason="the line went dead")
    assert answer.state == "unknown"
    assert (await system.refolded(run)).allotment.reserved == 300
    assert await system.spent(run) == 0
    await system.platform.control.resolve(
        ALICE, run, dispatch.key, done=done, reason="looked", despite_quarantine=True
    )
    assert (await system.refolded(run)).allotment.reserved == 0
    assert await system.spent(run) == 300, "what became of it was found out, what it cost was not"


def test_what_may_be_repeated_is_told_by_class_and_by_how_long_a_key_is_kept() -> None:
    def may(effect: EffectClass, after: int, kept: int | None = None) -> bool:
        contract = Contract(
            name="t",
            version="1.0.0",
            kind=Kind.TOOL,
            effect=effect,
            input={},
            output={},
            key_kept_seconds=kept,
        )
        digest = Digest("d" * 64)
        call = Call("k", "s", 1, 1, digest, "t@1.0.0", digest, effect, CallState.INTENDED)
        return repeatable(
            replace(call, dispatched_at=Instant(1_000_000)), contract, Instant(after * 1_000_000)
        )

    assert may(EffectClass.IDEMPOTENT_WRITE, 10_000)
    assert may(EffectClass.IDEMPOTENT_WRITE, 61, kept=60)
    assert not may(EffectClass.IDEMPOTENT_WRITE, 62, kept=60)
    assert not may(EffectClass.EXTERNAL_ACTION, 1)


async def test_a_stale_worker_changes_nothing(system: System, started: Hand) -> None:
    dispatch = await started.dispatched("quote")
    await system.platform.hello(
        Hello("hand", system.capabilities)
    )  # the same worker opens another session: the old one is over
    await system.platform.recovering.reap()
    hand = await system.hand("other")
    await hand.claim()
    with pytest.raises(LeaseLost):
        await started.settle(dispatch)
    with pytest.raises(LeaseLost):
        await started.act("read")
    before = (await system.refolded(dispatch.run)).version
    assert (await system.refolded(dispatch.run)).version == before
    assert await system.spent(dispatch.run) == 500


async def test_another_session_cannot_speak_for_the_holder(system: System, started: Hand) -> None:
    thief = await system.hand("thief")
    thief.assignment = started.assignment
    with pytest.raises(LeaseLost):
        await thief.act("read")
    dispatch = await started.dispatched("write")
    with pytest.raises(LeaseLost):
        await thief.settle(dispatch)
    with pytest.raises(LeaseLost):
        await thief.finish({})
    assert (await started.settle(dispatch)).state == "done"


async def held(system: System, hand: Hand, tool: str) -> str:
    answer = await hand.act(tool)
    assert isinstance(answer, Parked), answer
    return (await system.approval(hand.assignment.run)).id


@pytest.mark.parametrize("moment", ["while parked", "after the grant", "before the dispatch"])
@pytest.mark.parametrize("tool", ["sign", "pay"])
async def test_a_held_action_survives_a_crash_and_executes_once(
    system: System, started: Hand, moment: str, tool: str
) -> None:
    run = started.assignment.run
    id = await held(system, started, tool)
    if moment == "while parked":
        await system.crash()
    await decide_seen(system.platform, BOB, id, approve=True)
    if moment != "while parked":
        await system.crash()
    hand = await system.hand("fresh")
    granted = await _granted(hand)
    await hand.port.settle(hand.session, await hand.execute(granted))
    await hand.claim()
    answer = await hand.act(tool)
    assert isinstance(answer, Recorded)
    assert (answer.state, system.outside.count(tool)) == ("done", 1)
    await hand.finish({})
    assert (await system.run(run)).status is Status.COMPLETED


async def test_a_grant_is_used_up_once_also_when_its_idempotent_write_is_repeated(
    system: System, started: Hand
) -> None:
    id = await held(system, started, "sign")
    await decide_seen(system.platform, BOB, id, approve=True)
    hand = await system.hand("first")
    first = await _granted(hand)
    await hand.execute(first)
    await system.crash()
    assert (await system.store.views.approval("acme", id)).state == "consumed"
    hand = await system.hand("second")
    second = await _granted(hand)
    assert (second.key, second.body) == (first.key, first.body)
    await hand.port.settle(hand.session, await hand.execute(second))
    assert len(system.outside.effects) == 1


async def test_a_granted_external_action_that_was_under_way_is_unknown(system: System, started: Hand) -> None:
    run = started.assignment.run
    id = await held(system, started, "pay")
    await decide_seen(system.platform, BOB, id, approve=True)
    hand = await system.hand("first")
    granted = await _granted(hand)
    await hand.execute(granted)
    await system.crash()
    hand = await system.hand("second")
    assert await hand.claim() is None
    assert (await system.calls(run))["pay"].state is CallState.UNKNOWN
    await system.platform.control.resolve(ALICE, run, granted.key, done=True, output={"said": "paid"})
    await hand.claim()
    answer = await hand.act("pay")
    assert isinstance(answer, Recorded)
    assert (answer.outcome, system.outside.count("pay")) == ({"said": "paid"}, 1)


async def test_a_task_that_kills_its_worker_each_time_is_poison(system: System, started: Hand) -> None:
    run = started.assignment.run
    for _ in range(4):
        await again(system)
    await system.crash()
    hand = await system.hand("last")
    assert await hand.claim() is None
    failed = (await system.refolded(run)).steps["work"]
    assert (failed.status, failed.category) == (StepStatus.FAILED, ErrorCategory.POISON)
    assert (await system.run(run)).status is Status.FAILED


async def test_progress_between_crashes_is_no_poison(system: System, started: Hand) -> None:
    hand = started
    for count in range(7):
        await hand.call("read", str(count))
        hand = await again(system)
    await hand.finish({})
    assert (await system.run(hand.assignment.run)).status is Status.COMPLETED


async def test_an_unfinished_external_call_of_a_parked_step_is_not_repeated(
    system: System, started: Hand
) -> None:
    """The step leaves its worker while a mail is on its way: the next holder may not send it again."""
    run = started.assignment.run
    await started.dispatched("mail")
    halt = await system.platform.halts.set(ALICE, "run", run, "stop")
    assert isinstance(await started.act("read"), Parked)
    await system.platform.halts.lift(ROOT, halt.id)
    hand = await system.hand("next")
    if await hand.claim() is not None:
        assert isinstance(await hand.act("mail"), Parked)
    assert (await system.calls(run))["mail"].state is CallState.UNKNOWN
    assert (await system.run(run)).status is Status.BLOCKED


async def _granted(hand: Hand) -> Dispatch:
    assignment = await hand.claim()
    assert isinstance(assignment, Assignment)
    assert assignment.kind == "action"
    assert assignment.dispatch is not None
    return assignment.dispatch
