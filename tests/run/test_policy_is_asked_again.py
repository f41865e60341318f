"""Policy is asked again about a held action: still held, let go, or refused, and never about another action."""

import pytest
from msgspec.structs import replace
from run_kit import MAIL, PLANS, Stage

from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run import CallState, Grant, Journal, NotAllowed, Reconsider, StepStatus, recorded

HELD, INTENDED, DONE = CallState.HELD, CallState.INTENDED, CallState.DONE


@pytest.fixture
def stage() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def test_a_held_action_that_policy_lets_go_runs_its_stored_bytes_without_a_grant(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.do(Reconsider(replace(stage.call(key), state=CallState.GRANTED, approval="")))
    assert (stage.step("a").status, stage.step("a").call) == (StepStatus.READY, key)
    stage.refuses(Grant(key, "bob"), NotAllowed)
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.settle(key)
    assert (stage.call(key).state, stage.step("a").status) == (DONE, StepStatus.READY)


def test_a_held_action_that_policy_denies_now_is_answered_with_the_denial(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    denied = replace(stage.call(key), state=CallState.REFUSED, category=ErrorCategory.DENIED)
    stage.do(Reconsider(denied), {"outcome": None})
    assert (stage.step("a").status, stage.step("a").call) == (StepStatus.READY, "")
    stage.claim("a")
    answer = recorded(stage.run, stage.step("a"), key)
    assert answer is not None
    assert answer.category is ErrorCategory.DENIED


def test_people_who_are_asked_again_are_waited_for_by_the_new_request(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    before = stage.run.version
    stage.do(Reconsider(stage.call(key)))
    assert (stage.run.version, stage.step("a").status) == (before + 1, StepStatus.WAITING)
    stage.do(Reconsider(replace(stage.call(key), approval="apr_other")))
    wait = stage.step("a").wait
    assert wait is not None
    assert wait.ref == "apr_other"
    stage.do(Grant(key, "bob"))
    stage.refuses(Reconsider(replace(stage.call(key), state=HELD)), NotAllowed)


def test_policy_cannot_make_another_action_of_a_held_one(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    call = stage.call(key)
    for forged in (
        {"digest": "f" * 64},
        {"contract": "f" * 64},
        {"step": "b"},
        {"effect": EffectClass.READ_ONLY},
        {"attempt": call.attempt + 1},
        {"approval": ""},
        {"state": CallState.GRANTED},
        {"state": CallState.INTENDED},
        {"state": CallState.DONE},
    ):
        stage.refuses(Reconsider(replace(call, **forged)), NotAllowed)
    assert stage.call(key) == call
