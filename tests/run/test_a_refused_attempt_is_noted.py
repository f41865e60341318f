"""A refused attempt is noted and moves nothing; of a step, twenty have an event each, and all further ones are counted."""

import pytest
from run_kit import PLANS, Stage

from bailiwick.run import NOTED_PER_STEP, AttemptRefused, LeaseLost, Note, Release, StepStatus


@pytest.fixture
def stage() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def noted(stage: Stage, count: int = 1, *, last: bool = False) -> tuple[object, ...]:
    return stage.do(
        Note("a", stage.run.steps["a"].epoch, "unknown_capability", "nobody", "d" * 64, count, last)
    )


def test_an_attempt_has_an_event_and_moves_nothing(stage: Stage) -> None:
    before = stage.run
    (event,) = noted(stage)
    assert event == AttemptRefused(stage.at, "a", "unknown_capability", "nobody", "d" * 64)
    assert stage.run.steps["a"].refused == 1
    assert stage.run.steps["a"].status is StepStatus.RUNNING
    assert (stage.run.status, stage.run.calls, stage.run.tally) == (before.status, before.calls, before.tally)


def test_beyond_twenty_they_are_counted_in_ever_fewer_events(stage: Stage) -> None:
    tried = events = pending = 0
    for _ in range(5_000):
        pending += 1
        tried += 1
        if noted(stage, pending):
            events += 1
            pending = 0
    assert events <= NOTED_PER_STEP + 14
    assert stage.run.steps["a"].refused == tried - pending
    assert noted(stage, pending, last=True), "what is left comes with the step's report"
    assert stage.run.steps["a"].refused == tried
    assert noted(stage) == ()


def test_a_resumed_and_a_retried_step_goes_on_counting(stage: Stage) -> None:
    noted(stage)
    stage.do(Release("a", stage.run.steps["a"].epoch, "its worker was lost"))
    stage.claim("a")
    noted(stage)
    stage.fail("a")
    assert stage.run.steps["a"].refused == 2


def test_who_does_not_hold_the_step_notes_nothing(stage: Stage) -> None:
    stage.refuses(Note("a", 7, "unknown_capability"), LeaseLost)
    stage.refuses(Note("b", 1, "unknown_capability"), LeaseLost)
