"""What the log says of a run is whole: who, what, why, on which workspace, and until when it stands."""

import msgspec
import pytest
from msgspec.structs import replace
from run_kit import (
    ASIDE,
    MAIL,
    METERED,
    PLANS,
    SECOND,
    UNDO,
    UNTIL,
    WRITE,
    Stage,
    finish,
    plan_of,
)

from bailiwick.base import Instant
from bailiwick.contract import ErrorCategory
from bailiwick.run import (
    CallState,
    Choose,
    Closed,
    Created,
    Escalate,
    Fund,
    Grant,
    Journal,
    Move,
    NotAllowed,
    NotOfTheConflict,
    Outdated,
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
    WaitKind,
    event_schemas,
    evolve,
    instants_in,
)
from bailiwick.run.refusals import AnswerLacking

HELD, INTENDED, DONE, UNKNOWN = CallState.HELD, CallState.INTENDED, CallState.DONE, CallState.UNKNOWN


@pytest.fixture
def stage() -> Stage:
    stage = Stage(PLANS["retry"])
    stage.claim("a")
    return stage


def test_a_run_is_as_it_was_opened() -> None:
    fund = Fund("team", 0, 7)
    opening = Created(
        run="run_2",
        tenant="north",
        app="shop",
        workflow="w@1.0.0",
        title="a title",
        requested_by="ann",
        plan="p" * 64,
        policy_version="v",
        allotment=9,
        created_at=Instant(5),
        deadline=Instant(6),
        feature="f",
        team="t",
        trace="00-1",
        tree="e" * 64,
        pins={"a": "b"},
        environment={"region": "eu"},
        catalogue="c" * 64,
        funds=(fund,),
        edition=3,
        priority=2,
    )
    run = msgspec.to_builtins(evolve(None, opening))
    said = msgspec.to_builtins(opening)
    differently = ("kind", "run", "allotment", "moves")
    for name, value in said.items():
        if name not in differently:
            assert run[name] == value, name
    assert (run["id"], run["allotment"]["limit"]) == ("run_2", 9)


def test_every_kind_of_event_is_described_and_each_instant_in_it_is_known() -> None:
    kinds, held = event_schemas()
    assert {"run.created", "steps.moved", "action.moved", "attempt.refused", "run.closed"} <= set(kinds)
    assert {"Move", "Call", "Wait", "Fund"} <= set(held)
    assert set(instants_in(StepsMoved)) == {"at", "until"}
    assert instants_in(Move) == ("until",)


def granted(stage: Stage) -> str:
    """Let a write that was held be on its way, executed for its parked step."""
    key = stage.journal("a", WRITE, HELD)
    stage.do(Grant(key, "bob"))
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=INTENDED, epoch=epoch)))
    return key


def test_a_granted_write_that_goes_again_says_from_when_on_and_since_when_it_is_in_doubt(
    stage: Stage,
) -> None:
    key = granted(stage)
    sent = stage.call(key).dispatched_at
    later = Instant(stage.at + 5 * SECOND)
    (moved,) = stage.do(Settle(key, 2, UNKNOWN, again_at=later))
    assert [move.step for move in moved.moves] == ["a"]
    step, call = stage.step("a"), stage.call(key)
    assert step.wait is not None
    assert (step.status, step.wait.kind, step.wait.until, step.call) == (
        StepStatus.WAITING,
        WaitKind.RETRY,
        later,
        key,
    )
    assert (call.doubts, call.doubted_since, call.again_at) == (1, sent, later)


def test_what_is_asked_of_an_action_is_named_in_its_refusal(stage: Stage) -> None:
    key = stage.dispatch("a", METERED)
    for command, word in ((Escalate(key, ("x",)), "escalate"), (Grant(key, "b"), "approve")):
        assert stage.refuses(command, NotAllowed).facts["command"] == word
    assert stage.refuses(Reject(key, "b", "no"), NotAllowed).facts["command"] == "reject"


def test_a_new_request_for_the_same_action_was_escalated_to_nobody(stage: Stage) -> None:
    key = stage.journal("a", MAIL, HELD)
    stage.do(Escalate(key, ("managers",)))
    stage.do(Grant(key, "bob"))
    assert stage.call(key).escalated == ("managers",)
    epoch = stage.claim("a")
    stage.do(Journal(replace(stage.call(key), state=HELD, epoch=epoch, approval="apr_2")))
    assert stage.call(key).escalated == ()


def unanswered(plan=None) -> Stage:
    """Let a first step be one action of which a person knows that it is done, and not what it answered."""
    plan = plan or plan_of({"id": "a"}, {"id": "b", "input": {"objective": "$.steps.a.output.objective"}})
    stage = Stage(plan)
    stage.claim("a")
    key = stage.dispatch("a", MAIL)
    stage.do(Release("a", 1, "the session ended"))
    stage.do(Resolve(key, "bob", DONE))
    epoch = stage.claim("a")
    stage.do(Succeed("a", epoch, ""))
    return stage


def test_an_answer_that_is_said_later_is_the_output_of_its_step() -> None:
    stage = unanswered()
    (key,) = stage.run.calls
    b = stage.step("b")
    assert (b.status, b.category) == (StepStatus.FAILED, ErrorCategory.TOOL_FAILED)
    assert f"runs resolve run_1 {key} --done --result JSON" in b.reason
    assert stage.run.status is Status.FAILED


def test_an_answer_that_nobody_reads_is_not_missed() -> None:
    stage = unanswered(plan_of({"id": "a"}, {"id": "b", "input": {"was": "$.steps.a.status"}}))
    (key,) = stage.run.calls
    assert stage.step("b").status is StepStatus.READY
    stage.do(Resolve(key, "bob", DONE, "f" * 64, "found it"), {"outcome": {}, "output": {"ok": True}})
    a = stage.step("a")
    assert (a.status, a.output_digest, stage.call(key).outcome_digest) == (
        StepStatus.SUCCEEDED,
        "f" * 64,
        "f" * 64,
    )
    assert stage.call(key).reason == "found it"


def test_a_condition_that_reads_a_lacking_answer_says_which() -> None:
    stage = unanswered(plan_of({"id": "a"}, {"id": "b", "when": "steps.a.output.ok"}))
    (key,) = stage.run.calls
    b = stage.step("b")
    assert (b.status, b.category) == (StepStatus.FAILED, ErrorCategory.TOOL_FAILED)
    assert key in b.reason


def test_a_turn_that_reads_a_lacking_answer_of_the_last_one_fails() -> None:
    loop = {
        "id": "build",
        "do": [
            {"id": "a", "input": {"last": "$.previous.a.output.objective?"}},
            {"id": "test"},
        ],
        "repeat": UNTIL,
    }
    stage = Stage(plan_of(loop))
    name = "build[1].a"
    stage.claim(name)
    key = stage.dispatch(name, MAIL)
    stage.do(Release(name, 1, "the session ended"))
    stage.do(Resolve(key, "bob", DONE))
    stage.claim(name)
    stage.do(Succeed(name, 2, ""))
    stage.succeed("build[1].test", ok=False)
    second = stage.step("build[2].a")
    assert (second.status, second.category) == (StepStatus.FAILED, ErrorCategory.TOOL_FAILED)
    assert key in second.reason
    assert AnswerLacking(run="r", step="s", key=key).facts["key"] == key


def test_what_a_person_is_asked_says_why() -> None:
    stage = Stage(plan_of({"id": "a", "on_error": "human"}))
    stage.fail("a", ErrorCategory.INTERNAL, "the engine broke")
    assert stage.step("a").reason == "a person must decide: the engine broke"
    undo = Stage(plan_of({"id": "a", "compensate": UNDO}, {"id": "b"}))
    undo.succeed("a")
    undo.fail("b")
    undo.do(Rollback("ann"))
    name = "a~undo"
    undo.fail(name, ErrorCategory.INTERNAL, "the undo broke")
    assert undo.step(name).reason.startswith("the compensation failed: the undo broke; an operator must")


def test_what_is_undone_stays_in_its_attempt() -> None:
    stage = Stage(
        plan_of({"id": "a", "compensate": UNDO, "retry": {"on": ["transient"], "attempts": 2}}, {"id": "b"})
    )
    stage.fail("a", ErrorCategory.TRANSIENT)
    stage.succeed("a")
    stage.fail("b")
    stage.do(Rollback("ann"))
    aside = stage.step("a").aside
    stage.succeed("a~undo")
    assert aside == 0, "what was set aside is the compensation's to spend"
    assert (stage.step("a").status, stage.step("a").attempt) == (StepStatus.COMPENSATED, 2)


def test_what_is_set_aside_for_an_undo_is_free_for_it() -> None:
    stage = Stage(plan_of({"id": "a", "compensate": UNDO}, {"id": "b"}), limit=100)
    stage.succeed("a")
    assert (stage.step("a").aside, stage.run.allotment.reserved) == (90, 90), "three tries of it"
    stage.fail("b")
    stage.do(Rollback("ann"))
    assert (stage.step("a").aside, stage.run.allotment.reserved) == (0, 0)


def test_what_was_overspent_is_taken_from_each_budget_once() -> None:
    stage = Stage(PLANS["sequence"], limit=100)
    funds = (Fund("team", 0, 60), Fund("day", 7, 60), Fund("team", 0, 40))
    spent = replace(stage.run.allotment, spent=130)
    closed = evolve(replace(stage.run, funds=funds, allotment=spent), Closed(stage.at, Status.FAILED))
    assert [fund.returned for fund in closed.funds] == [-30, -30, 0], "once from each budget"


def test_one_conflict_is_told_as_one() -> None:
    stage = Stage(
        plan_of({"id": "a", **ASIDE}, {"id": "b", **ASIDE}, {"id": "c", "after": ["a", "b"]}), edition=2
    )
    for name in ("a", "b"):
        stage.claim(name)
        stage.write(name, "x", name)
        stage.succeed(name)
    reason = stage.step("c").reason
    assert "left different contents: x (a, b); choose:" in reason
    refusal = stage.refuses(Choose("c", "bob", take="elsewhere"), NotOfTheConflict)
    assert refusal.facts["take"] == "elsewhere"


def test_a_call_on_an_old_workspace_says_which_is_newer() -> None:
    stage = Stage(PLANS["sequence"], edition=2)
    stage.claim("a")
    first = stage.write("a", "x", "1")
    stale = stage.proposal("a", WRITE, INTENDED, n=77, base="", tree="d" * 64)
    refusal = stage.refuses(Journal(stale), Outdated)
    assert refusal.facts == {"run": "run_1", "step": "a", "base": "", "tree": first}


def test_a_loop_that_stands_for_another_reason_than_its_turns_goes_on_in_the_same_turn() -> None:
    stage = Stage(
        plan_of(
            {
                "id": "build",
                "on_error": "human",
                "do": [{"id": "code"}, {"id": "test"}],
                "repeat": {"until": "steps.test.output.missing > 3", "max": 2},
            }
        )
    )
    stage.succeed("build[1].code")
    stage.succeed("build[1].test")
    loop = stage.step("build")
    assert (loop.status, loop.category, loop.iteration) == (
        StepStatus.BLOCKED,
        ErrorCategory.INTERNAL,
        1,
    )
    stage.do(Resume("bob", "build"))
    assert stage.step("build").iteration == 1
    assert "build[2].code" not in stage.run.steps


def test_a_condition_that_held_is_on_record_where_a_block_begins() -> None:
    stage = Stage(
        plan_of({"id": "a"}, {"id": "outer", "when": "steps.a.output.ok", "do": [{"id": "b"}, {"id": "c"}]})
    )
    stage.succeed("a")
    (begun,) = [move for event in stage.events for move in event.moves if move.step == "outer"]
    assert (begun.to, begun.when) == (StepStatus.RUNNING, True)


def test_a_block_that_wrote_nothing_leaves_no_workspace_of_its_own() -> None:
    stage = Stage(
        plan_of({"id": "outer", "do": [{"id": "a"}, {"id": "b"}]}, {"id": "last"}), edition=2, tree="e" * 64
    )
    stage.trees["e" * 64] = {}
    stage.succeed("outer.a")
    stage.succeed("outer.b")
    ended = [move for event in stage.events for move in event.moves if move.step == "outer"][-1]
    assert (ended.to, ended.tree) == (StepStatus.SUCCEEDED, None)
    assert finish(stage) is Status.COMPLETED
