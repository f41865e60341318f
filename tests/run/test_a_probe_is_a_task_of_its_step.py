"""An action of unknown outcome is asked after by its probe: after the quarantine, by a task of its own step."""

import pytest
from msgspec.structs import replace
from run_kit import ASIDE, CONTRACTS, FREE, MAIL, PLANS, SECOND, WRITE, Stage, contract, plan_of

from bailiwick.base import Instant
from bailiwick.contract import EffectClass, ErrorCategory, Kind, ProbeAnswer
from bailiwick.run import (
    Call,
    CallState,
    Claim,
    Fail,
    Journal,
    LeaseLost,
    NotAllowed,
    Resume,
    Settle,
    Status,
    StepStatus,
    Succeed,
    WaitKind,
    capability_of,
)

SEEN = "seen@1.0.0"
ANSWERS = "f" * 64


def stage_of(plan=PLANS["retry"], *, step: str = "a") -> Stage:
    """Stand where the outcome of a mail is unknown, and what sends mails names a probe."""
    stage = Stage(plan)
    seen = contract("seen", kind=Kind.TOOL)
    mail = replace(CONTRACTS["mail@1.0.0"], probe="seen@1")
    stage.contracts = {**CONTRACTS, seen.ref: seen, mail.ref: mail}
    stage.claim(step)
    return stage


def lose(stage: Stage, step: str = "a", **rest: object) -> str:
    key = stage.dispatch(step, MAIL, **rest)
    stage.settle(key, CallState.UNKNOWN, reason="cut")
    return key


def after_quarantine(stage: Stage, key: str) -> None:
    stage.at = Instant(max(stage.at, stage.call(key).quarantine_until))


def ask(stage: Stage, step: str = "a", *, says: str, state: CallState = CallState.DONE, **told: str) -> Call:
    """Take the probe and record what it says; answers its own entry."""
    stage.do(Claim(step, stage.step(step).epoch + 1, "ses_7", SEEN))
    probe = stage.proposal(step, FREE, state, n=500 + stage.step(step).epoch, capability=SEEN)
    stage.do(Journal(probe, says, **told))
    return stage.call(probe.key)


def test_it_is_due_when_nothing_of_the_step_can_arrive_any_more() -> None:
    stage = stage_of()
    early = lose(stage)
    step = stage.step("a")
    assert (step.status, step.category, step.reason) == (
        StepStatus.BLOCKED,
        None,
        "outcome unknown: an operator must find out and resolve it",
    )
    assert step.wait is not None
    assert (step.wait.kind, step.wait.until, step.wait.ref) == (
        WaitKind.PROBE,
        stage.call(early).quarantine_until,
        early,
    )
    assert capability_of(stage.run, stage.plan, step) == SEEN


def test_it_keeps_the_category_with_which_its_step_came_to_a_stand() -> None:
    stage = stage_of(plan_of({"id": "a", "on_error": "human"}))
    key = stage.dispatch("a", MAIL)
    stage.do(Fail("a", 1, ErrorCategory.TRANSIENT, "the wire"))
    step = stage.step("a")
    assert (stage.call(key).state, step.status) == (CallState.UNKNOWN, StepStatus.BLOCKED)
    before = (step.category, step.reason, step.attempt)
    after_quarantine(stage, key)
    ask(stage, says="cannot-tell")
    step = stage.step("a")
    assert (step.category, step.reason, step.attempt) == before
    assert step.wait is not None
    assert step.wait.kind is WaitKind.PROBE


def test_nobody_takes_it_before_its_time() -> None:
    stage = stage_of()
    key = lose(stage)
    stage.at = Instant(stage.call(key).quarantine_until - 2 * SECOND)
    refusal = stage.refuses(Claim("a", 2, "ses_7"), NotAllowed)
    assert refusal.facts == {"command": "claim", "state": "in quarantine", "run": "run_1", "of": "a"}
    (taken,) = stage.do(Claim("a", 2, "ses_7", SEEN))
    assert [move.served for move in taken.moves] == [SEEN]
    step = stage.step("a")
    assert (step.status, step.epoch, step.session, step.call) == (StepStatus.RUNNING, 2, "ses_7", key)
    assert stage.call(key).probed == 1
    assert stage.call(key).state is CallState.UNKNOWN


def test_what_it_says_is_evidence_and_a_person_decides() -> None:
    stage = stage_of()
    key = lose(stage)
    after_quarantine(stage, key)
    probe = ask(stage, says="applied")
    call = stage.call(key)
    assert (call.state, call.answer, call.probed) == (CallState.UNKNOWN, ProbeAnswer.APPLIED, 1)
    assert call.answer_seq == probe.outcome_seq
    step = stage.step("a")
    assert (step.status, step.wait, stage.run.status) == (StepStatus.BLOCKED, None, Status.BLOCKED)
    stage.at = Instant(stage.at + 3600 * SECOND)
    stage.refuses(Claim("a", step.epoch + 1, "ses_7"), NotAllowed)


@pytest.mark.parametrize(
    ("says", "state", "digest"),
    [("applied", CallState.DONE, ANSWERS), ("not-applied", CallState.FAILED, "")],
)
def test_where_a_policy_says_so_it_decides(says: str, state: CallState, digest: str) -> None:
    stage = stage_of()
    key = lose(stage)
    after_quarantine(stage, key)
    probe = ask(stage, says=says, decided_by="post-office", output_digest=ANSWERS)
    call = stage.call(key)
    assert (call.state, call.outcome_digest, call.outcome_seq) == (state, digest, probe.outcome_seq)
    assert (call.cost, call.estimated, call.reason) == (100, True, f"its probe {SEEN} says: {says}")
    assert call.category is (None if state is CallState.DONE else ErrorCategory.TOOL_FAILED)
    assert (stage.step("a").status, stage.step("a").reason) == (StepStatus.READY, "decided by post-office")


def test_a_policy_decides_by_nothing_that_is_not_sure() -> None:
    stage = stage_of()
    key = lose(stage)
    after_quarantine(stage, key)
    ask(stage, says="cannot-tell", decided_by="post-office")
    assert stage.call(key).state is CallState.UNKNOWN
    after_quarantine(stage, key)
    stage.at = Instant(stage.at + 3600 * SECOND)
    ask(stage, says="applied", state=CallState.FAILED, decided_by="post-office")
    assert (stage.call(key).state, stage.call(key).answer) == (CallState.UNKNOWN, "cannot-tell")


def test_it_is_asked_three_times_a_minute_apart_at_least() -> None:
    stage = stage_of()
    key = lose(stage)
    for turn in (1, 2, 3):
        wait = stage.step("a").wait
        assert wait is not None
        if turn > 1:
            assert wait.until == stage.run.updated_at + 60 * SECOND
        stage.at = Instant(wait.until)
        ask(stage, says="cannot-tell")
        assert stage.call(key).probed == turn
    assert (stage.step("a").status, stage.step("a").wait) == (StepStatus.BLOCKED, None)


def test_while_it_is_asked_its_step_does_nothing_else() -> None:
    stage = stage_of()
    key = lose(stage)
    after_quarantine(stage, key)
    stage.do(Claim("a", 2, "ses_7", SEEN))
    for other in (FREE, WRITE, MAIL):
        state = CallState.DONE if other is FREE else CallState.INTENDED
        stage.refuses(Journal(stage.proposal("a", other, state, n=9)), NotAllowed)
    dear = stage.proposal("a", FREE, CallState.DONE, n=9, capability=SEEN, reserved=1)
    stage.refuses(Journal(dear, "applied"), NotAllowed)
    stage.refuses(Succeed("a", 2, "e" * 64), NotAllowed)
    assert stage.call(key).state is CallState.UNKNOWN


@pytest.mark.parametrize("effect", [FREE, EffectClass.METERED])
def test_what_is_no_write_has_none(effect: EffectClass) -> None:
    stage = stage_of()
    look = replace(CONTRACTS["look@1.0.0"], probe="seen@1")
    stage.contracts = {**stage.contracts, look.ref: look}
    key = stage.dispatch("a", effect, capability=look.ref)
    assert stage.call(key).probe == ""


def test_one_that_nobody_offers_is_no_promise() -> None:
    stage = stage_of()
    stage.contracts = {ref: item for ref, item in stage.contracts.items() if ref != SEEN}
    key = lose(stage)
    assert stage.call(key).probe == ""
    assert (stage.step("a").status, stage.step("a").wait) == (StepStatus.BLOCKED, None)
    stage.refuses(Claim("a", 2, "ses_7"), NotAllowed)


def test_it_waits_for_the_latest_write_of_its_step() -> None:
    stage = stage_of()
    first = stage.dispatch("a", MAIL, n=1)
    stage.at = Instant(stage.at + 20 * SECOND)
    second = stage.dispatch("a", MAIL, n=2)
    assert stage.call(second).quarantine_until > stage.call(first).quarantine_until
    stage.settle(first, CallState.UNKNOWN)
    wait = stage.step("a").wait
    assert wait is not None
    assert (wait.ref, wait.until) == (first, stage.call(second).quarantine_until)


def test_another_step_of_the_run_goes_on_meanwhile() -> None:
    stage = stage_of(plan_of({"id": "a", **ASIDE}, {"id": "b", **ASIDE}))
    key = lose(stage)
    stage.succeed("b")
    wait = stage.step("a").wait
    assert wait is not None
    assert wait.ref == key
    stage.refuses(Resume("ann", "b"), NotAllowed)


def test_it_may_be_lost_itself_and_is_asked_again() -> None:
    stage = stage_of()
    key = lose(stage)
    after_quarantine(stage, key)
    stage.do(Claim("a", 2, "ses_7", SEEN))
    stage.do(Fail("a", 2, ErrorCategory.TIMEOUT, "no answer"))
    wait = stage.step("a").wait
    assert (stage.call(key).state, stage.call(key).probed) == (CallState.UNKNOWN, 1)
    assert wait is not None
    assert wait.until == stage.run.updated_at + 60 * SECOND
    stage.refuses(Settle(key, 2, CallState.DONE), LeaseLost)
