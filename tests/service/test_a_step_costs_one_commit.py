"""What a step costs the store, who takes it, and that nobody takes it twice."""

import asyncio

from bailiwick.ports import Assignment, Hello
from bailiwick.run import Status
from bailiwick.service.core.turns import Lane
from platform_kit import ALICE, Hand, System, soon
from shop_kit import Shop


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


async def waiting(hand: Hand) -> asyncio.Future[tuple[Assignment, ...]]:
    """Let a hand wait for work."""
    claiming = asyncio.ensure_future(hand.port.claim(hand.session, 1, 5.0))
    while not hand.system.platform.sessions.find(hand.session).room:
        await asyncio.sleep(0)
    return claiming


async def test_an_idle_worker_takes_the_first_step_in_the_submitting_unit(system: System) -> None:
    hand = await system.hand()
    claiming = await waiting(hand)
    commits = system.store.writer.commits
    run = await system.submit()
    (assignment,) = await soon(claiming)
    assert system.store.writer.commits == commits + 1
    assert (assignment.run, assignment.step, assignment.epoch) == (run, "work", 1)
    hand.assignment = assignment
    await hand.finish({})
    assert (await system.run(run)).status is Status.COMPLETED
    assert system.store.writer.commits == commits + 2


async def test_a_step_taken_for_an_idle_worker_that_is_gone_is_released(system: System) -> None:
    hand = await system.hand()
    claiming = await waiting(hand)
    session = system.platform.sessions.reserve(Lane("acme", "x", 100))
    assert session is not None
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    session.room, session.reserved = 1, 0
    opening = asyncio.ensure_future(system.submit())
    while not session.reserved:
        await asyncio.sleep(0)
    await system.port.hello(Hello("hand", ()))
    run = await opening
    assert await system.platform.recovering.reap() == 1
    fresh = await system.hand("fresh")
    assert (await fresh.claim()).run == run


async def test_a_run_that_is_canceled_while_its_step_is_handed_over_says_so(system: System) -> None:
    hand = await system.hand()
    claiming = await waiting(hand)
    run = await system.submit()
    await system.platform.control.cancel(ALICE, run)
    found = await soon(claiming)
    notices = await hand.port.heartbeat(hand.session, 0.01)
    assert [each.what for each in notices][-1:] == ["cancel"]
    assert [each.run for each in found] == [run]


async def test_nothing_is_taken_in_advance_while_a_halt_stands(system: System) -> None:
    await system.platform.halts.set(ALICE, "app", "shop", "stop")
    hand = await system.hand()
    claiming = await waiting(hand)
    run = await system.submit()
    opening = (await system.events(run))[0]
    assert [move["to"] for move in opening["moves"]] == ["succeeded", "succeeded", "ready"]
    await system.status(run, Status.BLOCKED)
    claiming.cancel()


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
    assert (platform.runs._alone._lines, platform.runs._stirring, platform.gate._free) == ({}, {}, {})
    assert [session.holds for session in platform.sessions._open.values()] == [{}] * 4
    assert not any(platform.runs.memory.known(run).contents for run in runs)
