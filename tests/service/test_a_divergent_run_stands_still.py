"""One byte of a projection that is not what the log says: that run stands still and says so, all others go on."""

import pytest

from bailiwick.ports import Parked, Recorded
from bailiwick.run import LeaseLost, NotAllowed, OutcomeUnknown, Status, StepStatus
from platform_kit import ALICE, BOB, Hand, System, decide_seen


def flip(system: System, run: str, sql: str = "title = title || '!'") -> None:
    """Change a run's projection behind the platform's back."""
    assert system.edit(f"UPDATE runs SET {sql} WHERE id = '{run}'") == 1


async def head(system: System, run: str) -> str:
    found = await system.store.views.run("acme", run)
    assert found is not None
    return f"{found.status}: {found.waiting_for}"


@pytest.mark.parametrize(
    "sql",
    [
        "title = title || '!'",
        "status = 'completed'",
        "version = version + 1",
        "version = version - 1",
        "spent_micro_usd = spent_micro_usd + 1",
        "allotment_micro_usd = allotment_micro_usd * 2",
        "deadline = deadline + 1",
        "waiting_for = 'nobody'",
        "requested_by = 'bob'",
    ],
)
async def test_a_flipped_projection_puts_its_run_into_quarantine_in_one_round(
    system: System, started: Hand, sql: str
) -> None:
    run, other = started.assignment.run, await system.submit()
    assert await system.platform.comparing.compare() == 0
    flip(system, run, sql)
    assert await system.platform.comparing.compare() == 1
    assert (await head(system, run)).startswith("blocked: divergence: log and projection disagree: ")
    assert sql.partition(" ")[0] in await head(system, run)
    assert not (await head(system, other)).startswith("blocked")
    assert await system.platform.comparing.compare() == 0, "the projection was written anew from the log"
    assert (await system.refolded(run)).status is Status.BLOCKED


async def test_a_run_that_is_read_from_the_store_is_compared_before_anything_moves(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    flip(system, run)
    system.platform.runs.memory.forget(run)
    with pytest.raises((NotAllowed, LeaseLost)):
        await started.act("mail")
    assert system.outside.count("mail") == 0
    assert (await system.run(run)).quarantine


async def test_nothing_of_it_moves_and_others_go_on(system: System, started: Hand) -> None:
    run = started.assignment.run
    flip(system, run)
    await system.platform.comparing.compare()
    version = (await system.run(run)).version
    with pytest.raises((NotAllowed, LeaseLost)):
        await started.act("write")
    with pytest.raises((NotAllowed, LeaseLost)):
        await started.finish({})
    assert await started.claim() is None
    system.clock.advance(4000)
    await system.platform.recovering.pass_deadlines()
    assert (await system.run(run)).version == version
    other = await system.submit()
    hand = await system.hand("other")
    assert (await hand.claim()).run == other
    await hand.finish({})
    assert (await system.run(other)).status is Status.COMPLETED
    await system.platform.control.cancel(ALICE, run)
    assert (await system.refolded(run)).status is Status.CANCELED


async def test_a_named_person_lets_it_go_on(system: System, started: Hand) -> None:
    run = started.assignment.run
    await started.call("quote")
    await started.dispatched("write")
    flip(system, run)
    await system.platform.comparing.compare()
    await system.platform.control.resume(ALICE, run)
    assert (await started.claim()).run == run
    assert isinstance(await started.act("quote"), Recorded)
    await started.call("write")
    assert len(system.outside.effects) == 1
    await started.finish({})
    told = [(event["kind"], event["actor"]) for event in await system.events(run)]
    assert ("run.quarantined", "platform:comparer") in told
    assert ("run.quarantine_lifted", "user:alice") in told
    assert (await system.refolded(run)).status is Status.COMPLETED


async def test_a_queued_run_leaves_the_queue_and_comes_back(system: System) -> None:
    run = await system.submit()
    flip(system, run)
    await system.platform.comparing.compare()
    hand = await system.hand()
    assert await hand.claim() is None
    await system.platform.control.resume(ALICE, run)
    assert await hand.claim() is not None
    await hand.finish({})


async def test_a_request_to_people_waits_too(system: System, started: Hand) -> None:
    run = started.assignment.run
    assert isinstance(await started.act("pay"), Parked)
    flip(system, run)
    await system.platform.comparing.compare()
    id = (await system.approval(run)).id
    with pytest.raises(Exception, match="is pending"):
        await decide_seen(system.platform, BOB, id, approve=True)
    assert (await system.refolded(run)).steps["work"].status is StepStatus.WAITING
    await system.platform.control.resume(ALICE, run)
    await decide_seen(system.platform, BOB, id, approve=True)
    granted = await started.claim()
    await started.port.settle(started.session, await started.execute(granted.dispatch))
    assert system.outside.count("pay") == 1


async def test_what_was_on_its_way_is_unknown_and_must_be_resolved(system: System, started: Hand) -> None:
    run = started.assignment.run
    dispatch = await started.dispatched("mail")
    flip(system, run)
    await system.platform.comparing.compare()
    with pytest.raises(NotAllowed):
        await system.platform.control.resolve(ALICE, run, dispatch.key, done=True)
    await system.platform.control.resume(ALICE, run)
    assert "outcome unknown" in await head(system, run)
    with pytest.raises(OutcomeUnknown):
        await system.platform.control.resume(ALICE, run)
    await system.platform.control.resolve(ALICE, run, dispatch.key, done=True)
    assert await started.claim() is not None
    await started.finish({})


async def test_a_run_that_nobody_remembers_is_compared_in_its_turn(system: System) -> None:
    runs = [await system.submit() for _ in range(5)]
    for run in runs[1:]:
        system.platform.runs.memory.forget(run)
    flip(system, runs[3])
    assert await system.platform.comparing.compare() == 1
    assert (await system.run(runs[3])).quarantine
    assert not (await system.run(runs[2])).quarantine
