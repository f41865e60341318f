"""Cancel, deadline, timeout and halt: nothing new starts, what runs is told, and the end waits for it."""

import asyncio

import pytest

from bailiwick.base import Refusal, parse_canonical
from bailiwick.contract import ErrorCategory
from bailiwick.ports import Dispatch, Parked, Unit
from bailiwick.run import CallState, LeaseLost, Status, StepStatus
from bailiwick.service import NotFound
from bailiwick.stores import EventDamaged, OutcomeUnknown
from platform_kit import ALICE, BOB, ROOT, Hand, System, decide_seen
from shop_kit import Shop


async def notices(hand: Hand) -> list[tuple[str, str]]:
    return [(each.task, each.what) for each in await hand.port.heartbeat(hand.session, 0.01)]


async def test_a_queued_run_is_canceled_at_once(system: System) -> None:
    run = await system.submit()
    await system.platform.control.cancel(ALICE, run, "changed my mind")
    ended = await system.refolded(run)
    assert (ended.status, ended.reason) == (Status.CANCELED, "canceled by alice")
    assert await (await system.hand()).claim() is None


async def test_a_running_step_is_told_and_the_run_is_canceled_once_it_has_answered(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    dispatch = await started.dispatched("write")
    await system.platform.control.cancel(ALICE, run)
    assert await notices(started) == [(f"{run}/work", "cancel")]
    assert (await system.run(run)).closed is None
    refused = await started.act("read")
    assert isinstance(refused, Parked)
    assert refused.canceled
    await started.port.settle(started.session, await started.execute(dispatch))
    landed = (await system.calls(run))["write"]
    assert landed.state is CallState.DONE
    assert "after the request" in landed.reason
    assert (await system.run(run)).closed is None
    await started.finish(category=ErrorCategory.CANCELED, reason="told to")
    assert (await system.run(run)).status is Status.CANCELED
    assert len(system.outside.effects) == 1


async def test_cancelling_twice_or_after_the_end_changes_nothing(system: System, started: Hand) -> None:
    run = started.assignment.run
    await system.platform.control.cancel(ALICE, run)
    version = (await system.refolded(run)).version
    await system.platform.control.cancel(ALICE, run)
    assert (await system.refolded(run)).version == version
    await started.finish(category=ErrorCategory.CANCELED, reason="told to")
    with pytest.raises(Refusal) as late:
        await system.platform.control.cancel(ALICE, run)
    assert late.value.code == "illegal_transition"


async def test_a_canceled_run_waits_for_the_outcome_that_nobody_knows(system: System, started: Hand) -> None:
    run = started.assignment.run
    key = (await started.dispatched("mail")).key
    await system.platform.control.cancel(ALICE, run)
    await system.crash()
    assert (await system.run(run)).status is Status.BLOCKED
    await system.platform.control.resolve(ALICE, run, key, done=True)
    assert (await system.run(run)).status is Status.CANCELED


async def test_a_passed_deadline_fails_the_run_with_what_it_has(system: System) -> None:
    run = await system.submit(deadline_seconds=60)
    hand = await system.hand()
    await hand.claim()
    await hand.call("quote")
    assert await system.platform.recovering.pass_deadlines() == 0
    await alive_for(hand, 61)
    assert await system.platform.recovering.pass_deadlines() == 1
    assert await system.platform.recovering.pass_deadlines() == 0, "a duty that did nothing says so"
    assert await notices(hand) == [(f"{run}/work", "cancel")]
    await hand.finish(category=ErrorCategory.CANCELED, reason="told to")
    ended = await system.refolded(run)
    assert (ended.status, ended.category) == (Status.FAILED, ErrorCategory.TIMEOUT)
    assert await system.spent(run) == 500


async def test_parked_time_counts_for_the_deadline_but_not_for_the_step(system: System) -> None:
    run = await system.submit(deadline_seconds=7200)
    hand = await system.hand()
    await hand.claim()
    assert isinstance(await hand.act("pay"), Parked)
    system.clock.advance(3000)
    assert await system.platform.recovering.time_out() == 0
    await decide_seen(system.platform, BOB, (await system.approval(run)).id, approve=True)
    system.clock.advance(5000)
    assert await system.platform.recovering.pass_deadlines() == 1
    assert (await system.run(run)).status is Status.FAILED


async def test_an_attempt_that_runs_too_long_is_taken_away_and_retried(shop: Shop, open_system) -> None:
    retry = {"on": ["timeout"], "attempts": 2, "backoff_seconds": 1}
    shop.workflow({"id": "work", "uses": "clerk", "input": {}, "timeout": 30, "retry": retry})
    system = await open_system(shop)
    run = await system.submit()
    hand = await system.hand()
    first = await hand.claim()
    assert first is not None
    await alive_for(hand, 31)
    assert await system.platform.recovering.time_out() == 1
    assert await notices(hand) == [(f"{run}/work", "timeout")]
    with pytest.raises(LeaseLost):
        await hand.finish({})
    await alive_for(hand, 2)
    second = await hand.claim()
    assert second is not None
    assert second.attempt == 2
    assert "longer than its timeout" in second.feedback
    await alive_for(hand, 31)
    assert await system.platform.recovering.time_out() == 1
    ended = await system.refolded(run)
    assert (ended.status, ended.category) == (Status.FAILED, ErrorCategory.TIMEOUT)


async def alive_for(hand: Hand, seconds: float) -> None:
    """Let time pass in steps that a heartbeat survives."""
    for _ in range(int(seconds // 10)):
        hand.system.clock.advance(10)
        await hand.system.store.queue.renew_session(hand.session, 15)
    hand.system.clock.advance(seconds % 10)


SCOPES = [
    ("platform", ""),
    ("tenant", ""),
    ("app", "shop"),
    ("workflow", "job@1.0.0"),
    ("agent", "clerk"),
    ("agent", "clerk@1.0.0"),
    ("run", "RUN"),
]


@pytest.mark.parametrize(("scope", "target"), SCOPES)
async def test_a_halt_blocks_queued_and_running_steps_until_it_is_lifted(
    system: System, started: Hand, scope: str, target: str
) -> None:
    run = started.assignment.run
    halt = await system.platform.halts.set(ROOT, scope, target.replace("RUN", run), "stop it")
    assert await notices(started) == [(f"{run}/work", "halt")]
    answer = await started.act("read")
    assert isinstance(answer, Parked)
    assert "stop it" in answer.reason
    head = await system.platform.reading.head(ALICE, run)
    assert head.status == Status.BLOCKED
    assert halt.id in head.waiting_for
    await system.platform.halts.lift(ROOT, halt.id)
    assert await started.claim() is not None
    assert (await started.call("read")).state == "done"


async def test_a_halted_step_that_is_queued_does_not_start(system: System) -> None:
    run = await system.submit()
    halt = await system.platform.halts.set(ALICE, "app", "shop", "stop")
    hand = await system.hand()
    assert await hand.claim() is None
    assert (await system.run(run)).status is Status.BLOCKED
    await system.crash()
    hand = await system.hand("again")
    assert await hand.claim() is None
    await system.platform.halts.lift(ROOT, halt.id)
    assert await hand.claim() is not None


@pytest.mark.parametrize(
    ("scope", "target", "other"), [("tool", "shop.quote", "read"), ("tool", "shop.quote@1.0.0", "read")]
)
async def test_a_halt_of_one_tool_stops_that_one(
    system: System, started: Hand, scope: str, target: str, other: str
) -> None:
    going = await started.dispatched("quote", "going")
    await system.platform.halts.set(ALICE, scope, target, "too dear")
    assert await notices(started) == [(f"{started.assignment.run}/work", "halt")]
    await started.settle(going, "lost", tries=1)
    assert (await started.call(other)).state == "done"
    assert isinstance(await started.act("quote"), Parked)
    assert system.outside.count("quote") == 0


async def test_a_free_read_on_its_way_is_told_of_a_halt_too(system: System, started: Hand) -> None:
    await started.dispatched("read")
    await system.platform.halts.set(ALICE, "tool", "shop.read", "stop")
    assert await notices(started) == [(f"{started.assignment.run}/work", "halt")]


async def test_a_call_on_its_way_hears_of_a_halt_that_its_neighbour_met_first(
    system: System, started: Hand
) -> None:
    """The neighbour parks the step before the halt is told round; then nobody holds the step any more."""
    await started.dispatched("quote", "going")
    tell = system.platform.halts.on_set
    assert tell is not None

    async def later() -> object:
        assert isinstance(await started.act("read"), Parked)
        return await tell()

    system.platform.halts.on_set = later
    await system.platform.halts.set(ALICE, "app", "shop", "stop")
    assert await notices(started) == [(f"{started.assignment.run}/work", "halt")]


async def test_a_halt_elsewhere_concerns_nobody_here(system: System, started: Hand) -> None:
    for scope, target in [("app", "other"), ("run", "run_x"), ("agent", "other"), ("model", "read")]:
        await system.platform.halts.set(ALICE, scope, target, "not you")
    assert await notices(started) == []
    assert (await started.call("read")).state == "done"


async def test_after_a_halt_is_acknowledged_nothing_is_let_through(system: System, started: Hand) -> None:
    """Calls race with the halt: whatever the gate lets go, it has let go before the halt is acknowledged."""
    run = started.assignment.run
    order: list[str] = []

    async def ask(n: int) -> None:
        try:
            answer = await started.act("quote", str(n))
        except LeaseLost:
            return
        if isinstance(answer, Dispatch):
            order.append("dispatch")

    async def halt() -> None:
        await system.platform.halts.set(ALICE, "run", run, "stop")
        order.append("acknowledged")

    asking = [asyncio.ensure_future(ask(n)) for n in range(12)]
    while not order:
        await asyncio.sleep(0)
    await asyncio.gather(halt(), *asking)
    assert "acknowledged" in order
    assert "dispatch" not in order[order.index("acknowledged") :]


async def test_one_run_that_cannot_be_read_keeps_no_other_halted_and_no_server_down(system: System) -> None:
    halt = await system.platform.halts.set(ROOT, "app", "shop", "stop")
    runs = [await system.submit() for _ in range(3)]
    hand = await system.hand()
    for _ in runs:
        assert await hand.claim() is None
    system.tampered = True
    where = system.payload_of(runs[1], 2)
    assert system.edit(f"UPDATE events SET header = {system.literal(b'{}')} WHERE {where}") == 1
    for run in runs:
        system.platform.runs.memory.forget(run)
    await system.platform.halts.lift(ROOT, halt.id)
    for run in (runs[0], runs[2]):
        assert (await system.run(run)).status is not Status.BLOCKED
    await system.crash()
    with pytest.raises(EventDamaged):
        await system.run(runs[1])


async def test_only_an_admin_lifts_and_only_of_the_own_tenant(system: System) -> None:
    halt = await system.platform.halts.set(ALICE, "tenant", "", "stop")
    with pytest.raises(Refusal) as refused:
        await system.platform.halts.lift(ALICE, halt.id)
    assert refused.value.code == "forbidden"
    with pytest.raises(Refusal) as forbidden:
        await system.platform.halts.set(ALICE, "platform", "", "all")
    assert forbidden.value.code == "forbidden"
    assert system.platform.halts.in_force(halt.id)


async def test_a_halt_is_lifted_once_whoever_asks_at_the_same_time(system: System) -> None:
    halt = await system.platform.halts.set(ALICE, "tenant", "", "stop")
    outcomes = await asyncio.gather(
        *(system.platform.halts.lift(ROOT, halt.id) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(came, NotFound) for came in outcomes) == 7
    events = await system.platform.runs.ledger.events("acme", "tenant:acme", 0, 99)
    assert [parse_canonical(event.header)["kind"] for event in events].count("halt.lifted") == 1


async def test_a_lift_whose_answer_was_lost_is_found_out_by_the_next_one(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    halts = system.platform.halts
    halt = await halts.set(ALICE, "tenant", "", "stop")
    await system.submit()
    hand = await system.hand()
    assert await hand.claim() is None
    commit = halts._ledger.commit

    async def lost(unit: Unit) -> None:
        await commit(unit)
        raise OutcomeUnknown("the line was cut")

    with monkeypatch.context() as patch:
        patch.setattr(halts._ledger, "commit", lost)
        with pytest.raises(OutcomeUnknown):
            await halts.lift(ROOT, halt.id)
    with pytest.raises(NotFound):
        await halts.lift(ROOT, halt.id)
    assert not halts.in_force(halt.id)
    assert await hand.claim() is not None


async def test_a_failed_sibling_stops_the_others(shop: Shop, open_system) -> None:
    shop.workflow(
        {"id": "one", "uses": "clerk", "input": {}, "reason": "they are independent"},
        {"id": "two", "uses": "other", "input": {}, "after": [], "reason": "they are independent"},
    )
    system = await open_system(shop)
    run = await system.submit()
    first, second = await system.hand("a"), await system.hand("b")
    await first.claim()
    await second.claim()
    await first.finish(category=ErrorCategory.TOOL_FAILED, reason="broke")
    assert [what for _, what in await notices(second)] == ["cancel"]
    parked = await second.act("read")
    assert isinstance(parked, Parked)
    assert parked.canceled
    await second.finish(category=ErrorCategory.CANCELED, reason="told to")
    ended = await system.refolded(run)
    assert ended.status is Status.FAILED
    assert "broke" in ended.reason
    assert {step.status for step in ended.steps.values()} >= {StepStatus.FAILED, StepStatus.CANCELED}
