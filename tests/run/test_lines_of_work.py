"""Steps that run beside each other work on lines of their own, and a step begins with all that went before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace
from run_kit import ASIDE, FREE, PLANS, UNTIL, WRITE, Stage, plan_of

from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    END,
    CallState,
    Choose,
    NotAllowed,
    NotOfTheConflict,
    Outdated,
    Resume,
    Status,
    StepStatus,
    StillInConflict,
)

JOIN = PLANS["parallel"]
OPEN = plan_of({"id": "a", **ASIDE}, {"id": "b", **ASIDE})


def lines(plan, **fields) -> Stage:
    return Stage(plan, edition=2, **fields)


def write(stage: Stage, name: str, path: str, text: str | None = "") -> None:
    """Write a file, or remove it (None), on the line of a step."""
    stage.write(name, path, text)


def files(stage: Stage, tree: str) -> dict[str, str]:
    return stage.files(tree)


def work(stage: Stage, name: str, **wrote: str | None) -> None:
    stage.claim(name)
    for path, text in wrote.items():
        write(stage, name, path, text)
    stage.succeed(name)


def test_a_step_begins_with_what_all_before_it_wrote() -> None:
    stage = lines(JOIN)
    stage.claim("a")
    stage.claim("b")
    write(stage, "a", "x", "1")
    write(stage, "b", "y", "2")
    write(stage, "a", "z", "3")
    stage.succeed("a")
    stage.succeed("b")
    assert files(stage, stage.step("c").tree_before) == {"x": "1", "y": "2", "z": "3"}
    assert stage.step("c").joined == ("a", "b")
    stage.succeed("c")
    assert (stage.run.status, files(stage, stage.run.tree)) == (
        Status.COMPLETED,
        {"x": "1", "y": "2", "z": "3"},
    )


def test_with_no_step_after_them_the_end_of_the_run_joins() -> None:
    stage = lines(OPEN)
    work(stage, "a", x="1")
    work(stage, "b", y="2")
    assert stage.run.status is Status.COMPLETED
    assert stage.step(END).joined == ("a", "b")
    assert files(stage, stage.run.tree) == {"x": "1", "y": "2"}


def test_a_block_leaves_what_its_steps_left() -> None:
    stage = lines(
        plan_of(
            {"id": "first"},
            {"id": "outer", "do": [{"id": "a", **ASIDE}, {"id": "b", **ASIDE}]},
            {"id": "last"},
        )
    )
    work(stage, "first", w="0")
    work(stage, "outer.a", x="1")
    work(stage, "outer.b", y="2")
    assert stage.step("outer").joined == ("outer.a", "outer.b")
    assert files(stage, stage.step("last").tree_before) == {"w": "0", "x": "1", "y": "2"}


def test_a_turn_begins_with_the_joined_end_of_the_one_before() -> None:
    loop = {"id": "build", "do": [{"id": "code", **ASIDE}, {"id": "test", **ASIDE}], "repeat": UNTIL}
    stage = lines(plan_of(loop))
    work(stage, "build[1].code", x="1")
    stage.claim("build[1].test")
    write(stage, "build[1].test", "y", "2")
    stage.succeed("build[1].test", ok=False)
    assert files(stage, stage.step("build[2].code").tree_before) == {"x": "1", "y": "2"}
    work(stage, "build[2].code", x="3")
    stage.succeed("build[2].test")
    assert files(stage, stage.run.tree) == {"x": "3", "y": "2"}


def test_a_repeated_step_goes_on_from_its_last_turn() -> None:
    stage = lines(PLANS["loop of one"])
    stage.claim("poll[1]")
    write(stage, "poll[1]", "x", "1")
    stage.succeed("poll[1]", ok=False)
    work(stage, "poll[2]", y="2")
    assert files(stage, stage.step("end").tree_before) == {"x": "1", "y": "2"}


def test_steps_one_after_the_other_merge_nothing() -> None:
    stage = lines(PLANS["sequence"])
    work(stage, "a", x="1")
    work(stage, "b", x="2")
    work(stage, "c", y="3")
    assert stage.merged == 0
    assert files(stage, stage.run.tree) == {"x": "2", "y": "3"}
    assert END not in stage.run.steps


def test_equal_writes_side_by_side_are_no_conflict() -> None:
    stage = lines(JOIN)
    work(stage, "a", x="1", y="a")
    work(stage, "b", x="1")
    assert files(stage, stage.step("c").tree_before) == {"x": "1", "y": "a"}


def test_different_writes_side_by_side_block_the_joining_step_and_name_paths_and_writers() -> None:
    stage = lines(JOIN)
    work(stage, "a", x="1", only="a")
    work(stage, "b", x="2")
    step = stage.step("c")
    assert (step.status, step.category) == (StepStatus.BLOCKED, ErrorCategory.CONFLICT)
    assert "x (a, b)" in step.reason
    assert "only" not in step.reason
    assert "runs resolve run_1 'c' --take STEP" in step.reason
    assert stage.run.status is Status.BLOCKED
    stage.do(Resume("ann"))
    assert stage.step("c").category is ErrorCategory.CONFLICT, "to go on is no choice"


@pytest.mark.parametrize("gone", ["x", "x/y"])
def test_a_removal_beside_a_write_and_a_file_beside_a_folder_conflict(gone: str) -> None:
    stage = lines(plan_of({"id": "first"}, *({"id": n, "after": ["first"], "reason": "r"} for n in "ab")))
    work(stage, "first", **{gone: "0"})
    stage.claim("a")
    write(stage, "a", gone, None)
    write(stage, "a", "x" if gone == "x/y" else "x/y", "1")
    stage.succeed("a")
    work(stage, "b", **{gone: "2"})
    assert stage.step(END).category is ErrorCategory.CONFLICT
    assert f"{gone} (a, b)" in stage.step(END).reason


def test_a_later_write_over_an_earlier_one_is_no_conflict_beside_a_step_that_kept_it() -> None:
    plan = plan_of(
        {"id": "a"},
        {"id": "b", "after": ["a"], "reason": "r"},
        {"id": "c", "after": ["a"], "reason": "r"},
        {"id": "d", "after": ["b", "c"]},
    )
    stage = lines(plan)
    work(stage, "a", x="1")
    work(stage, "b", x="2")
    work(stage, "c", y="3")
    assert files(stage, stage.step("d").tree_before) == {"x": "2", "y": "3"}


@pytest.mark.parametrize("take", ["a", "b"])
def test_a_person_takes_what_one_step_left(take: str) -> None:
    stage = lines(JOIN)
    work(stage, "a", x="1", only="a")
    work(stage, "b", x="2")
    stage.refuses(Choose("c", "ann", take="c"), NotOfTheConflict)
    stage.do(Choose("c", "ann", take=take))
    assert files(stage, stage.step("c").tree_before) == {"x": "1" if take == "a" else "2", "only": "a"}
    stage.refuses(Choose("c", "ann", take=take), NotAllowed)
    stage.succeed("c")
    assert stage.run.status is Status.COMPLETED


def test_to_take_a_party_to_some_of_the_paths_settles_not_all() -> None:
    stage = lines(plan_of(*({"id": name, **ASIDE} for name in "abc")))
    work(stage, "a", x="1")
    work(stage, "b", x="2", y="2")
    work(stage, "c", y="3", z="3")
    refused = stage.refuses(Choose(END, "ann", take="a"), StillInConflict)
    assert "y (b, c)" in refused.message
    stage.do(Choose(END, "ann", take="b"))
    assert files(stage, stage.run.tree) == {"x": "2", "y": "2", "z": "3"}


def test_a_choice_holds_in_every_later_join() -> None:
    plan = plan_of(
        {"id": "a", **ASIDE},
        {"id": "b", **ASIDE},
        {"id": "c", "after": ["a", "b"], "reason": "r"},
        {"id": "d", "after": ["b"], "reason": "r"},
        {"id": "e", "after": ["c", "d"]},
    )
    stage = lines(plan)
    work(stage, "a", x="1")
    work(stage, "b", x="2")
    stage.do(Choose("c", "ann", take="a"))
    stage.succeed("c")
    work(stage, "d", y="3")
    assert files(stage, stage.step("e").tree_before) == {"x": "1", "y": "3"}


def test_a_person_chooses_for_a_block_a_turn_and_the_run() -> None:
    inner = [{"id": "code", **ASIDE}, {"id": "test", **ASIDE}]
    stage = lines(plan_of({"id": "build", "do": inner, "repeat": UNTIL}))
    other = stage.tree_of({"z": "9"})
    work(stage, "build[1].code", x="1")
    stage.claim("build[1].test")
    write(stage, "build[1].test", "x", "2")
    stage.succeed("build[1].test", ok=False)
    assert stage.step("build").category is ErrorCategory.CONFLICT
    stage.do(Choose("build", "ann", other))
    assert stage.step("build[2].code").tree_before == other
    work(stage, "build[2].code", x="3")
    work(stage, "build[2].test", x="4")
    stage.do(Choose("build", "ann", take="build[2].test"))
    assert stage.run.status is Status.COMPLETED
    assert files(stage, stage.run.tree) == {"z": "9", "x": "4"}
    end = lines(OPEN)
    work(end, "a", x="1")
    work(end, "b", x="2")
    assert end.step(END).status is StepStatus.BLOCKED
    end.do(Choose(END, "ann", take="b"))
    assert (end.run.status, files(end, end.run.tree)) == (Status.COMPLETED, {"x": "2"})


def test_a_retry_begins_with_its_own_tree_whatever_others_wrote() -> None:
    stage = lines(plan_of({"id": "a", **ASIDE, "retry": {"on": ["transient"]}}, {"id": "b", **ASIDE}))
    stage.claim("a")
    write(stage, "a", "x", "1")
    work(stage, "b", y="2")
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.step("a").tree_after == ""
    work(stage, "a", z="3")
    assert files(stage, stage.run.tree) == {"y": "2", "z": "3"}


def test_a_retry_keeps_the_workspace_of_what_it_did_outside() -> None:
    stage = lines(PLANS["retry"])
    stage.claim("a")
    write(stage, "a", "x", "1")
    key = stage.dispatch("a", WRITE, base=stage.step("a").tree_after)
    stage.settle(key, tree=stage.tree_of({"x": "1", "sent": "yes"}))
    write(stage, "a", "y", "2")
    stage.fail("a", ErrorCategory.TRANSIENT)
    stage.claim("a")
    write(stage, "a", "z", "3")
    assert files(stage, stage.step("a").tree_after) == {"x": "1", "sent": "yes", "z": "3"}


def test_nothing_is_stored_over_newer_work() -> None:
    stage = lines(JOIN)
    stage.claim("a")
    write(stage, "a", "x", "1")
    late = stage.proposal("a", FREE, CallState.DONE, n=99, base="", tree=stage.tree_of({"y": "2"}))
    with pytest.raises(Outdated):
        stage.journal("a", FREE, CallState.DONE, n=99, base="", tree=late.tree)
    with pytest.raises(Outdated):
        stage.journal("a", FREE, CallState.DONE, n=98, base=None, tree=late.tree)
    key = stage.dispatch("a", WRITE, base=stage.step("a").tree_after)
    write(stage, "a", "z", "3")
    with pytest.raises(Outdated):
        stage.settle(key, tree=late.tree)


def test_a_run_from_before_goes_on_with_its_one_line() -> None:
    stage = Stage(JOIN)
    stage.claim("a")
    stage.claim("b")
    stage.journal("a", FREE, CallState.DONE, n=1, tree="t1")
    stage.succeed("a")
    stage.succeed("b")
    assert (stage.step("c").tree_before, stage.run.tree) == (None, "t1")


@given(some.permutations(["a", "b", "c"]))
def test_the_order_in_which_steps_end_makes_no_difference(order: list[str]) -> None:
    stage = lines(plan_of(*({"id": name, **ASIDE} for name in "abc"), {"id": "end", "after": list("abc")}))
    for name in order:
        stage.claim(name)
    for name in order:
        write(stage, name, name, name)
        stage.succeed(name)
    assert files(stage, stage.step("end").tree_before) == {name: name for name in "abc"}
    assert replace(stage.step("end"), since=0).joined == ("a", "b", "c")
