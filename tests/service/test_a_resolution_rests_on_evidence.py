"""Who resolves an action says what it answered, held to its contract; or that nobody knows, and then only its readers fail."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.app import Context, OutputUnknown
from bailiwick.contract import ErrorCategory
from bailiwick.run import CallState, Run, Status, StepStatus
from bailiwick.service.core.refusals import EvidenceUnfit
from platform_fixtures import Opener
from platform_kit import ALICE, System
from shop_kit import Shop

Agent = Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any]]]
WIRE = {"id": "pay", "uses": "shop.wire", "input": {"text": "x"}}
READ = {"id": "read", "uses": "shop.read", "input": {"text": "$.steps.pay.output.said"}, "after": ["pay"]}
OTHER = {"id": "other", "uses": "shop.read", "input": {"text": "y"}, "after": ["pay"]}


@pytest.fixture(autouse=True)
def goes_dead(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the line go dead behind each wire that arrived."""
    arrive = shop.outside.arrive

    async def arrives(tool: str, text: str, key: str = "") -> None:
        await arrive(tool, text, key)
        if tool == "wire":
            raise ConnectionResetError("the line went dead")

    monkeypatch.setattr(shop.outside, "arrive", arrives)


async def blocked(opener: Opener, shop: Shop, *steps: dict[str, Any]) -> tuple[System, str, str]:
    """Run until the wire of the first step is a question; answer the system, the run, and the wire's key."""
    shop.workflow(*steps)
    system = await opener(shop)
    id = await system.submit(input={})
    system.work()
    run = await system.status(id, Status.BLOCKED)
    (call,) = (call for call in run.calls.values() if call.state is CallState.UNKNOWN)
    return system, id, call.key


async def say(system: System, run: str, key: str, output: Any = None, **fields: Any) -> Run:
    given = {"done": True, "output": output, "reason": "looked", **fields}
    return await system.platform.control.resolve(ALICE, run, key, **given)


async def test_what_does_not_fit_is_refused_with_the_fault_and_the_form(
    shop: Shop, open_system: Opener
) -> None:
    system, run, key = await blocked(open_system, shop, WIRE)
    before = (await system.refolded(run)).version
    for wrong in ({"said": 7}, {"said": {"x": "y"}}, ["said"], "said"):
        with pytest.raises(EvidenceUnfit) as refusal:
            await say(system, run, key, wrong)
        assert refusal.value.facts["errors"]
    assert (await system.refolded(run)).version == before, "nothing was lost, and nothing recorded"
    await say(system, run, key, {"said": "ref 7"}, reference="bank/7")
    assert (await system.ended(run)).status is Status.COMPLETED
    told = next(event for event in await system.events(run) if "reference" in (event["payload"] or {}))
    assert (told["payload"]["reference"], told["actor"]) == ("bank/7", "user:alice")


async def test_the_question_brings_its_form(shop: Shop, open_system: Opener) -> None:
    @shop.app.tool("shop.wire", version="1.2.0", effect="external-action", failure_modes=("timeout",))
    async def wire(text: str) -> dict[str, str]:
        raise ConnectionResetError

    system, run, _ = await blocked(open_system, shop, {**WIRE, "uses": "shop.wire@1.2"})
    detail = await system.platform.reading.detail(ALICE, run)
    (question,) = detail.questions
    assert question.form == {}
    assert [way.command.split(" --")[1].split()[0] for way in detail.ways] == ["done", "done", "failed"]


async def test_a_tool_step_that_is_done_without_its_answer_succeeds_with_no_output(
    shop: Shop, open_system: Opener
) -> None:
    system, id, key = await blocked(open_system, shop, WIRE, OTHER)
    await say(system, id, key)
    run = await system.ended(id)
    assert run.status is Status.COMPLETED
    assert (run.steps["pay"].status, run.steps["pay"].output_seq) == (StepStatus.SUCCEEDED, 0)
    assert await system.platform.reading.output(ALICE, id, "pay") is None
    assert shop.outside.count("wire") == 1


@pytest.mark.parametrize(
    "reads",
    [
        READ,
        {**OTHER, "id": "read", "when": 'steps.pay.output.said == "ok"'},
        {**OTHER, "id": "read", "uses": "clerk", "input": {"all": "$.steps.pay.output"}},
    ],
    ids=["a part of it", "a condition", "all of it"],
)
async def test_only_a_step_that_reads_the_answer_fails_and_says_why(
    shop: Shop, open_system: Opener, reads: dict[str, Any]
) -> None:
    system, id, key = await blocked(
        open_system, shop, WIRE, {**OTHER, "reason": "free"}, {**reads, "reason": "free"}
    )
    await say(system, id, key)
    run = await system.ended(id)
    assert run.status is Status.FAILED
    failed = run.steps["read"]
    assert (failed.status, failed.category) == (StepStatus.FAILED, ErrorCategory.TOOL_FAILED)
    assert "step pay is done, and what its action answered is not known" in failed.reason
    assert f"bailiwick runs resolve {id} {key} --done --result" in failed.reason


@pytest.mark.parametrize("condition", ["!has(steps.pay.output)", 'steps.pay.status == "succeeded"'])
async def test_a_condition_that_does_not_need_the_answer_is_decided(
    shop: Shop, open_system: Opener, condition: str
) -> None:
    system, id, key = await blocked(open_system, shop, WIRE, {**OTHER, "when": condition})
    await say(system, id, key)
    run = await system.ended(id)
    assert (run.status, run.steps["other"].status) == (Status.COMPLETED, StepStatus.SUCCEEDED)


async def test_the_answer_can_be_said_later(shop: Shop, open_system: Opener) -> None:
    system, id, key = await blocked(open_system, shop, WIRE, {**READ, "on_error": "human"})
    await say(system, id, key)
    await system.until(id, lambda run: run.steps.get("read") is not None and run.status is Status.BLOCKED)
    with pytest.raises(EvidenceUnfit):
        await say(system, id, key, {"said": 7})
    await say(system, id, key, {"said": "ref 7"})
    assert await system.platform.reading.output(ALICE, id, "pay") == {"said": "ref 7"}
    await system.platform.control.resume(ALICE, id)
    run = await system.ended(id)
    assert run.status is Status.COMPLETED
    assert ("read", "ref 7") in shop.outside.calls


async def test_an_agent_is_told_that_it_is_done_and_may_go_on(shop: Shop, open_system: Opener) -> None:
    told: list[OutputUnknown] = []

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        try:
            await ctx.tool("shop.wire", {"text": "x"})
        except OutputUnknown as lack:
            told.append(lack)
        return {"paid": True}

    shop.scripts["clerk"] = clerk
    system, id, key = await blocked(open_system, shop, {"id": "work", "uses": "clerk", "input": {}})
    await say(system, id, key)
    assert (await system.ended(id)).status is Status.COMPLETED
    assert [(each.capability, each.reason) for each in told] == [("shop.wire", "looked")]


async def test_an_agent_that_needs_the_answer_fails_with_a_clear_reason(
    shop: Shop, open_system: Opener
) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        said = await ctx.tool("shop.wire", {"text": "x"})
        return {"said": said["said"]}

    shop.scripts["clerk"] = clerk
    step = {"id": "work", "uses": "clerk", "input": {}, "on_error": "human"}
    system, id, key = await blocked(open_system, shop, step)
    await say(system, id, key)
    run = await system.until(id, lambda run: "what it answered is not known" in run.steps["work"].reason)
    assert run.steps["work"].category is ErrorCategory.TOOL_FAILED
    await say(system, id, key, {"said": "ref 7"})
    await system.platform.control.resume(ALICE, id)
    assert (await system.ended(id)).status is Status.COMPLETED
    assert shop.outside.count("wire") == 1
