"""A refusal of the machine names the command, what it was about, and the state that does not allow it."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from run_kit import MAIL, METERED, PLANS, WRITE, Stage

from bailiwick.base import Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    CallState,
    Cancel,
    Claim,
    Command,
    Fail,
    Grant,
    Journal,
    LeaseLost,
    NoSuchAction,
    NotAllowed,
    OutcomeUnknown,
    PastPivot,
    Quarantine,
    Reconsider,
    Reject,
    Release,
    Resolve,
    Resume,
    Rollback,
    Settle,
    Succeed,
)

Case = tuple[Stage, Command, type[Refusal], dict[str, Any]]


def at_work() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def not_allowed(stage: Stage, command: Command, name: str, state: str, of: str = "") -> Case:
    return stage, command, NotAllowed, {"command": name, "state": state, "run": "run_1", "of": of}


def a_later_claim() -> Case:
    return not_allowed(at_work(), Claim("a", 2, "ses_2"), "claim", "running", "a")


def an_act_after_the_end() -> Case:
    stage = Stage(PLANS["retry"])
    stage.do(Cancel("ann"))
    return not_allowed(stage, Claim("a", 1, "ses_1"), "claim", "canceled")


def a_resume_of_what_runs() -> Case:
    return not_allowed(at_work(), Resume("bob", "a"), "resume", "running", "a")


def a_resume_of_a_step_that_is_not_there() -> Case:
    return not_allowed(at_work(), Resume("bob", "z"), "resume", "absent", "z")


def a_resume_of_a_run_that_goes_on() -> Case:
    return not_allowed(at_work(), Resume("bob"), "resume", "executing")


def an_act_in_quarantine() -> Case:
    stage = at_work()
    stage.do(Quarantine("divergence"))
    return not_allowed(stage, Claim("b", 1, "ses_1"), "claim", "in quarantine")


def a_cancel_of_a_rollback() -> Case:
    stage = a_second_rollback()[0]
    return not_allowed(stage, Cancel("ann"), "cancel", "being rolled back")


def a_success_while_a_granted_action_is_executed() -> Case:
    stage = at_work()
    stage.do(Grant(stage.journal("a", MAIL, CallState.HELD), "bob"))
    epoch = stage.claim("a")
    return not_allowed(stage, Succeed("a", epoch, "e" * 64), "succeed", "executing a granted action", "a")


def a_resume_of_a_part_of_a_quarantined_run() -> Case:
    stage = at_work()
    stage.do(Quarantine("divergence"))
    return not_allowed(stage, Resume("bob", "a"), "resume", "in quarantine as a whole", "a")


def a_rollback_of_what_runs() -> Case:
    return not_allowed(at_work(), Rollback("ann"), "rollback", "executing")


def a_second_rollback() -> Case:
    stage = Stage(PLANS["undo"])
    stage.succeed("a", ok=False)
    stage.do(Cancel("ann"))
    stage.do(Rollback("ann"))
    return not_allowed(stage, Rollback("ann"), "rollback", "being rolled back")


def a_rollback_past_the_pivot() -> Case:
    stage = Stage(PLANS["undo up to a pivot"])
    for name in ("a", "b", "c"):
        stage.succeed(name)
    return stage, Rollback("ann"), PastPivot, {"run": "run_1", "step": "b"}


def a_rollback_past_an_unknown_pivot() -> Case:
    stage = Stage(PLANS["undo up to a pivot"])
    stage.succeed("a")
    stage.claim("b")
    key = stage.dispatch("b", MAIL)
    stage.do(Release("b", 1, "gone"))
    facts = {"run": "run_1", "step": "b", "key": key, "capability": "mail@1.0.0"}
    return stage, Rollback("ann"), OutcomeUnknown, facts


def a_resume_past_an_unknown_outcome() -> Case:
    stage = at_work()
    key = stage.dispatch("a", MAIL)
    stage.do(Release("a", 1, "gone"))
    facts = {"run": "run_1", "step": "a", "key": key, "capability": "mail@1.0.0"}
    return stage, Resume("bob", "a"), OutcomeUnknown, facts


def an_answer_to_what_nobody_asked() -> Case:
    stage = at_work()
    key = stage.dispatch("a")
    return not_allowed(stage, Grant(key, "bob"), "approve", "intended", key)


def a_rejection_of_what_nobody_asked() -> Case:
    stage = at_work()
    key = stage.dispatch("a")
    return not_allowed(stage, Reject(key, "bob", "no"), "reject", "intended", key)


def a_resolution_of_what_is_known() -> Case:
    stage = at_work()
    key = stage.dispatch("a")
    return not_allowed(stage, Resolve(key, "bob", CallState.DONE), "resolve", "intended", key)


def an_action_that_nobody_has_heard_of() -> Case:
    return at_work(), Grant("eff_none", "bob"), NoSuchAction, {"run": "run_1", "key": "eff_none"}


def a_second_dispatch() -> Case:
    stage = at_work()
    key = stage.dispatch("a", WRITE)
    return not_allowed(stage, Journal(stage.call(key)), "recording intended", "intended", key)


def an_action_of_another_holder() -> Case:
    stage = at_work()
    call = stage.proposal("a", METERED, CallState.INTENDED, epoch=7)
    return stage, Journal(call), LeaseLost, {"step": "a", "epoch": 7, "held": 1}


def an_action_of_no_step() -> Case:
    stage = at_work()
    call = replace(stage.proposal("a", METERED, CallState.INTENDED), step="z")
    return stage, Journal(call), LeaseLost, {"step": "z", "epoch": 1, "held": 0}


def a_settlement_that_is_no_outcome() -> Case:
    stage = at_work()
    key = stage.dispatch("a")
    return not_allowed(stage, Settle(key, 1, CallState.HELD), "settling as held", "intended", key)


def a_settlement_by_another_holder() -> Case:
    stage = at_work()
    key = stage.dispatch("a")
    return stage, Settle(key, 7, CallState.DONE), LeaseLost, {"step": "a", "epoch": 7, "held": 1}


def a_report_by_another_holder() -> Case:
    return at_work(), Succeed("a", 7, "e" * 64), LeaseLost, {"step": "a", "epoch": 7, "held": 1}


def a_new_judgment_of_what_does_not_wait() -> Case:
    stage = at_work()
    key = stage.dispatch("a")
    return not_allowed(stage, Reconsider(stage.call(key)), "reconsider", "intended", key)


def a_new_judgment_of_another_action() -> Case:
    stage = at_work()
    key = stage.journal("a", MAIL, CallState.HELD)
    other = replace(stage.call(key), effect=METERED)
    return not_allowed(stage, Reconsider(other), "reconsider", "held", key)


def a_new_judgment_that_is_none() -> Case:
    stage = at_work()
    key = stage.journal("a", MAIL, CallState.HELD)
    done = replace(stage.call(key), state=CallState.DONE)
    return not_allowed(stage, Reconsider(done), "reconsider", "done", key)


def a_failure_of_what_nobody_holds() -> Case:
    stage = Stage(PLANS["retry"])
    return stage, Fail("a", 1, ErrorCategory.INTERNAL, "x"), LeaseLost, {"step": "a", "epoch": 1, "held": 0}


CASES: list[Callable[[], Case]] = [
    a_later_claim,
    an_act_after_the_end,
    a_resume_of_what_runs,
    a_resume_of_a_step_that_is_not_there,
    a_resume_of_a_run_that_goes_on,
    an_act_in_quarantine,
    a_cancel_of_a_rollback,
    a_success_while_a_granted_action_is_executed,
    a_resume_of_a_part_of_a_quarantined_run,
    a_rollback_of_what_runs,
    a_second_rollback,
    a_rollback_past_the_pivot,
    a_rollback_past_an_unknown_pivot,
    a_resume_past_an_unknown_outcome,
    an_answer_to_what_nobody_asked,
    a_rejection_of_what_nobody_asked,
    a_resolution_of_what_is_known,
    an_action_that_nobody_has_heard_of,
    a_second_dispatch,
    an_action_of_another_holder,
    an_action_of_no_step,
    a_settlement_that_is_no_outcome,
    a_settlement_by_another_holder,
    a_report_by_another_holder,
    a_new_judgment_of_what_does_not_wait,
    a_new_judgment_of_another_action,
    a_new_judgment_that_is_none,
    a_failure_of_what_nobody_holds,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_refusal_names_what_was_asked_and_what_is_in_the_way(case: Callable[[], Case]) -> None:
    stage, command, kind, facts = case()
    refusal = stage.refuses(command, kind)
    assert refusal.facts == facts
    assert refusal.remedy
    told = [str(value) for value in facts.values() if value and value != "run_1"]
    assert [value for value in told if value not in f"{refusal} {refusal.remedy}"] == []
