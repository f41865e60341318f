"""An escalation is told of once for each group of a request, moves nothing, and ends with the request."""

import pytest
from msgspec.structs import replace
from run_kit import MAIL, PLANS, Stage

from bailiwick.run import CallState, Escalate, Escalated, Grant, NoSuchAction, NotAllowed, Reconsider

HELD = CallState.HELD


@pytest.fixture
def stage() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def test_each_group_is_told_of_once_and_nothing_moves(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    before = stage.run
    (event,) = stage.do(Escalate(key, ("chiefs",)))
    approval = stage.call(key).approval
    assert event == Escalated(stage.at, key, approval, ("chiefs",))
    assert (stage.run.status, stage.run.steps, stage.run.tally) == (before.status, before.steps, before.tally)
    assert stage.do(Escalate(key, ("chiefs",))) == ()
    assert stage.do(Escalate(key, ())) == ()
    (more,) = stage.do(Escalate(key, ("board", "chiefs")))
    assert isinstance(more, Escalated)
    assert more.to == ("board",)
    assert stage.call(key).escalated == ("chiefs", "board")
    stage.do(Grant(key, "bob"))
    assert stage.call(key).escalated == ("chiefs", "board")


def test_a_new_request_begins_without_an_escalation_and_the_same_one_keeps_it(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.do(Escalate(key, ("chiefs",)))
    stage.do(Reconsider(replace(stage.call(key), escalated=())))
    assert stage.call(key).escalated == ("chiefs",), "policy cannot take back what was told"
    stage.do(Reconsider(replace(stage.call(key), approval="apr_other")))
    assert stage.call(key).escalated == ()
    (event,) = stage.do(Escalate(key, ("chiefs",)))
    assert isinstance(event, Escalated)
    assert event.approval == "apr_other"


def test_what_nobody_waits_for_is_not_escalated(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.refuses(Escalate("eff_stranger", ("chiefs",)), NoSuchAction)
    stage.do(Grant(key, "bob"))
    stage.refuses(Escalate(key, ("chiefs",)), NotAllowed)
