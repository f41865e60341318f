"""What undoing a step may cost is set aside when the step begins, in all of its attempts once; or it does not begin."""

from run_kit import PLANS, Stage, finish, plan_of

from bailiwick.run import Cancel, Resume, Rollback, Status, StepStatus

UNDO = {"uses": "undo", "input": {}, "retry": {"on": ["transient"], "attempts": 2}}
PRICE = 30 * 2


def test_a_step_begins_with_the_price_of_its_undoing_set_aside() -> None:
    stage = Stage(plan_of({"id": "a", "compensate": UNDO}, {"id": "b"}), limit=1_000)
    assert (stage.step("a").aside, stage.run.allotment.reserved) == (PRICE, PRICE)
    stage.succeed("a")
    assert (stage.step("b").aside, stage.run.allotment.reserved) == (0, PRICE)


def test_a_block_sets_the_price_of_its_undoing_aside_once() -> None:
    block = {"id": "outer", "do": [{"id": "a"}, {"id": "b"}], "compensate": UNDO}
    stage = Stage(plan_of(block, {"id": "end"}), limit=1_000)
    stage.succeed("outer.a")
    assert (stage.step("outer").aside, stage.step("outer.b").aside) == (PRICE, 0)
    assert stage.run.allotment.reserved == PRICE


def test_what_could_not_be_paid_to_be_undone_does_not_begin_before_money_comes() -> None:
    stage = Stage(plan_of({"id": "a", "compensate": UNDO}, {"id": "b"}), limit=PRICE - 1)
    step = stage.step("a")
    assert (step.status, step.attempt, step.aside) == (StepStatus.BLOCKED, 1, 0)
    assert step.reason.startswith("budget exhausted for its compensation: ")
    assert step.reason.endswith("raise it: bailiwick runs resume run_1 --add-usd AMOUNT")
    stage.do(Resume("bob", add=1))
    assert (stage.step("a").status, stage.step("a").aside) == (StepStatus.READY, PRICE)
    assert finish(stage) is Status.COMPLETED


def test_a_step_keeps_what_it_said_when_it_is_undone() -> None:
    stage = Stage(PLANS["undo"])
    stage.succeed("a", ok=False)
    said = stage.step("a")
    assert (said.output_digest, said.output_seq > 0) == ("e" * 64, True)
    stage.do(Cancel("ann"))
    stage.do(Rollback("ann", "it was wrong"))
    stage.succeed("a~undo")
    undone = stage.step("a")
    assert undone.status is StepStatus.COMPENSATED
    assert (undone.output_digest, undone.output_seq) == (said.output_digest, said.output_seq)
