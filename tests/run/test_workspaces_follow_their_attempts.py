"""Which tree a step works on: a resume keeps the last one, a retry restores its own, a turn goes on from the last."""

import pytest
from run_kit import ASIDE, FREE, PLANS, WRITE, Stage, plan_of

from bailiwick.contract import ErrorCategory
from bailiwick.run import CallState, Release, Resume

TWO = plan_of({"id": "a", **ASIDE}, {"id": "b", **ASIDE})


def write(stage: Stage, name: str, tree: str) -> None:
    """Change the workspace only: a free call whose outcome names the new tree."""
    stage.journal(name, FREE, CallState.DONE, n=int(tree[1:]), tree=tree)


@pytest.mark.parametrize("before", ["t0", ""])
def test_a_resume_keeps_the_last_recorded_tree_and_a_retry_restores_its_own(before: str) -> None:
    stage = Stage(PLANS["retry"], tree=before)
    stage.claim("a")
    write(stage, "a", "t1")
    stage.do(Release("a", 1, "the session ended"))
    stage.claim("a")
    assert stage.run.tree == "t1"
    write(stage, "a", "t2")
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.run.tree == before
    stage.claim("a")
    write(stage, "a", "t3")
    stage.do(Release("a", stage.step("a").epoch, "the session ended"))
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.run.tree == before


def test_a_person_s_retry_restores_the_tree_too() -> None:
    stage = Stage(PLANS["a person decides"], tree="t0")
    stage.claim("a")
    write(stage, "a", "t1")
    stage.fail("a", ErrorCategory.INTERNAL)
    assert stage.run.tree == "t1", "what was made is kept until somebody decides"
    stage.do(Resume("bob"))
    assert stage.run.tree == "t0"


def test_a_fallback_begins_with_the_tree_that_the_first_one_began_with() -> None:
    stage = Stage(PLANS["fallback"], tree="t0")
    stage.claim("a")
    write(stage, "a", "t1")
    stage.fail("a", ErrorCategory.INTERNAL)
    assert stage.run.tree == "t0"


def test_a_turn_goes_on_from_the_end_of_the_one_before() -> None:
    stage = Stage(PLANS["loop"], tree="t0")
    stage.claim("build[1].code")
    write(stage, "build[1].code", "t1")
    stage.succeed("build[1].code")
    stage.succeed("build[1].test", ok=False)
    stage.claim("build[2].code")
    assert (stage.run.tree, stage.step("build[2].code").tree_before) == ("t1", "t1")
    write(stage, "build[2].code", "t2")
    stage.fail("build[2].code", ErrorCategory.TRANSIENT)
    assert stage.run.tree == "t1"


def test_a_retry_takes_nothing_from_the_step_beside_it() -> None:
    stage = Stage(TWO, tree="t0")
    stage.claim("a")
    stage.claim("b")
    write(stage, "b", "t1")
    stage.succeed("b")
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.run.tree == "t1", "a changed nothing, so nothing of it is taken back"


def test_a_retry_keeps_what_another_step_has_written_over_it() -> None:
    stage = Stage(TWO, tree="t0")
    stage.claim("a")
    stage.claim("b")
    write(stage, "a", "t1")
    write(stage, "b", "t2")
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.run.tree == "t2"
    stage.claim("a")
    assert stage.step("a").tree_before == "t2"
    write(stage, "a", "t3")
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.run.tree == "t2"


def test_the_base_is_the_tree_that_the_context_left() -> None:
    stage = Stage(PLANS["planner and context"])
    stage.claim("$context")
    write(stage, "$context", "t1")
    assert stage.run.base_tree == ""
    stage.succeed("$context")
    stage.succeed("$plan")
    stage.claim("a")
    key = stage.dispatch("a", WRITE)
    stage.settle(key, tree="t2")
    assert (stage.run.base_tree, stage.run.tree) == ("t1", "t2")
