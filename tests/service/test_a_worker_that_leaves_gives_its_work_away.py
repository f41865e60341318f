"""P4: what a leaving worker holds goes to others as soon as it is in no call; nothing more is handed to it, or begun by it."""

import pytest

from bailiwick.ports import Hello, Parked, SessionLost
from bailiwick.run import CallState, StepStatus
from platform_kit import Hand, System


async def status(hand: Hand) -> StepStatus:
    return (await hand.system.refolded(hand.assignment.run)).steps[hand.assignment.step].status


async def other(system: System) -> Hand:
    """Another worker that can do all that the first one can."""
    keys = next(iter(system.platform.sessions._open.values())).sorted_keys
    return Hand(system, (await system.port.hello(Hello("another", tuple(keys)))).id)


async def test_a_step_in_no_call_goes_to_others_at_once_and_its_holder_is_told(started: Hand) -> None:
    run = started.assignment.run
    assert await started.port.leave(started.session) == 1
    assert await status(started) is StepStatus.READY
    (notice,) = await started.port.heartbeat(started.session, 0.0)
    assert (notice.what, notice.task) == ("lost", started.assignment.task)
    next_hand = await other(started.system)
    taken = await next_hand.claim()
    assert taken is not None
    assert taken.run == run


async def test_a_step_in_a_call_stays_until_its_outcome_is_recorded(started: Hand) -> None:
    dispatch = await started.dispatched("mail")
    assert await started.port.leave(started.session) == 0
    assert await status(started) is StepStatus.RUNNING
    settled = await started.settle(dispatch)
    assert settled.state == "done"
    assert await started.port.leave(started.session) == 1
    assert await status(started) is StepStatus.READY
    (call,) = (await started.system.refolded(started.assignment.run)).calls.values()
    assert call.state is CallState.DONE


async def test_a_free_read_is_a_call_as_well(started: Hand) -> None:
    dispatch = await started.dispatched("read")
    assert await started.port.leave(started.session) == 0
    await started.settle(dispatch)
    assert await started.port.leave(started.session) == 1


async def test_a_leaving_worker_begins_nothing_and_is_handed_nothing(started: Hand) -> None:
    system = started.system
    dispatch = await started.dispatched("mail")
    await started.port.leave(started.session)
    answer = await started.act("mail", "another")
    assert isinstance(answer, Parked)
    assert "leaving" in answer.reason
    await system.submit(key="later")
    assert await started.port.claim(started.session, 8, 5.0) == ()  # at once, though it would wait
    await started.settle(dispatch)
    assert await started.finish() is None


async def test_a_report_of_a_step_that_was_given_away_is_thrown_away(started: Hand) -> None:
    await started.port.leave(started.session)
    with pytest.raises(Exception) as lost:
        await started.finish()
    assert lost.value.code in ("lease_lost", "fenced", "not_allowed")  # type: ignore[attr-defined]
    assert await status(started) is StepStatus.READY


async def test_a_session_that_is_over_has_nothing_to_leave(started: Hand) -> None:
    with pytest.raises(SessionLost):
        await started.port.leave("ses_nobody")
