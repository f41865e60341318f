"""What is told of an action: what it cost and who said so, in which event it lies, and why its step goes on."""

import pytest
from msgspec.structs import replace
from run_kit import MAIL, METERED, PLANS, SECOND, Stage

from bailiwick.base import Instant, format_instant
from bailiwick.budget import BudgetExhausted
from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    CallState,
    Grant,
    InQuarantine,
    Journal,
    Park,
    Release,
    Resolve,
    Resume,
    StepStatus,
    decided_again,
)

DONE, FAILED, UNKNOWN = CallState.DONE, CallState.FAILED, CallState.UNKNOWN
INTENDED, HELD = CallState.INTENDED, CallState.HELD


@pytest.fixture
def stage() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def test_nobody_can_say_that_a_write_never_happened_while_it_may_still_arrive(stage: Stage) -> None:
    key = stage.dispatch("a", MAIL)
    stage.do(Release("a", 1, "the session ended"))
    until = stage.call(key).quarantine_until
    refusal = stage.refuses(Resolve(key, "bob", FAILED), InQuarantine)
    assert refusal.facts == {"run": "run_1", "key": key, "until": format_instant(until)}
    assert format_instant(until) in str(refusal)
    stage.at = Instant(until - SECOND)  # the command comes a second later, at the very instant
    stage.do(Resolve(key, "bob", FAILED), {"outcome": {}})
    assert stage.call(key).state is FAILED


@pytest.mark.parametrize(("despite", "state"), [(True, FAILED), (False, DONE)])
def test_a_resolution_is_found_again_with_what_was_said_of_the_quarantine(
    stage: Stage, despite: bool, state: CallState
) -> None:
    key = stage.dispatch("a", MAIL)
    stage.do(Release("a", 1, "the session ended"))
    assert stage.at < stage.call(key).quarantine_until
    before, said = stage.run, Resolve(key, "bob", state, despite=despite)
    events = stage.do(said, {"outcome": {}})
    again = decided_again(before, stage.plan, events, stage.sight())
    assert (again.agrees, again.command) == (True, said)


def test_an_outcome_says_what_came_and_in_which_event_it_lies(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    asked = stage.run.version
    stage.settle(key, FAILED, category=ErrorCategory.RATE_LIMITED, reason="busy", outcome_digest="a" * 64)
    call = stage.call(key)
    assert (call.state, call.category, call.reason) == (FAILED, ErrorCategory.RATE_LIMITED, "busy")
    assert (call.action_seq, call.outcome_seq, call.outcome_digest) == (asked, asked + 1, "a" * 64)


def test_a_step_that_goes_on_says_why(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.do(Grant(key, "ann"))
    assert stage.step("a").reason == "approved by ann"
    stage.do(Park("a", stage.claim("a"), "halted"))
    stage.do(Resume("bob"))
    assert stage.step("a").reason == "resumed"
    stage.do(Release("a", stage.claim("a"), "the session ended"))
    assert (stage.step("a").reason, stage.step("a").call) == ("the session ended", key)
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.settle(key)
    assert (stage.step("a").reason, stage.step("a").call) == ("the held action is done", "")


def test_a_step_with_two_questions_goes_on_to_the_second_and_says_why(stage: Stage) -> None:
    mail, held = stage.dispatch("a", MAIL, n=1), stage.journal("a", MAIL, HELD, n=2)
    stage.settle(mail, UNKNOWN)
    stage.do(Grant(held, "ann"))
    assert stage.step("a").status is StepStatus.BLOCKED
    stage.do(Resolve(mail, "bob", DONE))
    step = stage.step("a")
    assert (step.status, step.reason, step.call) == (StepStatus.READY, "resolved by bob", held)


def test_the_last_cent_can_be_spent_and_no_more() -> None:
    stage = Stage(PLANS["retry"], limit=100)
    stage.claim("a")
    stage.refuses(Journal(stage.proposal("a", METERED, INTENDED, reserved=101)), BudgetExhausted)
    key = stage.dispatch("a", METERED, reserved=100)
    stage.refuses(Journal(stage.proposal("a", METERED, INTENDED, n=2, reserved=1)), BudgetExhausted)
    stage.settle(key, cost=100)
    assert (stage.run.allotment.reserved, stage.run.allotment.spent) == (0, 100)
