"""A run's state says when it last changed, who asked for its rollback, why it stands still, and what it gave back."""

from run_kit import METERED, PLANS, SECOND, Stage

from bailiwick.base import Instant
from bailiwick.run import Cancel, Fund, Quarantine, Resume, Rollback, Status, input_of


def test_a_state_was_changed_when_its_last_event_was() -> None:
    stage = Stage(PLANS["sequence"])
    stage.at = Instant(stage.at + 60 * SECOND)
    stage.claim("a")
    assert stage.run.updated_at == stage.at


def test_a_quarantine_is_told_with_its_reason_until_it_is_lifted() -> None:
    stage = Stage(PLANS["sequence"])
    stage.do(Quarantine("edited by hand"))
    assert stage.run.quarantine == "edited by hand"
    stage.do(Resume("bob"))
    assert stage.run.quarantine == ""


def test_a_rollback_is_told_with_who_asked_for_it() -> None:
    stage = Stage(PLANS["undo"])
    stage.succeed("a", ok=False)
    stage.do(Cancel("ann"))
    stage.do(Rollback("eve", "it was wrong"))
    assert stage.run.rollback_requested == "eve"
    stage.succeed("a~undo")
    assert (stage.run.closed, stage.run.reason) == (Status.ROLLED_BACK, "rolled back by eve")


def test_what_was_not_spent_goes_back_to_the_latest_top_up_first() -> None:
    stage = Stage(PLANS["sequence"], limit=100)
    for day in (1, 2):
        stage.do(Resume("bob", add=50, funds=(Fund("team", day, 50),)))
    stage.claim("a")
    stage.settle(stage.dispatch("a", METERED, reserved=160), cost=160)
    stage.succeed("a")
    stage.do(Cancel("ann"))
    assert [(fund.day, fund.taken, fund.returned) for fund in stage.run.funds] == [(1, 50, 0), (2, 50, 40)]


def test_a_step_reads_what_the_context_step_found() -> None:
    stage = Stage(PLANS["planner and context"])
    stage.succeed("$context")
    stage.contents[stage.run.steps["$context"].output_seq] = {"output": {"files": {"ok": "found"}}}
    stage.succeed("$plan", says="because")
    given = input_of(stage.run, stage.plan, stage.plan.node("a"), "a", stage.sight())
    assert given == {"seen": "found", "why": "because"}
