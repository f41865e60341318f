"""The journal of actions: what a repeated call gets after a resume, after a retry, and after nobody reported."""

import pytest
from msgspec.structs import replace
from run_kit import FREE, MAIL, METERED, PLANS, SECOND, WRITE, Stage, finish

from bailiwick.base import Digest, Instant
from bailiwick.budget import BudgetExhausted, Misbooked
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run import (
    CallState,
    Claim,
    Fail,
    Grant,
    Journal,
    LeaseLost,
    NoSuchAction,
    NotAllowed,
    Offer,
    OutcomeUnknown,
    Park,
    Reject,
    Release,
    Resolve,
    Resume,
    Settle,
    Status,
    StepStatus,
    Succeed,
    WaitKind,
    effect_key,
    recorded,
)

DONE, FAILED, LOST, UNKNOWN = CallState.DONE, CallState.FAILED, CallState.LOST, CallState.UNKNOWN
INTENDED, HELD = CallState.INTENDED, CallState.HELD


@pytest.fixture
def stage() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def resume_elsewhere(stage: Stage) -> None:
    stage.do(Release("a", stage.step("a").epoch, "the session ended"))
    stage.claim("a")


def retry(stage: Stage) -> None:
    stage.fail("a", ErrorCategory.TRANSIENT)
    assert stage.step("a").attempt == 2
    stage.claim("a")


@pytest.mark.parametrize("effect", [FREE, METERED, WRITE, MAIL])
@pytest.mark.parametrize("outcome", [DONE, FAILED, CallState.CANCELED, CallState.REFUSED])
def test_a_resume_replays_every_recorded_outcome(
    stage: Stage, effect: EffectClass, outcome: CallState
) -> None:
    if effect is FREE or outcome is CallState.REFUSED:
        key = stage.journal("a", effect, outcome)
    else:
        key = stage.dispatch("a", effect)
        stage.settle(key, outcome)
    resume_elsewhere(stage)
    found = recorded(stage.run, stage.step("a"), key)
    assert found is not None
    assert found.state is outcome
    assert stage.step("a").attempt == 1


@pytest.mark.parametrize(
    ("effect", "outcome", "replayed"),
    [
        (FREE, DONE, False),
        (METERED, DONE, False),
        (METERED, FAILED, False),
        (WRITE, DONE, True),
        (MAIL, DONE, True),
        (WRITE, FAILED, False),
        (MAIL, FAILED, False),
        (WRITE, CallState.REFUSED, False),
    ],
)
def test_a_retry_replays_writes_that_were_done_and_nothing_else(
    stage: Stage, effect: EffectClass, outcome: CallState, replayed: bool
) -> None:
    if effect is FREE or outcome is CallState.REFUSED:
        key = stage.journal("a", effect, outcome)
    else:
        key = stage.dispatch("a", effect)
        stage.settle(key, outcome)
    retry(stage)
    assert (recorded(stage.run, stage.step("a"), key) is not None) is replayed
    again = stage.proposal("a", effect, DONE if effect is FREE else INTENDED)
    assert again.key == key
    if replayed:
        stage.refuses(Journal(again), NotAllowed)
    else:
        stage.do(Journal(again))
        assert stage.call(key).attempt == 2


def test_an_effect_keeps_its_key_over_resume_and_retry_and_shares_it_with_no_other() -> None:
    given = {"tenant": "t", "run": "r", "step": "a", "digest": Digest("1" * 64), "n": 1}
    key = effect_key(**given)
    assert key == effect_key(**given)
    others = [{"tenant": "u"}, {"run": "s"}, {"step": "a[2].b"}, {"digest": Digest("2" * 64)}, {"n": 2}]
    assert len({key, *(effect_key(**{**given, **other}) for other in others)}) == 6


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    one = effect_key(tenant="t", run="r1", step="a", digest=Digest("1"), n=11)
    other = effect_key(tenant="t", run="r", step="1a", digest=Digest("11"), n=1)
    assert one != other


def test_a_metered_try_that_nobody_reports_is_charged_once_and_may_be_repeated(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    resume_elsewhere(stage)
    lost = stage.call(key)
    assert (lost.state, lost.cost, lost.estimated, stage.run.allotment.spent) == (LOST, 100, True, 100)
    assert stage.dispatch("a", METERED) == key
    stage.settle(key, cost=30)
    assert (stage.call(key).cost, stage.call(key).tries, stage.run.allotment.spent) == (130, 2, 130)


def test_an_idempotent_write_that_nobody_reports_is_repeated_with_its_key(stage: Stage) -> None:
    key = stage.dispatch("a", WRITE)
    stored = stage.call(key).action_seq
    resume_elsewhere(stage)
    assert stage.call(key).state is INTENDED
    assert stage.dispatch("a", WRITE) == key
    assert (stage.call(key).tries, stage.call(key).action_seq, stage.run.allotment.reserved) == (
        2,
        stored,
        100,
    )


def test_an_external_action_that_nobody_reports_is_unknown_and_blocks_the_run(stage: Stage) -> None:
    key = stage.dispatch("a", MAIL)
    stage.do(Release("a", 1, "the session ended"))
    assert stage.call(key).state is UNKNOWN
    assert stage.run.status is Status.BLOCKED
    assert "outcome unknown" in stage.step("a").reason
    assert stage.run.allotment.reserved == 100
    stage.refuses(Claim("a", 2, "ses_1"), NotAllowed)
    stage.refuses(Resume("bob"), OutcomeUnknown)
    stage.refuses(Settle(key, 1, DONE), LeaseLost)


@pytest.mark.parametrize("said", [DONE, FAILED])
def test_a_person_resolves_the_unknown_and_the_agent_reads_it_as_the_outcome(
    stage: Stage, said: CallState
) -> None:
    key = stage.dispatch("a", MAIL)
    stage.do(Release("a", 1, "the session ended"))
    stage.refuses(Resolve(key, "bob", LOST), NotAllowed)
    stage.do(Resolve(key, "bob", said, despite=True), {"outcome": {}})
    assert stage.run.allotment.reserved == 0
    assert stage.run.allotment.spent == 100
    assert (stage.call(key).cost, stage.call(key).estimated) == (100, True), "nobody reported what it cost"
    stage.claim("a")
    found = recorded(stage.run, stage.step("a"), key)
    assert found is not None
    assert found.state is said
    stage.refuses(Resolve(key, "bob", said, despite=True), NotAllowed)


def test_one_of_two_unknown_outcomes_resolved_leaves_the_step_blocked(stage: Stage) -> None:
    first, second = stage.dispatch("a", MAIL, n=1), stage.dispatch("a", MAIL, n=2)
    stage.do(Release("a", 1, "the session ended"))
    stage.do(Resolve(first, "bob", DONE))
    assert stage.step("a").status is StepStatus.BLOCKED
    stage.do(Resolve(second, "bob", DONE))
    assert stage.step("a").status is StepStatus.READY


def test_a_write_whose_key_the_tool_has_forgotten_is_unknown(stage: Stage) -> None:
    key = stage.dispatch("a", WRITE, capability="forgetful@1.0.0")
    stage.do(Release("a", 1, "the session ended"))
    assert stage.call(key).state is INTENDED
    stage.at = Instant(stage.at + 120 * SECOND)
    stage.do(Claim("a", 2, "ses_1"))
    assert stage.call(key).state is UNKNOWN
    assert stage.step("a").status is StepStatus.BLOCKED
    assert stage.step("a").epoch == 1


def test_a_key_that_is_forgotten_between_claim_and_dispatch_is_not_used(stage: Stage) -> None:
    key = stage.dispatch("a", WRITE, capability="forgetful@1.0.0")
    resume_elsewhere(stage)
    stage.at = Instant(stage.at + 120 * SECOND)
    again = stage.proposal("a", WRITE, INTENDED, capability="forgetful@1.0.0")
    stage.refuses(Journal(again), NotAllowed)
    stage.do(Journal(replace(again, state=UNKNOWN)))
    assert stage.call(key).state is UNKNOWN


def test_the_stored_bytes_of_a_repeat_are_the_first_ones_and_those_of_a_retry_its_own(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    first = stage.call(key).action_seq
    resume_elsewhere(stage)
    stage.dispatch("a", METERED)
    assert stage.call(key).action_seq == first
    stage.settle(key)
    retry(stage)
    stage.dispatch("a", METERED)
    assert stage.call(key).action_seq == stage.run.version > first


def test_an_action_on_its_way_is_not_dispatched_again_by_the_same_holder(stage: Stage) -> None:
    for effect in (METERED, WRITE, MAIL):
        stage.dispatch("a", effect, n=7 + len(effect))
        stage.refuses(Journal(stage.proposal("a", effect, INTENDED, n=7 + len(effect))), NotAllowed)


@pytest.mark.parametrize("state", [DONE, FAILED, CallState.CANCELED, LOST])
@pytest.mark.parametrize("effect", [METERED, WRITE, MAIL])
def test_only_a_free_read_is_recorded_without_an_intent(
    stage: Stage, effect: EffectClass, state: CallState
) -> None:
    stage.refuses(Journal(stage.proposal("a", effect, state)), NotAllowed)
    stage.refuses(Journal(stage.proposal("a", FREE, state, reserved=5)), NotAllowed)


def test_a_key_stands_for_one_action(stage: Stage) -> None:
    key = stage.dispatch("a", WRITE)
    stage.settle(key, FAILED)
    retry(stage)
    stage.refuses(Journal(stage.proposal("a", WRITE, INTENDED, key=key, n=2)), NotAllowed)
    stage.refuses(Journal(stage.proposal("a", MAIL, INTENDED, key=key)), NotAllowed)


def test_an_outcome_is_recorded_once_and_only_for_its_holder(stage: Stage) -> None:
    stage.refuses(Settle("eff_none", 1, DONE), NoSuchAction)
    key = stage.dispatch("a", WRITE)
    stage.refuses(Settle(key, 2, DONE), LeaseLost)
    for state in (HELD, INTENDED, CallState.GRANTED, CallState.REFUSED):
        stage.refuses(Settle(key, 1, state), NotAllowed)
    resume_elsewhere(stage)
    stage.refuses(Settle(key, 1, DONE), LeaseLost)
    stage.refuses(Settle(key, 2, DONE), LeaseLost)
    assert stage.dispatch("a", WRITE) == key
    stage.settle(key)
    stage.refuses(Settle(key, 2, DONE), LeaseLost)


def test_a_parked_step_still_takes_the_outcome_of_what_was_on_its_way(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    held = stage.journal("a", MAIL, HELD, n=2)
    stage.settle(key, cost=70)
    assert stage.call(key).state is DONE
    assert stage.step("a").status is StepStatus.WAITING
    stage.approve(held)
    assert stage.step("a").status is StepStatus.READY


def test_a_later_holder_judges_what_a_parked_one_left_on_its_way(stage: Stage) -> None:
    model, mail = stage.dispatch("a", METERED), stage.dispatch("a", MAIL, n=2)
    stage.do(Park("a", 1, "halted"))
    stage.do(Resume("bob"))
    stage.do(Claim("a", 2, "ses_2"))
    assert stage.call(model).state is LOST
    assert stage.call(mail).state is UNKNOWN
    assert stage.step("a").status is StepStatus.BLOCKED


def test_a_granted_action_is_executed_once_before_the_agent_goes_on(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    assert stage.run.status is Status.WAITING_FOR_APPROVAL
    stage.do(Grant(key, "bob"))
    stage.refuses(Grant(key, "carol"), NotAllowed)
    stage.refuses(Reject(key, "carol", "no"), NotAllowed)
    epoch = stage.claim("a")
    stage.refuses(Journal(stage.proposal("a", METERED, INTENDED, n=2)), NotAllowed)
    stage.refuses(Succeed("a", epoch, "e" * 64), NotAllowed)
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.settle(key)
    assert (stage.step("a").status, stage.step("a").call) == (StepStatus.READY, "")
    stage.claim("a")
    assert recorded(stage.run, stage.step("a"), key) is not None


def test_a_granted_metered_action_that_was_lost_is_repeated_under_the_same_grant(stage: Stage) -> None:
    key = stage.journal("a", METERED, HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.do(Release("a", epoch, "the session ended"))
    assert (stage.call(key).state, stage.step("a").call) == (LOST, key)
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.settle(key)
    assert stage.step("a").call == ""


def test_a_granted_write_that_a_halt_stopped_before_it_began_keeps_its_grant(stage: Stage) -> None:
    key = stage.journal("a", WRITE, HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.settle(key, LOST)
    assert (stage.step("a").status, stage.step("a").call) == (StepStatus.READY, key)


def test_a_fallback_withdraws_an_unused_grant() -> None:
    stage = Stage(PLANS["fallback"])
    stage.claim("a")
    key = stage.journal("a", MAIL, HELD)
    stage.do(Grant(key, "bob"))
    stage.do(Fail("a", stage.claim("a"), ErrorCategory.INTERNAL, "broke"))
    assert (stage.step("a").fallback, stage.step("a").call) == (True, "")
    assert stage.call(key).state is CallState.CANCELED


def test_a_fallback_waits_until_a_person_says_what_became_of_a_write() -> None:
    stage = Stage(PLANS["fallback"])
    stage.claim("a")
    key = stage.dispatch("a", WRITE)
    stage.do(Fail("a", 1, ErrorCategory.INTERNAL, "broke"))
    assert (stage.call(key).state, stage.step("a").fallback) == (UNKNOWN, False)


@pytest.mark.parametrize("leave", ["granted", "on its way", "lost"])
def test_an_offer_takes_no_step_that_something_hangs_on(leave: str) -> None:
    stage = Stage(PLANS["parallel"])
    epoch = stage.claim("a")
    key = stage.journal("a", WRITE, INTENDED if leave == "on its way" else HELD)
    if leave == "on its way":
        stage.do(Park("a", epoch, "halted"))
        stage.do(Resume("bob"))
    else:
        stage.do(Grant(key, "bob"))
    if leave == "lost":
        epoch = stage.claim("a")
        stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
        stage.do(Park("a", epoch, "halted"))
        stage.settle(key, LOST)
        stage.do(Resume("bob"))
    assert stage.step("a").status is StepStatus.READY
    stage.claim("b")
    everything = Offer("ses_2", frozenset({"work@1", "write@1"}))
    stage.do(Succeed("b", 1, "e" * 64), {"output": {"ok": True}}, everything)
    assert stage.step("a").status is StepStatus.READY


def test_an_offer_takes_the_next_step_in_the_same_unit() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    offer = Offer("ses_2", frozenset({"work@1"}))
    events = stage.do(Succeed("a", 1, "e" * 64), {"output": {"ok": True}}, offer)
    assert len(events) == 1
    assert (stage.step("b").status, stage.step("b").session, stage.step("b").epoch) == ("running", "ses_2", 1)
    stage.do(Succeed("b", 1, "e" * 64), {"output": {"ok": True}}, Offer("ses_2", frozenset({"other@1"})))
    assert stage.step("c").status is StepStatus.READY


def test_a_grant_that_was_not_used_survives_a_retry(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stored = stage.call(key).action_seq
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Fail("a", epoch, ErrorCategory.TRANSIENT, "the host went away"))
    assert stage.step("a").wait is not None
    assert stage.step("a").wait.kind is WaitKind.RETRY
    epoch = stage.claim("a")
    assert stage.step("a").call == key
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    assert (stage.call(key).attempt, stage.call(key).action_seq) == (2, stored)


def test_a_void_grant_answers_the_agent_with_a_refusal(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=CallState.REFUSED, epoch=epoch, reason="too late")))
    stage.claim("a")
    found = recorded(stage.run, stage.step("a"), key)
    assert found is not None
    assert found.state is CallState.REFUSED


def test_a_grant_that_other_rules_hold_again_is_asked_again(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=HELD, epoch=epoch, approval="apr_2")))
    assert stage.step("a").status is StepStatus.WAITING
    assert stage.step("a").wait is not None
    assert stage.step("a").wait.ref == "apr_2"


@pytest.mark.parametrize("approve", [True, False])
def test_an_answer_does_not_wake_a_step_that_is_blocked_by_an_unknown_outcome(
    stage: Stage, approve: bool
) -> None:
    mail = stage.dispatch("a", MAIL)
    held = stage.journal("a", MAIL, HELD, n=2)
    stage.settle(mail, UNKNOWN)
    stage.do(Grant(held, "bob") if approve else Reject(held, "bob", "no"))
    assert stage.step("a").status is StepStatus.BLOCKED
    stage.do(Resolve(mail, "bob", DONE))
    assert (stage.step("a").status, stage.step("a").call) == (StepStatus.READY, held if approve else "")


def test_a_step_that_is_resolved_goes_back_to_wait_for_its_approval(stage: Stage) -> None:
    mail = stage.dispatch("a", MAIL)
    held = stage.journal("a", MAIL, HELD, n=2)
    stage.settle(mail, UNKNOWN)
    stage.do(Resolve(mail, "bob", DONE))
    assert stage.run.status is Status.WAITING_FOR_APPROVAL
    stage.approve(held)
    assert finish(stage) is Status.COMPLETED


def test_a_granted_action_that_ends_while_its_step_is_ready_again_is_not_executed_twice(stage: Stage) -> None:
    key = stage.journal("a", WRITE, HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    stage.do(Park("a", epoch, "halted"))
    stage.do(Resume("bob"))
    stage.settle(key)
    assert stage.step("a").call == ""
    assert finish(stage) is Status.COMPLETED
    assert stage.call(key).tries == 1


@pytest.mark.parametrize("state", [DONE, FAILED, LOST, CallState.REFUSED, HELD, INTENDED])
def test_an_action_that_is_not_on_its_way_cannot_become_unknown(stage: Stage, state: CallState) -> None:
    if state is not CallState.REFUSED and state is not HELD:
        key = stage.dispatch("a", METERED)
        if state is not INTENDED:
            stage.settle(key, state)
    else:
        key = stage.journal("a", METERED, state)
    epoch = stage.step("a").epoch
    refusal = LeaseLost if state is HELD else NotAllowed
    stage.refuses(Journal(replace(stage.call(key), state=UNKNOWN, epoch=epoch)), refusal)


# --- money ------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_paid_for_is_not_dispatched() -> None:
    stage = Stage(PLANS["retry"], limit=150)
    stage.claim("a")
    stage.dispatch("a", METERED)
    stage.refuses(Journal(stage.proposal("a", METERED, INTENDED, n=2)), BudgetExhausted)
    stage.do(Park("a", 1, "budget exhausted"))
    stage.refuses(Resume("bob", add=-1), Misbooked)
    stage.do(Resume("bob", add=200))
    assert stage.run.allotment.limit == 350


def test_a_repeated_write_reserves_once() -> None:
    stage = Stage(PLANS["retry"], limit=100)
    stage.claim("a")
    key = stage.dispatch("a", WRITE)
    resume_elsewhere(stage)
    assert stage.dispatch("a", WRITE) == key
    assert (stage.run.allotment.reserved, stage.run.allotment.spent) == (100, 0)
    stage.settle(key, cost=100)
    assert (stage.run.allotment.reserved, stage.run.allotment.spent) == (0, 100)


def test_a_negative_cost_is_refused(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    stage.refuses(Settle(key, 1, DONE, cost=-1), Misbooked)
    assert stage.run.allotment.reserved == 100


def test_cost_adds_up_over_attempts(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    stage.settle(key, cost=40)
    retry(stage)
    assert stage.dispatch("a", METERED) == key
    assert stage.run.allotment.spent == 40
    stage.settle(key, cost=50)
    assert stage.call(key).cost == stage.run.allotment.spent == 90


def test_a_call_that_costs_more_than_it_reserved_is_booked_in_full_and_stops_the_next() -> None:
    stage = Stage(PLANS["retry"], limit=150)
    stage.claim("a")
    stage.dispatch("a", METERED, reserved=20)
    stage.settle(next(iter(stage.run.calls)), cost=140)
    assert stage.run.allotment.spent == 140
    stage.refuses(Journal(stage.proposal("a", METERED, INTENDED, n=2)), BudgetExhausted)
