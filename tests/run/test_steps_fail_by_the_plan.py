"""Failures go the way that the plan says: another attempt, the fallback, a person, or the end."""

from typing import Any

import pytest
from run_kit import ASIDE, PLANS, SECOND, WRITE, Stage, finish, plan_of

from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    MAX_CLAIMS,
    CallState,
    Claim,
    Fail,
    LeaseLost,
    NotAllowed,
    Park,
    Reject,
    Release,
    Resume,
    Status,
    StepStatus,
    Succeed,
    WaitKind,
)

READY, RUNNING, BLOCKED = StepStatus.READY, StepStatus.RUNNING, StepStatus.BLOCKED
WAITING, FAILED, SUCCEEDED = StepStatus.WAITING, StepStatus.FAILED, StepStatus.SUCCEEDED
INTERNAL, TRANSIENT, DENIED = ErrorCategory.INTERNAL, ErrorCategory.TRANSIENT, ErrorCategory.DENIED


def states(stage: Stage) -> dict[str, str]:
    return {name: str(step.status) for name, step in stage.run.steps.items() if not name.startswith("$")}


# --- retry ------------------------------------------------------------------------------------------------------------


def test_a_retry_waits_longer_each_time_and_knows_why_the_last_attempt_failed() -> None:
    stage = Stage(PLANS["retry"])
    for attempt, seconds in ((1, 0.5), (2, 1.0)):
        stage.fail("a", TRANSIENT, f"failure {attempt}")
        wait = stage.step("a").wait
        assert wait is not None
        assert (wait.kind, wait.until - stage.at) == (WaitKind.RETRY, seconds * SECOND)
        stage.claim("a")
        assert stage.step("a").feedback == f"failure {attempt}"
        stage.do(Release("a", stage.step("a").epoch, "the session ended"))
        stage.claim("a")
        assert stage.step("a").feedback == f"failure {attempt}"
    stage.fail("a", TRANSIENT, "failure 3")
    assert (stage.run.closed, stage.run.category, stage.run.reason) == (
        Status.FAILED,
        TRANSIENT,
        "a: failure 3",
    )


def test_only_the_named_categories_are_retried() -> None:
    stage = Stage(PLANS["retry"])
    stage.fail("a", INTERNAL)
    assert stage.run.closed is Status.FAILED


def test_a_step_that_says_nothing_is_retried_when_the_failure_may_pass() -> None:
    stage = Stage(PLANS["sequence"])
    stage.fail("a", ErrorCategory.RATE_LIMITED)
    assert stage.step("a").status is WAITING


@pytest.mark.parametrize(
    ("asked", "seconds"), [(30.0, 30), (float("inf"), 86_400), (float("nan"), 0.5), (-5.0, 0.5)]
)
def test_the_other_side_may_ask_for_patience_but_not_for_ever(asked: float, seconds: float) -> None:
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    stage.do(Fail("a", epoch, TRANSIENT, "busy", retry_after=asked))
    wait = stage.step("a").wait
    assert wait is not None
    assert wait.until - stage.at == seconds * SECOND


@pytest.mark.parametrize(("spread", "seconds"), [(0.0, 0.5), (0.5, 0.75), (0.999, 0.9995)])
def test_retries_spread_over_the_upper_half_of_their_time(spread: float, seconds: float) -> None:
    stage = Stage(PLANS["retry"])
    stage.do(Fail("a", stage.claim("a"), TRANSIENT, "busy", spread))
    assert waited(stage) == seconds


def test_a_retry_waits_no_longer_than_the_plan_lets_it() -> None:
    retry = {"on": ["transient"], "attempts": 5, "backoff_seconds": 4, "factor": 3, "max_seconds": 20}
    stage = Stage(plan_of({"id": "a", "retry": retry}))
    for seconds in (2.0, 6.0, 10.0, 10.0):
        stage.fail("a", TRANSIENT)
        assert waited(stage) == seconds


def waited(stage: Stage) -> float:
    wait = stage.step("a").wait
    assert wait is not None
    return (wait.until - stage.at) / SECOND


# --- poison -----------------------------------------------------------------------------------------------------------


def drop(stage: Stage, name: str) -> None:
    stage.do(Release(name, stage.claim(name), "the process died"))


def test_a_task_that_kills_its_worker_five_times_is_poison() -> None:
    stage = Stage(PLANS["sequence"])
    for _ in range(MAX_CLAIMS):
        drop(stage, "a")
    stage.claim("a")
    assert (stage.run.closed, stage.run.category) == (Status.FAILED, ErrorCategory.POISON)


def test_a_dispatch_that_kills_its_worker_each_time_is_no_progress() -> None:
    stage = Stage(PLANS["sequence"])
    for _ in range(MAX_CLAIMS):
        stage.claim("a")
        stage.dispatch("a")
        stage.do(Release("a", stage.step("a").epoch, "the process died"))
    stage.claim("a")
    assert stage.run.category is ErrorCategory.POISON


def test_what_is_recorded_between_claims_is_progress() -> None:
    stage = Stage(PLANS["sequence"])
    for n in range(2 * MAX_CLAIMS):
        stage.claim("a")
        stage.settle(stage.dispatch("a", n=n))
        stage.do(Release("a", stage.step("a").epoch, "the process died"))
    assert finish(stage) is Status.COMPLETED


def test_poison_with_a_write_on_its_way_asks_a_person_what_happened() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    key = stage.dispatch("a", WRITE)
    stage.do(Release("a", 1, "the process died"))
    for _ in range(MAX_CLAIMS - 1):
        drop(stage, "a")
    stage.claim("a")
    assert stage.call(key).state is CallState.UNKNOWN
    assert stage.run.status is Status.BLOCKED


# --- fallback and people ----------------------------------------------------------------------------------------------


def test_the_fallback_takes_over_once_in_a_new_attempt_and_is_told_why() -> None:
    stage = Stage(PLANS["fallback"])
    stage.fail("a", INTERNAL, "the first one broke")
    step = stage.step("a")
    assert (step.status, step.fallback, step.attempt) == (READY, True, 2)
    assert step.feedback == "the first one broke"
    stage.fail("a", INTERNAL, "the second one broke")
    assert (stage.run.closed, stage.run.reason) == (Status.FAILED, "a: the second one broke")


def test_a_fallback_that_cannot_begin_fails_the_step_with_both_reasons() -> None:
    stage = Stage(
        plan_of(
            {
                "id": "a",
                "on_error": "fallback",
                "fallback": "strict",
                "input": {"ok": "$.intent.input.maybe?"},
            }
        )
    )
    stage.fail("a", INTERNAL, "the first one broke")
    assert stage.run.closed is Status.FAILED
    assert stage.run.category is INTERNAL
    assert "the first one broke" in stage.run.reason
    assert "does not fit strict@1.0.0" in stage.run.reason


def test_a_fallback_is_judged_as_every_start_is() -> None:
    stage = Stage(PLANS["fallback"])
    stage.denied = ["spare"]
    stage.fail("a", INTERNAL)
    assert stage.run.closed is Status.FAILED
    assert "not here" in stage.run.reason


def test_a_fallback_withdraws_what_the_first_one_was_granted() -> None:
    stage = Stage(PLANS["fallback"])
    stage.claim("a")
    held = stage.journal("a", WRITE, CallState.HELD)
    stage.do(Reject(held, "bob", "not like this"))
    assert (stage.step("a").status, stage.step("a").fallback) == (READY, True)
    assert stage.call(held).state is CallState.REFUSED


def test_a_person_decides_what_the_plan_leaves_to_people() -> None:
    stage = Stage(PLANS["a person decides"])
    stage.fail("a", INTERNAL, "it broke")
    assert (stage.run.status, stage.step("a").status) == (Status.BLOCKED, BLOCKED)
    assert "it broke" in stage.step("a").reason
    stage.do(Resume("bob", "a"))
    assert (stage.step("a").status, stage.step("a").attempt) == (READY, 2)
    assert "it broke" in stage.step("a").feedback
    assert finish(stage) is Status.COMPLETED


def test_a_rejection_goes_the_way_of_the_plan() -> None:
    for plan, expected in (("sequence", FAILED), ("a person decides", BLOCKED), ("fallback", READY)):
        stage = Stage(PLANS[plan])
        stage.claim("a")
        stage.do(Reject(stage.journal("a", WRITE, CallState.HELD), "bob", "no"))
        assert stage.step("a").status is expected, plan


def test_money_and_halts_resume_in_the_same_attempt() -> None:
    stage = Stage(PLANS["sequence"])
    stage.do(Park("a", stage.claim("a"), "halted"))
    stage.do(Resume("bob"))
    assert (stage.step("a").attempt, stage.step("a").epoch) == (1, 1)


# --- starts that are not allowed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "expected"),
    [({}, FAILED), ({"on_error": "human"}, BLOCKED), ({"on_error": "fallback", "fallback": "spare"}, READY)],
)
def test_a_start_that_policy_denies_is_a_failure_like_others(
    rest: dict[str, Any], expected: StepStatus
) -> None:
    stage = Stage(plan_of({"id": "first", "uses": "spare"}, {"id": "a", **rest}))
    stage.denied = ["work"]
    stage.succeed("first")
    assert stage.step("a").status is expected
    assert stage.step("a").fallback is (expected is READY)


def test_a_denied_step_that_is_resumed_is_judged_again() -> None:
    stage = Stage(plan_of({"id": "first", "uses": "spare"}, {"id": "a", "on_error": "human"}))
    stage.denied = ["work"]
    stage.succeed("first")
    stage.do(Resume("bob", "a"))
    assert (stage.step("a").status, stage.step("a").category) == (BLOCKED, DENIED)
    stage.denied = []
    stage.do(Resume("bob", "a"))
    assert (stage.step("a").status, stage.step("a").epoch) == (READY, 0)


def test_a_condition_that_cannot_be_decided_is_never_walked_around() -> None:
    stage = Stage(
        plan_of(
            {"id": "a"},
            {"id": "guarded", "on_error": "human", "when": "steps.a.output.none == 1", "do": [{"id": "b"}]},
        )
    )
    stage.succeed("a")
    for _ in range(2):
        assert stage.step("guarded").status is BLOCKED
        assert "guarded.b" not in stage.run.steps
        stage.do(Resume("bob"))


# --- blocks and loops -------------------------------------------------------------------------------------------------


def test_what_a_failed_block_had_not_begun_is_withdrawn_and_what_runs_is_let_end() -> None:
    stage = Stage(PLANS["broad block"])
    stage.claim("outer.inner.b")
    stage.fail("outer.a")
    assert states(stage) == {
        "outer": "running", "outer.a": "failed", "outer.inner": "running", "outer.inner.b": "running",
    }  # fmt: skip
    stage.succeed("outer.inner.b")
    assert states(stage)["outer.inner"] == "canceled"
    assert (stage.run.closed, stage.run.reason) == (Status.FAILED, "outer: outer.a: broke")


def test_a_failed_block_withdraws_the_question_that_its_other_branch_asks() -> None:
    stage = Stage(PLANS["broad block"])
    stage.claim("outer.inner.b")
    held = stage.journal("outer.inner.b", WRITE, CallState.HELD)
    stage.fail("outer.a")
    assert stage.call(held).state is CallState.CANCELED
    assert stage.run.closed is Status.FAILED


def test_a_failed_block_names_what_failed_and_not_what_it_withdrew() -> None:
    stage = Stage(PLANS["a person decides on a broad block"])
    stage.fail("outer.inner.y")
    assert states(stage)["outer.inner.x"] == "canceled"
    assert stage.step("outer.inner").reason == "outer.inner.y: broke"


def test_a_failed_block_waits_for_the_outcome_of_what_its_other_branch_has_on_its_way() -> None:
    stage = Stage(PLANS["broad block"])
    stage.claim("outer.inner.b")
    model = stage.dispatch("outer.inner.b")
    held = stage.journal("outer.inner.b", WRITE, CallState.HELD, n=2)
    stage.fail("outer.a")
    assert states(stage)["outer.inner.b"] == "waiting"
    stage.settle(model)
    assert stage.call(held).state is CallState.CANCELED
    assert stage.run.closed is Status.FAILED


def test_a_block_that_a_person_may_mend_lets_its_other_branch_go_on() -> None:
    stage = Stage(PLANS["a person decides on a block"])
    stage.fail("outer.a")
    stage.succeed("outer.inner.b")
    stage.succeed("outer.inner.c")
    assert (stage.run.status, stage.step("outer").status) == (Status.BLOCKED, BLOCKED)
    stage.do(Resume("bob"))
    assert states(stage) == {
        "outer": "running", "outer.a": "ready", "outer.inner": "succeeded",
        "outer.inner.b": "succeeded", "outer.inner.c": "succeeded",
    }  # fmt: skip
    assert stage.step("outer.a").attempt == 2
    assert finish(stage) is Status.COMPLETED


def test_a_block_inside_a_mended_block_goes_on_where_it_failed() -> None:
    stage = Stage(PLANS["a person decides on a block"])
    stage.succeed("outer.a")
    stage.fail("outer.inner.b")
    assert stage.step("outer").status is BLOCKED
    stage.do(Resume("bob"))
    assert states(stage)["outer.inner"] == "running"
    assert states(stage)["outer.inner.b"] == "ready"
    assert stage.step("outer.inner").epoch == 0
    assert finish(stage) is Status.COMPLETED


def test_what_was_withdrawn_inside_a_mended_block_begins_again_with_it() -> None:
    stage = Stage(PLANS["a person decides on a broad block"])
    stage.fail("outer.inner.x")
    assert states(stage)["outer.inner.y"] == "canceled"
    stage.succeed("outer.b")
    assert stage.step("outer").status is BLOCKED
    assert "outer.c" not in stage.run.steps, "a block that has failed begins nothing new"
    stage.do(Resume("bob"))
    assert states(stage) == {
        "outer": "running", "outer.inner": "running", "outer.inner.x": "ready", "outer.inner.y": "ready",
        "outer.b": "succeeded", "outer.c": "ready",
    }  # fmt: skip
    assert finish(stage) is Status.COMPLETED


def test_a_loop_goes_on_until_its_condition_holds() -> None:
    stage = Stage(PLANS["loop"])
    stage.succeed("build[1].code")
    stage.succeed("build[1].test", ok=False)
    assert stage.step("build").iteration == 2
    stage.succeed("build[2].code")
    stage.succeed("build[2].test", ok=True)
    assert stage.step("build").status is SUCCEEDED
    assert turns(stage, "build") == [(RUNNING, None, 1), (RUNNING, False, 2), (SUCCEEDED, True, 2)]


def turns(stage: Stage, name: str) -> list[tuple[StepStatus, bool | None, int]]:
    """List what the record says of a loop: its moves, what its condition came to, and the turn."""
    moves = (move for event in stage.events for move in event.moves)
    return [(move.to, move.until, move.iteration) for move in moves if move.step == name]


def test_a_loop_that_is_not_done_at_its_maximum_fails_as_exhausted() -> None:
    stage = Stage(PLANS["loop of one"])
    stage.succeed("poll[1]", ok=False)
    stage.succeed("poll[2]", ok=False)
    assert (stage.run.closed, stage.run.category) == (Status.FAILED, ErrorCategory.EXHAUSTED)
    assert stage.run.reason == "poll: still not done after 2 turns (last: poll[2])"
    assert turns(stage, "poll") == [(RUNNING, None, 1), (RUNNING, False, 2), (FAILED, False, 0)]


def test_a_loop_whose_condition_cannot_be_decided_fails_with_the_reason() -> None:
    loop = {
        "id": "build",
        "do": [{"id": "test"}],
        "repeat": {"until": "steps.test.output.nothing == 1", "max": 2},
    }
    stage = Stage(plan_of(loop))
    stage.succeed("build[1].test")
    assert (stage.run.closed, stage.run.category) == (Status.FAILED, INTERNAL)
    assert "steps.test.output.nothing" in stage.run.reason


def test_a_person_may_give_an_exhausted_loop_one_more_turn() -> None:
    stage = Stage(PLANS["a person decides on a loop"])
    for turn in (1, 2):
        stage.succeed(f"build[{turn}].code")
        stage.succeed(f"build[{turn}].test", ok=False)
    assert stage.step("build").status is BLOCKED
    stage.do(Resume("bob"))
    assert (stage.step("build").iteration, states(stage)["build[3].code"]) == (3, "ready")
    stage.succeed("build[3].code")
    stage.succeed("build[3].test")
    assert stage.run.closed is Status.COMPLETED


@pytest.mark.parametrize("command", [Succeed, Release, Park, Fail])
def test_a_block_is_in_nobodys_hands(command: Any) -> None:
    stage = Stage(PLANS["nested"])
    rest = {
        Succeed: ("e" * 64,), Fail: (INTERNAL, "broke"), Release: ("gone",), Park: ("halted",),
    }[command]  # fmt: skip
    stage.refuses(command("outer", 0, *rest), LeaseLost)
    stage.refuses(Claim("outer", 1, "ses_1"), NotAllowed)


def test_parallel_branches_join_when_both_have_passed() -> None:
    stage = Stage(PLANS["parallel"])
    stage.succeed("b")
    assert "c" not in stage.run.steps
    stage.succeed("a")
    assert stage.step("c").status is READY


def test_a_step_that_is_skipped_lets_the_next_one_go() -> None:
    stage = Stage(PLANS["when"])
    stage.succeed("a", ok=False)
    assert states(stage) == {"a": "succeeded", "b": "skipped", "c": "ready"}


@pytest.mark.parametrize(("ok", "moves"), [(True, (READY, True)), (False, (StepStatus.SKIPPED, False))])
def test_what_a_condition_came_to_stands_in_the_record(ok: bool, moves: tuple[StepStatus, bool]) -> None:
    stage = Stage(PLANS["when"])
    stage.succeed("a", ok=ok)
    told = [(move.to, move.when) for event in stage.events for move in event.moves if move.step == "b"]
    assert told == [moves]


def test_a_failure_beside_a_waiting_branch_closes_the_run_with_the_failure_as_its_reason() -> None:
    stage = Stage(plan_of({"id": "a", **ASIDE}, {"id": "b", **ASIDE}))
    stage.fail("a", TRANSIENT)
    stage.fail("b", ErrorCategory.CANCELED, "the holder gave up")
    assert (stage.run.closed, stage.run.category) == (Status.FAILED, ErrorCategory.CANCELED)
    assert stage.run.reason == "b: the holder gave up"
