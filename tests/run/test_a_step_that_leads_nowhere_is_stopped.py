"""A step is stopped when it learns nothing more or reaches a limit; what it is told names which, and who may lift it."""

from typing import Any

import pytest
from msgspec.structs import replace
from run_kit import ASIDE, METERED, SECOND, WRITE, Stage, plan_of

from bailiwick.base import Digest, Instant
from bailiwick.contract import EffectClass
from bailiwick.run import Call, CallState, Journal, Park, Resume, stalled

GO_ON = "an operator may let it go on: bailiwick runs resume run_1"


def stage_with(**limits: int) -> Stage:
    stage = Stage(plan_of({"id": "a", "limits": limits, **ASIDE}, {"id": "b", **ASIDE}))
    stage.claim("a")
    return stage


def action(stage: Stage, n: int, *, step: str = "a", effect: EffectClass = METERED, **rest: Any) -> Call:
    """Make one of the actions of a step; equal ones have equal digests, and a key for each time."""
    times = sum(call.digest[0] == str(n) for call in stage.run.calls.values())
    call = stage.proposal(step, effect, CallState.INTENDED, **rest)
    return replace(call, key=f"eff_{n}_{times}", n=times + 1, digest=Digest(str(n) * 64))


def asks(stage: Stage, n: int = 9, *, model: str = "", unjournaled: int = 0) -> str:
    """Ask as the gate does, before the action is journaled."""
    call = action(stage, n, model=model)
    return stalled(stage.run, stage.plan, stage.step("a"), call, stage.at, unjournaled=unjournaled)


def act(
    stage: Stage,
    n: int,
    *,
    outcome: str = "",
    tree: str = "",
    tokens: int = 0,
    done: bool = True,
    **rest: Any,
) -> None:
    call = action(stage, n, **rest)
    stage.do(Journal(call))
    state = CallState.DONE if done else CallState.FAILED
    stage.settle(call.key, state, outcome_digest=(outcome or str(n)) * 64, tree=tree, tokens=tokens)


def test_a_limit_on_calls_counts_tools_alone() -> None:
    stage = stage_with(calls=2)
    for n in (1, 2):
        assert asks(stage) == ""
        act(stage, n)
    assert asks(stage) == f"limit reached: 2 calls of at most 2 in step a; {GO_ON}"
    assert asks(stage, model="m") == ""


def test_calls_on_their_way_count_and_those_of_other_steps_do_not() -> None:
    stage = stage_with(calls=2)
    stage.claim("b")
    for step, n in (("b", 5), ("a", 1)):
        stage.do(Journal(action(stage, n, step=step)))
    assert asks(stage) == ""
    assert asks(stage, unjournaled=1) == f"limit reached: 2 calls of at most 2 in step a; {GO_ON}"


def test_a_limit_on_model_turns_counts_models_alone() -> None:
    stage = stage_with(model_turns=2)
    for n in (1, 2):
        assert asks(stage, model="m") == ""
        act(stage, n, model="m")
    assert asks(stage, model="m") == f"limit reached: 2 model turns of at most 2 in step a; {GO_ON}"
    assert asks(stage) == ""


def test_a_limit_on_tokens_adds_up_what_models_used() -> None:
    stage = stage_with(tokens=100)
    act(stage, 1, model="m", tokens=60)
    assert asks(stage, model="m") == ""
    act(stage, 2, model="m", tokens=60)
    assert asks(stage, model="m") == f"limit reached: 120 tokens of at most 100 in step a; {GO_ON}"
    assert asks(stage) == ""


@pytest.mark.parametrize("model", ["", "m"])
def test_a_limit_on_seconds_counts_the_time_in_a_worker_s_hands(model: str) -> None:
    stage = stage_with(seconds=3)
    stage.do(Park("a", stage.step("a").epoch, "halted"))
    stage.at = Instant(stage.at + 100 * SECOND)
    stage.do(Resume("bob", "a"))
    stage.claim("a")
    assert asks(stage, model=model) == ""
    stage.at = Instant(stage.at + 2 * SECOND)
    assert asks(stage, model=model) == f"limit reached: 3 seconds of at most 3 in step a; {GO_ON}"


def test_an_action_that_teaches_nothing_is_stopped_after_its_repeats_and_only_that_one() -> None:
    stage = stage_with(repeats=2)
    for _ in range(3):
        assert asks(stage, 1) == ""
        act(stage, 1)
    assert asks(stage, 1) == (
        "no progress: look@1.0.0 (action 111111111111) came 2 times again in the same state and nothing new was"
        f" learned; look at what the step asks for, then {GO_ON}"
    )
    assert asks(stage, 2) == ""
    assert asks(stage, 1, model="m") == "", "of a model nothing is learned by its words"


NEWS: dict[str, dict[str, Any]] = {
    "an outcome not seen before": {"n": 2, "outcome": "5"},
    "a write done for the first time": {"n": 3, "outcome": "1", "effect": WRITE},
}


@pytest.mark.parametrize("news", NEWS.values(), ids=NEWS)
def test_after_something_new_counting_begins_anew(news: dict[str, Any]) -> None:
    stage = stage_with(repeats=2)
    for _ in range(3):
        act(stage, 1)
    assert asks(stage, 1).startswith("no progress: ")
    act(stage, **news)
    for _ in range(2):
        assert asks(stage, 1) == ""
        act(stage, 1)
    assert asks(stage, 1).startswith("no progress: look@1.0.0 (action 111111111111) came 2 times")


OLD: dict[str, dict[str, Any]] = {
    "an outcome seen before": {"n": 2, "outcome": "1"},
    "words of a model": {"n": 2, "outcome": "5", "model": "m"},
    "a write that failed": {"n": 3, "outcome": "1", "effect": WRITE, "done": False},
}


@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
def test_what_teaches_nothing_lets_counting_go_on(old: dict[str, Any]) -> None:
    stage = stage_with(repeats=2)
    for _ in range(3):
        act(stage, 1)
    act(stage, **old)
    assert asks(stage, 1).startswith("no progress: look@1.0.0 (action 111111111111) came 2 times")


def test_in_another_tree_the_same_action_is_another_try() -> None:
    stage = stage_with(repeats=1)
    for _ in range(2):
        act(stage, 1)
    assert asks(stage, 1).startswith("no progress: ")
    act(stage, 2, outcome="1", tree="c" * 64)
    assert stage.run.tree == "c" * 64
    assert asks(stage, 1) == ""


def test_a_person_s_go_on_begins_the_counting_anew_and_a_halt_s_end_does_not() -> None:
    stage = stage_with(calls=1)
    act(stage, 1)
    for reason, after in (("halted", False), (asks(stage), True)):
        stage.do(Park("a", stage.step("a").epoch, reason))
        stage.do(Resume("bob", "a"))
        stage.claim("a")
        assert (asks(stage) == "") is after
