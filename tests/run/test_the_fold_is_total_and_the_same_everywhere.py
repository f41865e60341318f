"""Folding never refuses, and the same commands give the same bytes in every process."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_kit import BEGUN, PLANS, WRITE, Stage, finish, rebuilt

import bailiwick.run
from bailiwick.base import Digest, Instant
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run import (
    Call,
    CallMoved,
    CallState,
    Cancel,
    Created,
    Event,
    Grant,
    Move,
    Offer,
    Release,
    Status,
    StepsMoved,
    StepStatus,
    Wait,
    WaitKind,
    decode_event,
    evolve,
    fold,
)

ROOM = Path(bailiwick.run.__file__).parent
SETTLED = st.sampled_from(["a", "build", "build[1].code", "$context", "$plan", "x.y[2]", "a~undo"])
NUMBER = st.integers(-3, 5)
INSTANTS = st.builds(Instant, st.integers(0, 9))
WAITS = st.none() | st.builds(Wait, st.sampled_from(WaitKind), INSTANTS, st.text(max_size=2))
CATEGORIES = st.none() | st.sampled_from(ErrorCategory)
MOVES = st.builds(
    Move,
    step=SETTLED,
    to=st.sampled_from(StepStatus),
    attempt=NUMBER,
    epoch=NUMBER,
    wait=WAITS,
    category=CATEGORIES,
    output=st.booleans(),
    tree=st.sampled_from(["", "t1"]),
    iteration=NUMBER,
    fallback=st.booleans(),
    call=st.sampled_from(["", "k1", "k9"]),
    attests=st.sampled_from(["", "d1"]),
    aside=NUMBER,
)
CALLS = st.builds(
    Call,
    key=st.sampled_from(["k1", "k2"]),
    step=SETTLED,
    attempt=NUMBER,
    n=NUMBER,
    digest=st.just(Digest("0")),
    capability=st.just("x@1.0.0"),
    contract=st.just(Digest("0")),
    effect=st.sampled_from(EffectClass),
    state=st.sampled_from(CallState),
    reserved=NUMBER,
    cost=NUMBER,
    epoch=NUMBER,
    tree=st.sampled_from(["", "t2"]),
)
MANY_MOVES = st.lists(MOVES, max_size=3).map(tuple)
EVENTS = st.one_of(
    st.builds(StepsMoved, INSTANTS, MANY_MOVES),
    st.builds(CallMoved, INSTANTS, CALLS, MANY_MOVES),
    st.builds(bailiwick.run.CancelRequested, INSTANTS, st.text(max_size=2), moves=MANY_MOVES),
    st.builds(bailiwick.run.DeadlinePassed, INSTANTS, MANY_MOVES),
    st.builds(bailiwick.run.AllotmentRaised, INSTANTS, st.just("bob"), NUMBER, MANY_MOVES),
    st.builds(bailiwick.run.RollbackRequested, INSTANTS, st.just("ann"), moves=MANY_MOVES),
    st.builds(bailiwick.run.Closed, INSTANTS, st.sampled_from(Status), CATEGORIES, moves=MANY_MOVES),
    st.just(Created("r2", "t2", "a", "w", "", "x", Digest("0"), "", 5, Instant(1), Instant(2))),
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=12))
def test_any_event_can_be_folded_into_any_state(events: list[Event]) -> None:
    run = Stage(PLANS["sequence"]).run
    for event in events:
        before, run = run, evolve(run, event)
        assert run.version == before.version + 1
        assert run.id == "run_1", "a run is opened once"
        assert all(run.steps[name].epoch >= step.epoch for name, step in before.steps.items())


@given(EVENTS)
def test_every_event_survives_its_bytes(event: Event) -> None:
    assert decode_event(msgspec.json.encode(event)) == event


def story() -> Stage:
    stage = Stage(PLANS["loop"], offer=Offer("ses_2", frozenset({"work@1", "look@1", "spare@1"})))
    stage.journal("build[1].code", WRITE, CallState.HELD)
    stage.do(Grant(next(iter(stage.run.calls)), "bob"))
    epoch = stage.claim("build[1].code")
    stage.do(Release("build[1].code", epoch, "the session ended"))
    stage.do(Release("build[1].code", stage.claim("build[1].code"), "again"))
    finish(stage)
    return stage


def test_a_stream_read_back_from_its_headers_folds_to_the_same_bytes() -> None:
    stage = story()
    assert stage.run.closed is Status.COMPLETED
    again = fold(rebuilt(stage.events))
    assert msgspec.json.encode(again) == msgspec.json.encode(stage.run)


def test_every_prefix_of_a_stream_is_a_state() -> None:
    stage = story()
    stage_events = stage.events
    assert fold(()) is None
    for length in range(1, len(stage_events) + 1):
        run = fold(stage_events[:length])
        assert run is not None
        assert run.version == length


def test_a_state_says_since_when_by_its_events_and_not_by_the_caller_s_clock() -> None:
    stage = Stage(PLANS["sequence"])
    assert stage.step("a").since == BEGUN


@pytest.mark.parametrize("seed", ["1", "2", "4242"])
def test_the_same_commands_give_the_same_bytes_under_every_hash_seed(seed: str) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import msgspec, test_the_fold_is_total_and_the_same_everywhere as here\n"
        "stage = here.story(); sys.stdout.buffer.write(msgspec.json.encode([stage.events, stage.run]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    stage = story()
    assert done.stdout == msgspec.json.encode([stage.events, stage.run])


def test_nothing_in_the_room_makes_a_set() -> None:
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not isinstance(node, ast.Set | ast.SetComp), f"{path.name}:{node.lineno}"
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in ("set", "frozenset"), f"{path.name}: {called}"


def test_a_second_request_to_cancel_changes_nothing() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    stage.do(Cancel("ann"))
    before = stage.run
    assert stage.do(Cancel("bob")) == ()
    assert stage.run is before
