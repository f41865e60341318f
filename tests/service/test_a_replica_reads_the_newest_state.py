"""Of two platforms over one store, each shows, judges and hears of what the other has done to a run."""

import pytest

from bailiwick.ports import Hello, Parked, SessionLost
from bailiwick.run import LEASE_SECONDS
from bailiwick.service import Platform, Sharing
from platform_kit import ALICE, BOB, Hand, System, decide_seen


@pytest.fixture
def other(system: System) -> Platform:
    """A second platform over the same store, with a memory of its own."""
    return system.make_platform(Sharing(operators="acme"))


async def test_a_run_is_shown_as_the_other_left_it(system: System, other: Platform) -> None:
    run = await system.submit()
    assert (await other.reading.detail(ALICE, run)).run.steps["work"].epoch == 0
    hand = await system.hand()
    assert await hand.claim() is not None
    await hand.finish({"made": 1})
    assert (await other.reading.detail(ALICE, run)).output == {"made": 1}
    assert await other.reading.output(ALICE, run, "work") == {"made": 1}


async def test_an_approval_that_the_other_asked_for_is_shown_and_decided(
    system: System, other: Platform, started: Hand
) -> None:
    run = started.assignment.run
    await other.runs.entry("acme", run)
    assert isinstance(await started.act("pay"), Parked)
    (asked,) = await other.approving.list(BOB, run=run)
    await decide_seen(other, BOB, asked.id, approve=True)
    assert (await system.calls(run))["pay"].state == "granted"


async def test_a_worker_hears_of_a_cancel_that_the_other_took(
    system: System, other: Platform, started: Hand
) -> None:
    run = started.assignment.run
    await other.control.cancel(ALICE, run, "enough")
    assert await system.platform.heartbeat(started.session, 0.0) == ()
    assert await system.platform.sessions.catch_up() == 1
    (notice,) = await system.platform.heartbeat(started.session, 0.0)
    assert (notice.task, notice.what) == (started.assignment.task, "cancel")
    assert await system.platform.sessions.catch_up() == 0


async def test_an_orphan_is_released_by_the_one_that_remembers_it_otherwise(
    system: System, other: Platform
) -> None:
    run = await system.submit()
    await other.runs.entry("acme", run)
    hand = await system.hand("first")
    assert await hand.claim() is not None
    system.clock.advance(60)
    assert await other.recovering.reap() == 1
    session = await system.platform.hello(Hello("second", system.capabilities))
    (again,) = await system.platform.claim(session.id, 1, 0.0)
    assert (again.run, again.epoch) == (run, 2)


async def test_a_process_that_was_frozen_claims_nothing_under_a_lease_that_is_over(system: System) -> None:
    await system.submit()
    hand = await system.hand()
    system.platform.sessions.find(hand.session).heard_at -= LEASE_SECONDS + 1
    with pytest.raises(SessionLost):
        await hand.claim()
    assert await (await system.hand()).claim() is not None
