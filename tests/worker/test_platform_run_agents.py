"""Platform-run agents: the loop, the one repair, the rules, the soft limit, and a resume that asks nothing twice."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from bailiwick.budget import Price
from bailiwick.contract import ErrorCategory
from bailiwick.models import OpenAIHost, ProviderConfig
from bailiwick.plan import Finding, Rule, Subject, SubjectKind
from bailiwick.run import Status
from bailiwick.testing import Recording, RunningModelServer
from bailiwick.testing.recording import ReplyTemplate, ToolCallTemplate, When
from bailiwick.testing.recording import Rule as Answer
from platform_kit import ALICE
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long

BRIEF = {"objective": "Greet", "steps": ["Say hello"], "constraints": ["Single file only"]}
LONG = {**BRIEF, "steps": ["One", "Two"], "constraints": ["One step only"]}
SECOND = When(last_contains="was not accepted")


def write(path: str, **when: Any) -> Answer:
    call = ToolCallTemplate("files.write", {"path": path, "text": f"# {path}\n"})
    return Answer(f"write {path}", ReplyTemplate(tool_calls=(call,)), When(**when))


RECORDINGS = (
    Recording(
        "stubborn",
        (Answer("always the same", ReplyTemplate(json={"objective": "Greet"})),),
    ),
    Recording(
        "drifting",
        (
            Answer("second", ReplyTemplate(json=BRIEF), SECOND),
            Answer(
                "first",
                ReplyTemplate(text='{"opinion": "' + "word " * 2000 + '"}', tokens_per_second=2000),
            ),
        ),
    ),
    Recording(
        "teachable",
        (
            Answer("second", ReplyTemplate(json=BRIEF), SECOND),
            Answer("first", ReplyTemplate(json={**BRIEF, "constraints": []})),
        ),
    ),
    Recording(
        "longwinded",
        (
            Answer(
                "shorter", ReplyTemplate(json={**LONG, "steps": ["One"]}), When(last_contains="at most one")
            ),
            Answer("long", ReplyTemplate(json=LONG)),
        ),
    ),
    Recording("incorrigible", (Answer("long", ReplyTemplate(json=LONG)),)),
    Recording(
        "sprawling",
        (
            write("b.py", last_tool="files.write", tool_results=1, not_contains="not accepted"),
            Answer("done", ReplyTemplate(json={"summary": "two files"}), When(last_tool="files.write")),
            Answer("insists", ReplyTemplate(json={"summary": "two files"}), SECOND),
            write("a.py"),
        ),
    ),
    Recording(
        "busy",
        (
            Answer(
                "told", ReplyTemplate(json={"summary": "told to finish"}), When(contains="budget is spent")
            ),
            *(
                Answer(
                    f"step {n}",
                    ReplyTemplate(tool_calls=(ToolCallTemplate("shop.dear", {"text": f"call {n}"}),)),
                    When(tool_results=n),
                )
                for n in range(6)
            ),
            Answer("never told", ReplyTemplate(json={"summary": "never told"})),
        ),
    ),
)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningModelServer]:
    with RunningModelServer(RECORDINGS) as running:
        yield running


@pytest.fixture
async def models(server: RunningModelServer):
    names = tuple(each.model for each in RECORDINGS)
    provider = ProviderConfig("scripted", server.base_url, names)
    host = OpenAIHost([provider], lambda reference: "", lambda model: Price(1_000_000, 2_000_000, 1_000_000))
    yield host
    await host.close()


async def asked(server: RunningModelServer) -> int:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        log = (await client.get(f"{server.url}/_log", params={"settled": "true"})).json()
    return len(log["requests"])


def planned(shop: Shop, model: str) -> None:
    async def clerk(ctx, given):
        return {"brief": given["brief"]}

    shop.scripts["clerk"] = clerk
    brief = {"objective": str, "steps": [str], "constraints": [str]}
    shop.app.agent("planner", prompt="You plan.", output=brief, model=f"scripted:{model}")
    shop.workflow({"id": "work", "uses": "clerk", "input": {"brief": "$.brief"}}, planner="planner")


def _one_step(subject: Subject, constraint: str):
    assert subject.brief is not None
    if len(subject.brief.steps) > 1:
        yield Finding("too_long", "/steps", f"{constraint}: at most one step")


ONE_STEP = Rule(
    name="one-step", version=1, phrases=("One step only",), subjects=(SubjectKind.BRIEF,), check=_one_step
)


async def test_a_planner_is_shown_its_errors_once_and_then_goes_on(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    planned(shop, "teachable")
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(constraints=("Single file only",), budget_usd="0.1")
    assert (await system.ended(run)).status is Status.COMPLETED
    assert (await system.platform.reading.output(ALICE, run, "work"))["brief"] == BRIEF
    assert len((await system.run(run)).calls) == 2


async def test_a_drifting_answer_is_cut_off_recorded_charged_and_asked_for_again_with_the_reason(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    planned(shop, "drifting")
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(budget_usd="0.1")
    assert (await system.ended(run)).status is Status.COMPLETED, (await system.run(run)).reason
    first, second = (await system.run(run)).calls.values()
    assert (first.state, first.category, first.estimated) == ("failed", ErrorCategory.INVALID_OUTPUT, True)
    assert "none of: " in first.reason
    assert 0 < first.cost < first.reserved
    assert second.state == "done"
    lines = await system.store.views.postings("acme", run)
    assert [(line.interruptions, line.ended) for line in lines] == [(1, "failed"), (0, "completed")]
    assert lines[0].output_tokens < 500, "of more than 2000"
    repaired = [
        event["payload"] for event in await system.events(run) if "was not accepted" in str(event["payload"])
    ]
    assert repaired, "the model was told why"
    await system.spent(run)


async def test_a_planner_that_does_not_learn_fails_with_the_reason(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    planned(shop, "stubborn")
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(budget_usd="0.1")
    failed = await system.ended(run)
    assert (failed.status, failed.category) == (Status.FAILED, ErrorCategory.INVALID_OUTPUT)
    assert "steps" in failed.reason
    assert len(failed.calls) == 2
    move = (await system.events(run))[-2]["moves"][0]
    assert move["step"] == "$plan"
    assert any("steps" in finding for finding in move["findings"])


async def test_rules_on_briefs_are_run_and_their_findings_repaired(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    shop.app.rule(ONE_STEP)
    planned(shop, "longwinded")
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(constraints=("One step only",), budget_usd="0.1")
    assert (await system.ended(run)).status is Status.COMPLETED
    plan = next(
        move
        for event in await system.events(run)
        for move in event.get("moves", ())
        if move["step"] == "$plan" and move["to"] == "succeeded"
    )
    assert plan["rules"] == ["one-step@1"]


async def test_a_brief_that_breaks_a_rule_twice_fails_and_says_which(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    shop.app.rule(ONE_STEP)
    planned(shop, "incorrigible")
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(constraints=("One step only",), budget_usd="0.1")
    failed = await system.ended(run)
    assert failed.category is ErrorCategory.INVALID_OUTPUT
    move = (await system.events(run))[-2]["moves"][0]
    assert move["rules"] == ["one-step@1"]
    assert "at most one step" in move["findings"][0]


async def test_a_worker_that_does_not_check_briefs_is_checked_itself(shop: Shop, open_system) -> None:
    shop.app.rule(ONE_STEP)
    planned(shop, "incorrigible")
    system = await open_system(shop)
    run = await system.submit(constraints=("One step only",))
    hand = await system.hand()
    assert (await hand.claim()).step == "$plan"
    await hand.finish({"objective": "o", "steps": ["a", "b"], "constraints": ["One step only"]})
    failed = await system.refolded(run)
    assert failed.category is ErrorCategory.INVALID_OUTPUT
    assert "at most one step" in failed.reason


def implementing(shop: Shop, model: str, **fields: Any) -> None:
    shop.app.agent(
        "implementer",
        prompt="You implement.",
        output={"summary": str},
        model=f"scripted:{model}",
        tools=["files.write", "shop.dear"],
        **fields,
    )
    shop.workflow({"id": "work", "uses": "implementer", "input": {}})


async def test_rules_on_the_tree_are_repaired_once_then_fail_in_the_step_s_event(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    implementing(shop, "sprawling")
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(constraints=("Single file only",), budget_usd="0.1")
    failed = await system.ended(run)
    assert (failed.status, failed.category) == (Status.FAILED, ErrorCategory.INVALID_OUTPUT)
    move = (await system.events(run))[-2]["moves"][0]
    assert move["rules"] == ["single-file@1"]
    assert sum("files outside the tests are changed" in finding for finding in move["findings"]) == 2


@pytest.mark.parametrize("moment", range(1, 6))
async def test_a_resumed_agent_asks_nothing_twice_and_is_checked_all_the_same(
    shop: Shop, open_system, models: OpenAIHost, server: RunningModelServer, moment: int
) -> None:
    """Crashed after each of its calls in turn, the agent comes to the same end with the same requests."""
    implementing(shop, "sprawling")
    system = await open_system(shop, models=models)
    before = await asked(server)
    system.work()
    run = await system.submit(constraints=("Single file only",), budget_usd="0.1")
    await system.until(run, lambda run: done_calls(run) >= moment or run.closed is not None)
    await system.crash()
    system.work()
    failed = await system.ended(run)
    assert failed.category is ErrorCategory.INVALID_OUTPUT
    assert "files outside the tests" in failed.reason
    assert len(failed.calls) == 6
    assert await asked(server) - before <= 5, "one model call may have been cut off by the crash"
    await system.spent(run)


def done_calls(run: Any) -> int:
    return sum(call.state == "done" for call in run.calls.values())


async def test_an_agent_is_told_once_that_its_money_runs_out(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    implementing(shop, "busy", max_turns=9)
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(budget_usd="1.00")
    assert (await system.ended(run)).status is Status.COMPLETED, (await system.run(run)).reason
    assert await system.platform.reading.output(ALICE, run, "work") == {"summary": "told to finish"}
    assert system.outside.count("dear") == 4
    payloads = [event["payload"] for event in await system.events(run) if event["payload"]]
    told = [each for each in payloads if "budget is spent" in str(each.get("action"))]
    assert len(told) == 1


async def test_a_resumed_agent_is_told_at_the_same_place(
    shop: Shop, open_system, models: OpenAIHost, server: RunningModelServer
) -> None:
    implementing(shop, "busy", max_turns=9)
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(budget_usd="1.00")
    await system.until(run, lambda run: run.allotment.spent > 800_000)
    await system.crash()
    before = await asked(server)
    system.work()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert len((await system.run(run)).calls) == 4 + 5
    assert await asked(server) - before <= 1


async def test_a_context_item_that_fails_fails_the_run_with_its_reason(shop: Shop, open_system) -> None:
    shop.workflow(context=[{"id": "facts", "uses": "shop.fragile", "input": {"text": "no facts today"}}])
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    failed = await system.ended(run)
    assert failed.category is ErrorCategory.TOOL_FAILED
    assert "no facts today" in failed.reason
    assert failed.steps["$context"].category is ErrorCategory.TOOL_FAILED
    assert "work" not in failed.steps
