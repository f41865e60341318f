"""A compensation that cannot be done waits for a person, who says that it was done by hand, and of what is known only."""

from typing import Any, ClassVar

from run_kit import CONTRACTS, METERED, PLANS, WRITE, Stage, finish

from bailiwick.base import Category, Refusal
from bailiwick.contract import Contract
from bailiwick.run import (
    CallMoved,
    CallState,
    Cancel,
    NotAllowed,
    OutcomeUnknown,
    Park,
    Resolve,
    Rollback,
    Status,
    StepStatus,
    decided_again,
)

DONE, FAILED, UNKNOWN = CallState.DONE, CallState.FAILED, CallState.UNKNOWN


class Gone(Refusal):
    code: ClassVar[str] = "gone"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, name: str) -> None:
        super().__init__(f"nobody offers {name} any more", remedy="offer it again", name=name)


class Offered(dict[str, Contract]):
    """Contracts, of which what is missing is gone."""

    def __missing__(self, name: str) -> Contract:
        raise Gone(name)


def rolling(contracts: dict[str, Contract] | None = None) -> Stage:
    stage = Stage(PLANS["undo"])
    stage.succeed("a", ok=False)
    stage.do(Cancel("ann"))
    if contracts:
        stage.contracts = Offered(contracts)
    stage.do(Rollback("ann", "it was wrong"))
    return stage


def test_a_compensation_whose_tool_is_gone_waits_for_a_person() -> None:
    stage = rolling({name: one for name, one in CONTRACTS.items() if not name.startswith("undo")})
    undo = stage.step("a~undo")
    assert undo.status is StepStatus.BLOCKED
    assert "undo@1.0.0" in undo.reason
    assert undo.reason.endswith("or undo it by hand and resolve this step as done")
    assert stage.run.status is Status.BLOCKED
    stage.do(Resolve("a~undo", "bob", DONE, reason="called them"), {"outcome": {}})
    assert stage.step("a~undo").reason == "done by hand: bob: called them"
    assert stage.run.closed is Status.ROLLED_BACK


def test_what_a_compensation_has_on_its_way_must_be_said_before_it_is_done_by_hand() -> None:
    stage = rolling()
    stage.claim("a~undo")
    key = stage.dispatch("a~undo", WRITE)
    stage.do(Park("a~undo", stage.step("a~undo").epoch, "halted"))
    events = stage.do(Resolve("a~undo", "bob", DONE, reason="called them"), {"outcome": {}})
    assert (stage.call(key).state, stage.step("a~undo").status) == (UNKNOWN, StepStatus.BLOCKED)
    assert [event.at for event in events if isinstance(event, CallMoved)] == [stage.at]
    refusal = stage.refuses(Resolve("a~undo", "bob", DONE), OutcomeUnknown)
    assert refusal.facts == {"run": "run_1", "step": "a~undo", "key": key, "capability": "write@1.0.0"}
    stage.do(Resolve(key, "bob", DONE), {"outcome": {}})
    assert finish(stage) is Status.ROLLED_BACK


def test_a_hand_that_did_nothing_resolves_nothing() -> None:
    stage = rolling()
    stage.claim("a~undo")
    stage.do(Park("a~undo", stage.step("a~undo").epoch, "halted"))
    refusal = stage.refuses(Resolve("a~undo", "bob", FAILED), NotAllowed)
    facts: dict[str, Any] = {"command": "resolve", "state": "blocked", "run": "run_1", "of": "a~undo"}
    assert refusal.facts == facts


def test_what_was_done_by_hand_is_found_again_with_who_said_what() -> None:
    stage = rolling()
    stage.claim("a~undo")
    stage.do(Park("a~undo", stage.step("a~undo").epoch, "halted"))
    for said in ("called them", ""):
        before, command = stage.run, Resolve("a~undo", "bob", DONE, reason=said)
        again = decided_again(before, stage.plan, _decide(stage, command), stage.sight())
        assert (again.agrees, again.command) == (True, command)


def _decide(stage: Stage, command: Resolve) -> Any:
    run, events, at = stage.run, stage.events, stage.at
    found = stage.do(command, {"outcome": {}})
    stage.run, stage.events, stage.at = run, events, at
    return found


def test_only_a_write_of_the_pivot_itself_is_the_point_of_no_return() -> None:
    stage = Stage(PLANS["undo up to a pivot"])
    stage.claim("a")
    stage.settle(stage.dispatch("a", WRITE))
    stage.succeed("a")
    stage.claim("b")
    stage.settle(stage.dispatch("b", METERED, n=2))
    stage.fail("b")
    stage.do(Rollback("ann", "it was wrong"))
    assert finish(stage) is Status.ROLLED_BACK
