"""Cancel, deadline and doom: what is not begun is withdrawn, what is held is let end, what is unknown is asked."""

import pytest
from msgspec.structs import replace
from run_kit import LIMIT, MAIL, METERED, PLANS, WRITE, Stage, finish, plan_of

from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    CallState,
    Cancel,
    Claim,
    Closed,
    Command,
    Fail,
    Grant,
    Journal,
    NotAllowed,
    OutcomeUnknown,
    Park,
    PassDeadline,
    Quarantine,
    Release,
    Resolve,
    Resume,
    Settle,
    Status,
    StepStatus,
    Succeed,
)

ENDS = pytest.mark.parametrize(
    ("ask", "end"),
    [(Cancel("ann"), Status.CANCELED), (PassDeadline(), Status.FAILED)],
    ids=["cancel", "deadline"],
)


@ENDS
def test_what_nobody_holds_ends_at_once(ask: Command, end: Status) -> None:
    for prepare in (
        lambda stage: None,
        lambda stage: stage.fail("a", ErrorCategory.TRANSIENT),
        lambda stage: stage.do(Park("a", stage.claim("a"), "halted")),
        lambda stage: (stage.claim("a"), stage.journal("a", WRITE, CallState.HELD)),
    ):
        stage = Stage(PLANS["retry"])
        prepare(stage)
        events = stage.do(ask)
        assert stage.run.closed is end
        assert sum(isinstance(event, Closed) for event in events) == 1
        assert all(call.state is CallState.CANCELED for call in stage.run.calls.values())


@ENDS
@pytest.mark.parametrize("report", ["succeed", "fail", "release", "park"])
def test_what_is_held_ends_when_its_holder_reports(ask: Command, end: Status, report: str) -> None:
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    stage.do(ask)
    assert stage.run.closed is None
    assert stage.do(ask) == ()
    stage.do(
        {
            "succeed": Succeed("a", epoch, "e" * 64),
            "fail": Fail("a", epoch, ErrorCategory.TRANSIENT, "broke"),
            "release": Release("a", epoch, "gone"),
            "park": Park("a", epoch, "halted"),
        }[report],
        {"output": {"ok": True}},
    )
    assert stage.run.closed is end
    assert "b" not in stage.run.steps


def test_work_handed_in_after_a_cancel_is_recorded_and_the_run_is_canceled() -> None:
    stage = Stage(PLANS["fallback"])
    stage.succeed("a")
    epoch = stage.claim("b")
    stage.do(Cancel("ann"))
    stage.do(Succeed("b", epoch, "e" * 64), {"output": {"ok": True}})
    assert (stage.step("b").status, stage.run.closed) == (StepStatus.SUCCEEDED, Status.CANCELED)


@pytest.mark.parametrize("plan", ["retry", "fallback", "a person decides", "sequence"])
def test_a_failure_that_is_reported_after_a_cancel_is_part_of_the_cancel(plan: str) -> None:
    stage = Stage(PLANS[plan])
    epoch = stage.claim("a")
    stage.do(Cancel("ann"))
    stage.do(Fail("a", epoch, ErrorCategory.INTERNAL, "told to stop"))
    step = stage.step("a")
    assert (step.status, step.reason, step.attempt) == (StepStatus.CANCELED, "told to stop", 1)
    assert stage.run.closed is Status.CANCELED


@pytest.mark.parametrize("state", [CallState.INTENDED, CallState.HELD])
def test_a_run_that_is_ending_begins_nothing(state: CallState) -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    stage.do(Cancel("ann"))
    stage.refuses(Journal(stage.proposal("a", WRITE, state)), NotAllowed)


def test_a_granted_action_is_not_dispatched_after_a_cancel() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    key = stage.journal("a", MAIL, CallState.HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Cancel("ann"))
    stage.refuses(Journal(replace(stage.call(key), state=CallState.INTENDED, epoch=epoch)), NotAllowed)
    stage.do(Release("a", epoch, "the run is ending"))
    assert (stage.call(key).state, stage.run.closed) == (CallState.CANCELED, Status.CANCELED)


def test_a_granted_action_nobody_has_taken_is_withdrawn_by_a_cancel() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    key = stage.journal("a", MAIL, CallState.HELD)
    stage.do(Grant(key, "bob"))
    stage.do(Cancel("ann"))
    assert (stage.call(key).state, stage.run.closed) == (CallState.CANCELED, Status.CANCELED)


def test_an_effect_that_lands_after_the_cancel_is_recorded() -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    key = stage.dispatch("a", WRITE)
    stage.do(Cancel("ann"))
    stage.settle(key)
    assert stage.call(key).state is CallState.DONE
    stage.do(Fail("a", epoch, ErrorCategory.CANCELED, "canceled"))
    assert stage.run.closed is Status.CANCELED


@ENDS
@pytest.mark.parametrize("report", ["succeed", "fail", "release", "park"])
@pytest.mark.parametrize("effect", [WRITE, MAIL])
def test_a_run_with_a_write_on_its_way_does_not_end_before_a_person_says_what_happened(
    ask: Command, end: Status, report: str, effect: object
) -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    key = stage.dispatch("a", effect)
    stage.do(ask)
    stage.do(
        {
            "succeed": Succeed("a", epoch, "e" * 64),
            "fail": Fail("a", epoch, ErrorCategory.INTERNAL, "broke"),
            "release": Release("a", epoch, "gone"),
            "park": Park("a", epoch, "halted"),
        }[report],
        {"output": {"ok": True}},
    )
    assert (stage.call(key).state, stage.run.status) == (CallState.UNKNOWN, Status.BLOCKED)
    stage.refuses(Resume("bob", "", 5), OutcomeUnknown)
    stage.do(Resolve(key, "bob", CallState.DONE))
    assert stage.run.closed is end


@ENDS
def test_what_waits_to_be_repeated_is_unknown_once_nobody_will_repeat_it(ask: Command, end: Status) -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    model, write = stage.dispatch("a", METERED), stage.dispatch("a", WRITE, n=2)
    stage.do(Park("a", epoch, "halted"))
    stage.do(Resume("bob"))
    stage.do(ask)
    assert (stage.call(model).state, stage.call(write).state) == (CallState.LOST, CallState.UNKNOWN)
    assert stage.run.status is Status.BLOCKED
    stage.do(Resolve(write, "bob", CallState.FAILED, despite=True))
    assert stage.run.closed is end


@ENDS
def test_a_model_call_that_nobody_will_report_does_not_keep_a_run_from_its_end(
    ask: Command, end: Status
) -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    key = stage.dispatch("a", METERED)
    stage.do(Park("a", epoch, "halted"))
    stage.do(ask)
    assert (stage.call(key).state, stage.run.closed, stage.run.allotment.spent) == (CallState.LOST, end, 100)


@pytest.mark.parametrize("effect", [WRITE, MAIL])
def test_a_step_that_succeeds_with_a_write_on_its_way_is_not_done(effect: object) -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    key = stage.dispatch("a", effect)
    stage.do(Succeed("a", epoch, "e" * 64), {"output": {"ok": True}})
    assert (stage.step("a").status, stage.step("a").output_seq) == (StepStatus.BLOCKED, 0)
    stage.do(Resolve(key, "bob", CallState.DONE))
    stage.succeed("a")
    assert stage.step("a").status is StepStatus.SUCCEEDED


def test_a_step_that_succeeds_with_a_model_call_on_its_way_pays_its_estimate() -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    key = stage.dispatch("a", METERED)
    stage.do(Succeed("a", epoch, "e" * 64), {"output": {"ok": True}})
    assert (stage.call(key).state, stage.run.allotment.spent) == (CallState.LOST, 100)
    assert stage.step("a").output_seq == stage.run.version - 1
    assert stage.step("b").status is StepStatus.READY


@pytest.mark.parametrize("report", [ErrorCategory.INTERNAL, ErrorCategory.TIMEOUT])
def test_a_step_that_fails_for_good_with_a_write_on_its_way_waits_for_a_person(report: ErrorCategory) -> None:
    stage = Stage(PLANS["sequence"])
    epoch = stage.claim("a")
    key = stage.dispatch("a", WRITE)
    stage.do(Fail("a", epoch, report, "broke"))
    assert (stage.call(key).state, stage.run.status) == (CallState.UNKNOWN, Status.BLOCKED)


def test_a_failure_on_the_top_level_withdraws_what_runs_beside_it() -> None:
    stage = Stage(PLANS["parallel"])
    epoch = stage.claim("b")
    stage.fail("a")
    assert stage.run.closed is None
    stage.do(Release("b", epoch, "told to stop"))
    assert stage.step("b").status is StepStatus.CANCELED
    assert (stage.run.closed, stage.run.reason) == (Status.FAILED, "a: broke")


def test_a_failed_planner_fails_the_run() -> None:
    stage = Stage(PLANS["planner and context"])
    stage.succeed("$context")
    assert stage.run.status is Status.CONTEXT_LOADED
    stage.claim("$plan")
    assert stage.run.status is Status.PLANNING
    stage.fail("$plan", ErrorCategory.INVALID_OUTPUT)
    assert stage.run.closed is Status.FAILED


def test_after_its_end_a_run_takes_nothing() -> None:
    stage = Stage(plan_of({"id": "a"}))
    epoch = stage.claim("a")
    key = stage.dispatch("a", WRITE)
    stage.settle(key)
    stage.do(Succeed("a", epoch, "e" * 64), {"output": {"ok": True}})
    assert stage.run.closed is Status.COMPLETED
    commands: list[Command] = [
        Claim("a", epoch + 1, "ses_1"),
        Succeed("a", epoch, "e" * 64),
        Fail("a", epoch, ErrorCategory.INTERNAL, "late"),
        Release("a", epoch, "late"),
        Park("a", epoch, "late"),
        Journal(stage.call(key)),
        Settle(key, epoch, CallState.DONE),
        Grant(key, "bob"),
        Resolve(key, "bob", CallState.DONE),
        Resume("bob", "", 100),
        Cancel("ann"),
        PassDeadline(),
    ]
    for command in commands:
        stage.refuses(command, NotAllowed)


def test_a_run_in_quarantine_says_of_each_step_why_it_stands_still() -> None:
    stage = Stage(PLANS["parallel"])
    stage.claim("a")
    stage.do(Quarantine("the projection was edited"))
    assert {name: (stage.step(name).status, stage.step(name).reason) for name in ("a", "b")} == {
        "a": (StepStatus.BLOCKED, "the projection was edited"),
        "b": (StepStatus.BLOCKED, "the projection was edited"),
    }
    stage.do(Resume("bob", add=50))
    assert stage.run.allotment.limit == LIMIT + 50
    assert finish(stage) is Status.COMPLETED
