"""What templates and conditions see: the reader's own turn, the last turn of a loop, the turn before."""

from typing import Any

from run_kit import PLANS, Stage, plan_of

from bailiwick.run import Cancel, Resume, Rollback, StepStatus, input_of, node_id, values_for


def given(stage: Stage, name: str) -> dict[str, Any]:
    return input_of(stage.run, stage.plan, stage.plan.node(node_id(name)), name, stage.sight())


def seen(stage: Stage, reader: str, condition: str) -> dict[str, Any]:
    return values_for(stage.run, stage.plan, reader, (condition,), None, stage.sight())["steps"]


def test_the_turn_before_is_seen_through_a_loop_of_one_at_its_last_turn() -> None:
    stage = Stage(PLANS["loop in a loop"])
    stage.succeed("outer[1].poll[1]", ok=False)
    stage.succeed("outer[1].poll[2]", ok=True, says="the last of the first")
    assert given(stage, "outer[1].test") == {"last": None}
    stage.succeed("outer[1].test", ok=False)
    stage.succeed("outer[2].poll[1]", ok=True, says="of the second")
    assert given(stage, "outer[2].test") == {"last": "the last of the first"}


def test_a_reference_from_outside_a_loop_reads_its_last_turn() -> None:
    stage = Stage(
        plan_of(
            {"id": "build", "do": [{"id": "test"}], "repeat": {"until": "steps.test.output.ok", "max": 3}},
            {"id": "end", "input": {"ok": "$.steps.test.output.ok", "how": "$.steps.build.status"}},
        )
    )
    stage.succeed("build[1].test", ok=False)
    stage.succeed("build[2].test", ok=True)
    assert given(stage, "end") == {"ok": True, "how": "succeeded"}


def test_a_loop_of_one_is_read_as_its_last_turn_and_inside_it_as_the_turn_at_hand() -> None:
    stage = Stage(PLANS["loop of one"])
    stage.succeed("poll[1]", ok=False)
    assert seen(stage, "poll[2].poll", "steps.poll.output.ok")["poll"]["status"] == "ready"
    stage.succeed("poll[2]", ok=True)
    assert seen(stage, "end", "steps.poll.output.ok")["poll"] == {
        "output": {"ok": True, "objective": "why"},
        "status": "succeeded",
    }
    assert stage.step("end").status is StepStatus.READY


def test_what_lies_in_something_skipped_was_skipped() -> None:
    stage = Stage(
        plan_of(
            {"id": "a"},
            {"id": "block", "when": "steps.a.output.ok", "do": [{"id": "inner"}]},
            {
                "id": "poll",
                "when": "steps.a.output.ok",
                "repeat": {"until": "steps.poll.output.ok", "max": 2},
            },
            {
                "id": "end",
                "input": {
                    "inner": "$.steps.inner.status",
                    "poll": "$.steps.poll.status",
                    "none": "$.steps.poll.output.ok?",
                },
            },
        )
    )
    stage.succeed("a", ok=False)
    assert given(stage, "end") == {"inner": "skipped", "poll": "skipped", "none": None}


def test_a_condition_that_reads_all_steps_sees_those_that_have_not_begun() -> None:
    stage = Stage(PLANS["sequence"])
    values = seen(stage, "a", "steps.exists(id, steps[id].status == 'failed')")
    assert {name: value["status"] for name, value in values.items()} == {
        "a": "ready", "b": "pending", "c": "pending",
    }  # fmt: skip


def test_an_input_that_does_not_resolve_says_so_and_asks_where_the_plan_says() -> None:
    late = {
        "id": "b",
        "on_error": "human",
        "input": {"deep": "$.steps.a.output.ok", "no": "$.intent.input.x"},
    }
    stage = Stage(plan_of({"id": "a"}, late))
    stage.succeed("a")
    assert stage.step("b").status is StepStatus.BLOCKED
    assert "$.intent.input.x" in stage.step("b").reason
    stage.contents[1] = {"intent": {"input": {"x": 1}}}
    stage.do(Resume("bob"))
    assert stage.step("b").status is StepStatus.READY
    assert given(stage, "b") == {"deep": True, "no": 1}


def test_a_turn_of_a_loop_of_one_is_given_what_its_input_names() -> None:
    poll = {
        "id": "poll",
        "input": {"seen": "$.steps.first.output.objective"},
        "repeat": {"until": "steps.poll.output.ok", "max": 2},
    }
    stage = Stage(plan_of({"id": "first"}, poll))
    stage.succeed("first", says="look there")
    assert stage.step("poll[1]").status is StepStatus.READY
    assert given(stage, "poll[1]") == {"seen": "look there"}


def test_a_loop_of_one_that_has_not_begun_is_pending() -> None:
    stage = Stage(plan_of({"id": "a"}, {"id": "poll", "repeat": {"until": "steps.poll.output.ok", "max": 2}}))
    values = seen(stage, "a", "steps.exists(id, steps[id].status == 'failed')")
    assert values["poll"] == {"output": None, "status": "pending"}


def test_where_nobody_plans_the_workflow_s_own_text_is_the_brief() -> None:
    reads = {"why": "$.brief.objective", "what": "$.brief.steps", "how": "$.brief.constraints"}
    stage = Stage(
        plan_of(
            {"id": "a", "input": reads},
            {"id": "b"},
            summary="Be kind",
            constraints=["no external dependencies"],
        )
    )
    assert given(stage, "a") == {"why": "Be kind", "what": ["a", "b"], "how": ["no external dependencies"]}


def test_what_a_planner_says_is_the_brief() -> None:
    stage = Stage(
        plan_of({"id": "a", "input": {"why": "$.brief.objective"}}, summary="Be kind", planner="plan")
    )
    stage.succeed("$plan", says="Be quick")
    assert given(stage, "a") == {"why": "Be quick"}


def test_an_undo_reads_what_its_step_was_given_and_what_it_said() -> None:
    reads = {"given": "$.steps.a.input.x", "said": "$.steps.a.output.objective"}
    plan = plan_of(
        {"id": "a", "input": {"x": "$.intent.input.x"}, "compensate": {"uses": "undo", "input": reads}},
        {"id": "b"},
    )
    stage = Stage(plan, intent={"input": {"x": 5}})
    stage.succeed("a", says="done so")
    stage.do(Cancel("ann"))
    stage.do(Rollback("ann", "it was wrong"))
    assert given(stage, "a~undo") == {"given": 5, "said": "done so"}
