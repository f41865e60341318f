"""The tables of the machine: how a run's state follows from its steps, and what each state takes."""

import itertools
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from run_kit import FREE, MAIL, METERED, PLANS, WRITE, Stage
from run_model import Model

from bailiwick.base import Instant, Refusal
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run import (
    TERMINAL,
    CallState,
    Cancel,
    Claim,
    Command,
    Escalate,
    Fail,
    Grant,
    Journal,
    Move,
    Park,
    PassDeadline,
    PastPivot,
    Reject,
    Release,
    Resolve,
    Resume,
    Rollback,
    Settle,
    Status,
    StepsMoved,
    StepStatus,
    Succeed,
    Wait,
    WaitKind,
    evolve,
    state_table,
)

# --- the derivation -----------------------------------------------------------------------------------------------------

APPROVAL = Wait(WaitKind.APPROVAL, ref="apr_1")
WAITS = {kind: Move("x", StepStatus.WAITING, wait=Wait(kind, Instant(5), "r")) for kind in WaitKind}
READY = Move("x", StepStatus.READY)
RUNNING = Move("x", StepStatus.RUNNING, epoch=1, session="ses_1")
BLOCK = Move("x", StepStatus.RUNNING)
BLOCKED = Move("x", StepStatus.BLOCKED, reason="why")
ASKING = Move("x", StepStatus.WAITING, wait=APPROVAL)
OVER = Move("x", StepStatus.SUCCEEDED)
SPEAK = {
    READY: 3,
    RUNNING: 3,
    BLOCKED: 2,
    ASKING: 1,
    BLOCK: 0,
    OVER: 0,
    **{move: 1 if kind is WaitKind.APPROVAL else 3 for kind, move in WAITS.items()},
}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(SPEAK, repeat=2)))
def test_a_run_is_active_while_a_step_is_else_blocked_else_waiting_for_people(
    first: Move, second: Move
) -> None:
    run = Stage(PLANS["sequence"]).run
    moves = (Move("a", StepStatus.SUCCEEDED), replace(first, step="one"), replace(second, step="two"))
    run = evolve(run, StepsMoved(Instant(1), moves))
    loudest = max(SPEAK[first], SPEAK[second])
    expected = {2: Status.BLOCKED, 1: Status.WAITING_FOR_APPROVAL}.get(loudest, Status.EXECUTING)
    assert run.status is expected


def test_the_active_state_follows_the_system_steps() -> None:
    stage = Stage(PLANS["planner and context"])
    seen = [stage.run.status]
    for act in (
        lambda: stage.claim("$context"),
        lambda: stage.succeed("$context"),
        lambda: stage.claim("$plan"),
        lambda: stage.do(Release("$plan", 1, "the session ended")),
        lambda: stage.succeed("$plan"),
    ):
        act()
        seen.append(stage.run.status)
    created, loaded, planning = Status.CREATED, Status.CONTEXT_LOADED, Status.PLANNING
    assert seen == [created, created, loaded, planning, planning, Status.EXECUTING]


@pytest.mark.parametrize("step", ["$context", "$plan", "a"])
def test_every_active_state_can_be_left_for_people_and_comes_back(step: str) -> None:
    stage = Stage(PLANS["planner and context"])
    for earlier in ("$context", "$plan", "a"):
        if earlier == step:
            break
        stage.succeed(earlier)
    epoch = stage.claim(step)
    active = stage.run.status
    stage.do(Park(step, epoch, "halted"))
    assert stage.run.status is Status.BLOCKED
    stage.do(Resume("bob"))
    stage.claim(step)
    assert stage.run.status is active
    key = stage.journal(step, FREE, CallState.HELD)
    assert stage.run.status is Status.WAITING_FOR_APPROVAL
    stage.do(Grant(key, "bob"))
    assert stage.run.status is active


# --- what each state takes -----------------------------------------------------------------------------------------------


def at_work(plan: str = "retry") -> Stage:
    stage = Stage(PLANS[plan])
    stage.claim("a")
    return stage


def with_action(effect: EffectClass, *settled: CallState) -> Stage:
    stage = at_work()
    key = stage.dispatch("a", effect)
    for state in settled:
        stage.settle(key, state)
    return stage


def holding(*commands: Callable[[str], Command]) -> Stage:
    stage = at_work()
    key = stage.journal("a", MAIL, CallState.HELD)
    for command in commands:
        stage.do(command(key))
    return stage


def led(stage: Stage, *commands: Command) -> Stage:
    for command in commands:
        stage.do(command)
    return stage


def rolling() -> Stage:
    stage = Stage(PLANS["undo"])
    stage.succeed("a", ok=False)
    stage.do(Cancel("ann"))
    stage.do(Rollback("ann", "it was wrong"))
    return stage


def past_the_pivot() -> Stage:
    stage = Stage(PLANS["undo up to a pivot"])
    for name in ("a", "b", "c"):
        stage.succeed(name)
    return stage


def past_the_write_of_a_pivot() -> Stage:
    stage = Stage(PLANS["undo up to a pivot"])
    stage.succeed("a")
    stage.claim("b")
    stage.settle(stage.dispatch("b", WRITE))
    stage.fail("b")
    return stage


@pytest.mark.parametrize("past", [past_the_pivot, past_the_write_of_a_pivot])
def test_past_its_pivot_a_run_is_not_rolled_back(past: Callable[[], Stage]) -> None:
    past().refuses(Rollback("ann"), PastPivot)


def test_the_deadline_of_a_run_that_is_rolled_back_passes_unnoticed() -> None:
    assert rolling().do(PassDeadline()) == ()


SITUATIONS: dict[str, Callable[[], Stage]] = {
    "created": lambda: Stage(PLANS["planner and context"]),
    "ready": lambda: Stage(PLANS["retry"]),
    "running": at_work,
    "waiting to be retried": lambda: led(at_work(), Fail("a", 1, ErrorCategory.TRANSIENT, "broke")),
    "second attempt": lambda: led(
        with_action(METERED, CallState.DONE),
        Fail("a", 1, ErrorCategory.TRANSIENT, "x"),
        Claim("a", 2, "ses_1"),
    ),
    "second attempt, write done": lambda: led(
        with_action(WRITE, CallState.DONE), Fail("a", 1, ErrorCategory.TRANSIENT, "x"), Claim("a", 2, "ses_1")
    ),
    "parked": lambda: led(at_work(), Park("a", 1, "halted")),
    "a model call on its way": lambda: with_action(METERED),
    "a write on its way": lambda: with_action(WRITE),
    "a write to repeat": lambda: led(with_action(WRITE), Release("a", 1, "gone"), Claim("a", 2, "ses_2")),
    "a mail on its way": lambda: with_action(MAIL),
    "done": lambda: with_action(MAIL, CallState.DONE),
    "failed": lambda: with_action(WRITE, CallState.FAILED),
    "canceled": lambda: with_action(METERED, CallState.CANCELED),
    "lost": lambda: with_action(METERED, CallState.LOST),
    "unknown": lambda: with_action(MAIL, CallState.UNKNOWN),
    "held": holding,
    "granted": lambda: holding(lambda key: Grant(key, "bob")),
    "granted and taken": lambda: holding(lambda key: Grant(key, "bob"), lambda _: Claim("a", 2, "ses_2")),
    "a block": lambda: Stage(PLANS["nested"]),
    "asked to end": lambda: led(at_work(), Cancel("ann")),
    "asked to end, unknown": lambda: led(with_action(MAIL), Cancel("ann"), Release("a", 1, "gone")),
    "run completed": lambda: led(
        at_work(), Succeed("a", 1, "e" * 64), Claim("b", 1, "ses_1"), Succeed("b", 1, "e" * 64)
    ),
    "run failed": lambda: led(at_work(), Fail("a", 1, ErrorCategory.INTERNAL, "broke")),
    "run canceled": lambda: led(Stage(PLANS["retry"]), Cancel("ann")),
    "being undone": rolling,
    "an undo at work": lambda: led(rolling(), Claim("a~undo", 1, "ses_1")),
    "an undo failed": lambda: led(
        rolling(), Claim("a~undo", 1, "ses_1"), Fail("a~undo", 1, ErrorCategory.INTERNAL, "broke")
    ),
    "an undo by hand": lambda: led(
        with_action(MAIL, CallState.DONE), Fail("a", 1, ErrorCategory.INTERNAL, "x"), Rollback("ann")
    ),
    "rolled back while unknown": lambda: led(with_action(MAIL, CallState.UNKNOWN), Rollback("ann")),
    "rolled back": lambda: led(Stage(PLANS["retry"]), Cancel("ann"), Rollback("ann")),
    "past the pivot": past_the_pivot,
    "past the pivot, failed after its write": past_the_write_of_a_pivot,
}


def every_command(stage: Stage) -> list[Command]:
    run = stage.run
    commands: list[Command] = [
        Cancel("ann"),
        PassDeadline(),
        Resume("bob"),
        Resume("bob", "none"),
        Resume("bob", add=1),
        Rollback("ann", "it was wrong"),
    ]
    commands += [Resolve(name, "bob", state) for name in run.steps for state in CallState]
    for name, epoch in itertools.product([*run.steps, "none"], range(4)):
        commands += [
            Claim(name, epoch, "ses_3"),
            Succeed(name, epoch, "e" * 64),
            Fail(name, epoch, ErrorCategory.INTERNAL, "broke"),
            Release(name, epoch, "gone"),
            Park(name, epoch, "halted"),
        ]
    for key, state, epoch in itertools.product([*run.calls, "none"], CallState, range(4)):
        commands += [Settle(key, epoch, state), Resolve(key, "bob", state, despite=True)]
    for key in (*run.calls, "none"):
        commands += [Grant(key, "bob"), Reject(key, "bob", "no"), Escalate(key, ("chiefs",))]
    fresh = (
        [stage.proposal("a", effect, CallState.HELD, n=9) for effect in EffectClass]
        if "a" in run.steps
        else []
    )
    for call, state, epoch in itertools.product([*run.calls.values(), *fresh], CallState, range(4)):
        commands.append(Journal(replace(call, state=state, epoch=epoch)))
    return commands


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_command_is_taken_or_refused_by_the_table_and_a_refusal_changes_nothing(name: str) -> None:
    start = SITUATIONS[name]()
    for command in every_command(start):
        stage = SITUATIONS[name]()
        expected = Model(stage.run, stage.plan).refusal(command)
        before = stage.run
        try:
            stage.do(command, {"output": {"ok": True}})
        except Refusal as refusal:
            assert type(refusal) in expected, command
            assert stage.run is before
        else:
            assert not expected, command


def test_the_situations_are_in_all_the_states_that_can_be_reached() -> None:
    stages = [make() for make in SITUATIONS.values()]
    missing = (Status.CONTEXT_LOADED, Status.PLANNING)
    assert {stage.run.status for stage in stages} == set(Status) - set(missing)
    assert {call.state for stage in stages for call in stage.run.calls.values()} == set(CallState) - {
        "refused"
    }


# --- the table in the documentation ---------------------------------------------------------------------------------------


def rows(section: str) -> dict[str, str]:
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return {line.split("|")[1].strip(): line.split("|")[2].strip() for line in lines}


def test_the_table_has_every_state_and_says_what_cannot_be_reached_yet() -> None:
    run, step, action = (rows(section) for section in state_table().split("### ")[1:4])
    assert list(run) == [str(status) for status in Status]
    assert list(step) == [str(status) for status in StepStatus]
    assert list(action) == [str(state) for state in CallState]
    assert [name for name, cell in {**run, **step, **action}.items() if "not reachable yet" in cell] == []
    assert run["rolled-back"] == "nothing"
    assert all(run[status].startswith("Rollback (executing") for status in TERMINAL[:3])


def test_the_table_says_what_the_house_plan_says() -> None:
    run, step, action = (rows(section) for section in state_table().split("### ")[1:4])
    assert run["waiting-for-approval"].startswith(
        "Grant (executing); Reject (failed); Escalate (waiting-for-approval)"
    )
    assert action["unknown"] == "Resolve (done, failed)"
    assert action["done"] == "nothing"
    assert [state for state, cell in action.items() if "Escalate" in cell] == ["held"]
    assert "Escalate (held)" in action["held"]
    assert [name for name, cell in step.items() if "Escalate" in cell] == []
    assert "Resume (ready)" in step["blocked"]
    assert "Claim" not in run["blocked"]
    assert state_table() == state_table()
