"""Retries by category and time, requests by idempotency key, tenants apart, and what a step costs the store."""

import asyncio

import pytest

from bailiwick.base import Instant, Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.policy import Role
from bailiwick.ports import Frame
from bailiwick.run import Status
from bailiwick.service import IntentRequest, KeyReused, NotFound, parse_intent
from platform_kit import ALICE, BOB, MALLORY, ROOT, Hand, System, person
from shop_kit import Shop


@pytest.mark.parametrize(
    ("category", "again"),
    [
        (ErrorCategory.TRANSIENT, True),
        (ErrorCategory.RATE_LIMITED, True),
        (ErrorCategory.INTERNAL, False),
        (ErrorCategory.DENIED, False),
        (ErrorCategory.INVALID_OUTPUT, False),
        (ErrorCategory.TOOL_FAILED, False),
    ],
)
async def test_what_passes_is_retried_and_what_does_not_is_not(
    system: System, started: Hand, category: ErrorCategory, again: bool
) -> None:
    run = started.assignment.run
    await started.finish(category=category, reason="it broke")
    assert (await system.refolded(run)).closed is (None if again else Status.FAILED)


async def test_a_retry_comes_when_it_is_due_and_not_before(system: System) -> None:
    system.clock.stop()
    run = await system.submit()
    hand = await system.hand()
    for attempt, wait in [(1, 0.75), (2, 1.5)]:
        assignment = await hand.claim()
        assert assignment is not None
        assert assignment.attempt == attempt
        await hand.finish(category=ErrorCategory.TRANSIENT, reason=f"failed {attempt}")
        system.clock.advance(wait - 0.001)
        assert await hand.claim() is None
        system.clock.advance(0.001)
    last = await hand.claim()
    assert last is not None
    assert (last.attempt, last.feedback) == (3, "failed 2")
    await hand.finish(category=ErrorCategory.TRANSIENT, reason="failed 3")
    ended = await system.refolded(run)
    assert (ended.status, ended.category) == (Status.FAILED, ErrorCategory.TRANSIENT)


async def test_what_the_other_side_asked_for_is_waited_for(system: System) -> None:
    system.clock.stop()
    await system.submit()
    hand = await system.hand()
    await hand.claim()
    await hand.finish(category=ErrorCategory.RATE_LIMITED, reason="429", retry_after=40.0)
    system.clock.advance(14)
    await system.store.queue.renew_session(hand.session, 15)
    assert await hand.claim() is None
    for _ in range(2):
        system.clock.advance(13)
        await system.store.queue.renew_session(hand.session, 15)
    assert await hand.claim() is not None


async def test_feedback_stays_the_same_when_the_retry_is_resumed(system: System) -> None:
    await system.submit()
    hand = await system.hand()
    await hand.claim()
    await hand.finish(category=ErrorCategory.TRANSIENT, reason="the first one broke")
    system.clock.advance(2)
    assert (await hand.claim()).feedback == "the first one broke"
    await system.crash()
    hand = await system.hand("next")
    assert (await hand.claim()).feedback == "the first one broke"


async def test_a_retry_replays_done_writes_and_runs_reads_and_failed_writes_anew(system: System) -> None:
    await system.submit()
    hand = await system.hand()
    await hand.claim()
    await hand.call("write", "landed")
    failing = await hand.dispatched("write", "failing")
    await hand.settle(failing, "failed", category=ErrorCategory.TOOL_FAILED, reason="no")
    await hand.call("read", "news")
    await hand.finish(category=ErrorCategory.TRANSIENT, reason="again")
    system.clock.advance(2)
    await hand.claim()
    assert (await hand.act("write", "landed")).state == "done"
    second = await hand.dispatched("write", "failing")
    assert second.key == failing.key
    await hand.settle(second)
    assert (await hand.call("read", "news")).state == "done"
    assert system.outside.count("read") == 2


async def test_one_key_is_one_run_also_for_many_at_once(system: System) -> None:
    runs = await asyncio.gather(*(system.submit(key="k-1", title="same") for _ in range(32)))
    assert len(set(runs)) == 1
    assert len(await system.platform.reading.runs(ALICE)) == 1
    assert await system.submit(key="k-1", title="same") == runs[0]


async def test_a_key_is_never_used_for_another_request(system: System) -> None:
    run = await system.submit(key="k-1", title="one")
    with pytest.raises(KeyReused) as refused:
        await system.submit(key="k-1", title="two")
    assert refused.value.facts["run"] == run
    results = await asyncio.gather(
        *(system.submit(key="k-2", title=str(n % 2)) for n in range(8)), return_exceptions=True
    )
    assert len({each for each in results if isinstance(each, str)}) == 1
    assert sum(isinstance(each, KeyReused) for each in results) == 4


async def test_a_refused_request_does_not_use_its_key_up(system: System) -> None:
    with pytest.raises(Refusal):
        await system.submit(key="k-1", constraints=("Be nice",))
    assert await system.submit(key="k-1")


async def test_keys_of_two_tenants_do_not_meet(system: System) -> None:
    mine = await system.submit(key="k-1")
    theirs = await system.submit(key="k-1", who=MALLORY, title="other")
    assert mine != theirs


async def test_a_key_survives_a_restart(system: System) -> None:
    run = await system.submit(key="k-1")
    await system.crash()
    assert await system.submit(key="k-1") == run


async def test_a_stranger_reads_and_changes_nothing(system: System, started: Hand) -> None:
    """Every use case with an id of another tenant answers as if there were none."""
    run = started.assignment.run
    await started.call("read")
    await started.act("pay")
    platform = system.platform
    approval = (await system.approval(run)).id
    halt = await platform.halts.set(ALICE, "run", "run_x", "stop")
    key, _ = await platform.keyring.create(ROOT, name="k", role=Role.VIEWER)
    artifact = (await system.run(run)).plan
    before = (await system.refolded(run)).version
    attempts = [
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
        platform.approving.decide(MALLORY, approval, approve=True),
        platform.halts.lift(MALLORY, halt.id),
        platform.keyring.revoke(MALLORY, key.id),
        platform.sequencing.checkpoint(MALLORY),
        platform.sequencing.export(MALLORY),
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


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"budget_usd": "0"}, "invalid_budget"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "deadline_expired"),
        ({"deadline_seconds": 91 * 86_400}, "invalid_intent"),
        ({"constraints": ("Be nice",)}, "plan_refused"),
        ({"app": "nowhere"}, "not_found"),
        ({"workflow": "nothing"}, "not_found"),
    ],
)
async def test_a_bad_intent_is_refused_and_leaves_nothing(system: System, fields: dict, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await system.submit(**fields)
    assert refused.value.code == code
    assert await system.platform.reading.runs(ALICE) == []


async def test_who_may_not_submit_is_refused(system: System) -> None:
    for who in (BOB, person("v", Role.VIEWER)):
        with pytest.raises(Refusal) as refused:
            await system.submit(who=who)
        assert refused.value.code == "forbidden"


def test_an_intent_with_an_unknown_field_names_it() -> None:
    with pytest.raises(Refusal) as refused:
        parse_intent({"app": "a", "workflow": "w", "extra": 1})
    assert "extra" in refused.value.message
    with pytest.raises(Refusal) as typed:
        parse_intent({"app": "a", "workflow": "w", "labels": {"team": 3}})
    assert typed.value.facts["pointer"].startswith("/labels")
    assert parse_intent({"app": "a", "workflow": "w"}) == IntentRequest("a", "w")


async def test_a_sequential_step_costs_one_commit_and_at_most_five_rows(shop: Shop, open_system) -> None:
    steps = [{"id": f"s{n}", "uses": "clerk", "input": {}} for n in range(20)]
    shop.workflow(*steps)
    system = await open_system(shop)
    system.clock.stop()
    run = await system.submit()
    hand = await system.hand()
    assert await hand.claim() is not None
    writer = system.store.writer
    commits, rows = writer.commits, writer.rows
    for n in range(20):
        assert hand.assignment.step == f"s{n}"
        following = await hand.finish({"n": n})
        assert (following is None) is (n == 19)
    assert (await system.run(run)).status is Status.COMPLETED
    assert writer.commits - commits == 20
    assert writer.rows - rows <= 5 * 20


async def test_a_long_chain_gives_others_their_turn(shop: Shop, open_system) -> None:
    shop.workflow(*({"id": f"s{n}", "uses": "clerk", "input": {}} for n in range(3)))
    system = await open_system(shop)
    system.clock.stop()
    await system.submit()
    hand = await system.hand()
    await hand.claim()
    system.clock.advance(0.3)
    assert await hand.finish({}) is None
    assert await hand.claim() is not None
    assert await hand.finish({}) is not None


async def test_many_workers_run_no_step_twice(shop: Shop, open_system) -> None:
    seen: list[tuple[str, str]] = []

    async def clerk(ctx, given):
        seen.append((ctx.run, ctx.step))
        await ctx.tool("shop.read", {"text": "x"})
        return {}

    shop.scripts["clerk"] = clerk
    shop.workflow(*({"id": f"s{n}", "uses": "clerk", "input": {}} for n in range(4)))
    system = await open_system(shop)
    for number in range(4):
        system.work(f"worker-{number}", slots=2)
    runs = [await system.submit() for _ in range(12)]
    for run in runs:
        assert (await system.ended(run)).status is Status.COMPLETED
    assert len(seen) == len(set(seen)) == 48
    platform = system.platform
    assert (platform.runs._locks, platform.runs._stirring, platform.gate._free) == ({}, {}, {})
    assert [session.holds for session in platform.sessions._open.values()] == [{}] * 4
    assert not any(platform.runs.memory.known(run).contents for run in runs)
