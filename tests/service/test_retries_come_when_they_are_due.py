"""Failed attempts come again by category, when they are due, with the reason of the one before."""

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.run import Status
from platform_kit import Hand, System


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
