"""Why a step stands is a kind and a reference: logic reads these, and an older log's prose is read once, as it is folded."""

import ast
from pathlib import Path

import pytest
from msgspec.structs import replace
from run_kit import FREE, MAIL, PLANS, Stage

import bailiwick.run
import bailiwick.service
from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    CallState,
    Fail,
    Move,
    Park,
    Quarantine,
    Release,
    Resume,
    Standing,
    StandingKind,
    Step,
    StepsMoved,
    StepStatus,
    Wait,
    WaitKind,
    decided_again,
    evolve,
)

OLD = {
    "halted: hlt_01 (run run_1) by ann: stop it": Standing(StandingKind.HALT, "hlt_01"),
    "budget exhausted: 5 of 5 micro-USD; an operator may raise it": Standing(StandingKind.MONEY),
    "budget exhausted for its compensation: no; raise it": Standing(StandingKind.MONEY),
    "no progress: files.read@1.0.0 came 3 times again": Standing(StandingKind.PROGRESS),
    "limit reached: 9 calls of at most 9 in step a": Standing(StandingKind.PROGRESS),
    "outcome unknown: an operator must find out and resolve it": Standing(StandingKind.OUTCOME),
    "divergence: log and projection disagree: x": Standing(StandingKind.DIVERGENCE),
    "a person must decide: it broke": Standing(StandingKind.QUESTION),
    "model:m@1.0.0 is gone: retired; configure it, then: bailiwick runs resume R": Standing(
        StandingKind.CAPABILITY
    ),
    "the artifacts of this tenant take 9 bytes, and it may have 8; erase": Standing(StandingKind.ROOM),
    "halted": Standing(StandingKind.QUESTION),
    "": Standing(StandingKind.QUESTION),
}


def blocked(stage: Stage, move: Move) -> Step:
    return evolve(stage.run, StepsMoved(stage.run.updated_at, (move,))).steps["a"]


@pytest.mark.parametrize("reason", OLD)
def test_a_step_that_was_blocked_before_an_upgrade_stands_for_what_its_prose_says(reason: str) -> None:
    stage = Stage(PLANS["retry"])
    assert blocked(stage, Move("a", StepStatus.BLOCKED, reason=reason)).stands == OLD[reason]
    conflict = Move("a", StepStatus.BLOCKED, reason=reason, category=ErrorCategory.CONFLICT)
    assert blocked(stage, conflict).stands == Standing(StandingKind.CONFLICT)


@pytest.mark.parametrize("reason", OLD)
def test_what_an_event_says_holds_whatever_its_prose_looks_like(reason: str) -> None:
    told = Standing(StandingKind.CAPABILITY, "x@1.0.0")
    move = Move("a", StepStatus.BLOCKED, reason=reason, standing=told)
    assert blocked(Stage(PLANS["retry"]), move).stands == told


def test_a_reason_that_only_looks_like_a_stalled_step_lets_it_learn_nothing_anew() -> None:
    """A person's or a tool's words must not give a step its counts back."""
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    key = stage.dispatch("a")
    stage.settle(key, outcome_digest="f" * 64)
    before = stage.step("a").trail
    assert before.calls == 1
    stage.do(Park("a", epoch, "no progress: says the tool", Standing(StandingKind.CAPABILITY, "x@1.0.0")))
    stage.do(Resume("bob"))
    assert stage.step("a").trail.calls == 1


def stands(stage: Stage) -> Standing | None:
    return stage.step("a").stands


def test_every_way_of_standing_says_its_kind() -> None:
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    stage.journal("a", MAIL, CallState.HELD)
    assert stands(stage) == Standing(StandingKind.APPROVAL, "apr_1")
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    stage.do(Fail("a", epoch, ErrorCategory.TRANSIENT, "again"))
    assert stands(stage) == Standing(StandingKind.RETRY)
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    stage.dispatch("a", MAIL)
    stage.do(Release("a", epoch, "its worker is gone"))
    assert stands(stage) == Standing(StandingKind.OUTCOME)
    stage = Stage(PLANS["retry"])
    stage.do(Quarantine("divergence: x"))
    assert stands(stage) == Standing(StandingKind.DIVERGENCE)
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    assert stands(stage) is None
    for kind in WaitKind:
        move = Move("a", StepStatus.WAITING, wait=Wait(kind, ref="r"))
        assert blocked(stage, move).stands == Standing(StandingKind(kind), "r")


def test_an_older_log_without_kinds_is_decided_to_the_same() -> None:
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    stage.journal("a", FREE, CallState.DONE)
    before = stage.run
    stage.do(Park("a", epoch, "halted: hlt_1 (run run_1) by ann: stop", Standing(StandingKind.HALT, "hlt_1")))
    (event,) = stage.events[-1:]
    assert isinstance(event, StepsMoved)
    old = replace(event, moves=tuple(replace(move, standing=None) for move in event.moves))
    assert decided_again(before, stage.plan, (old,), stage.sight()).agrees
    assert evolve(before, old).steps["a"].stands == stage.step("a").stands
    forged = replace(
        event, moves=tuple(replace(move, standing=Standing(StandingKind.MONEY, "x")) for move in event.moves)
    )
    assert evolve(before, forged).steps["a"].stands != stage.step("a").stands


READS_PROSE = {("run", "again.py"), ("run", "standing.py")}
"""Reading older logs, and nothing else."""


def test_no_logic_reads_a_reason() -> None:
    """`x.reason.startswith(...)`, `... in x.reason` and the like are decisions by prose."""
    found = []
    for room in (bailiwick.run, bailiwick.service):
        (root,) = room.__path__
        for path in sorted(Path(root).rglob("*.py")):
            if (Path(root).name, path.name) in READS_PROSE:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                read = isinstance(node, ast.Attribute) and node.attr in _READERS and _is_reason(node.value)
                asked = isinstance(node, ast.Compare) and any(map(_is_reason, node.comparators))
                if (read or asked) and not (asked and _is_equality(node)):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


_READERS = (
    "startswith",
    "endswith",
    "partition",
    "rpartition",
    "removeprefix",
    "removesuffix",
    "split",
    "find",
)


def _is_reason(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "reason"


def _is_equality(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare) and all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
