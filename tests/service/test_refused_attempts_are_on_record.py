"""What an agent asked for and was refused is an event of its run: every kind of refusal, bounded, on both stores."""

from typing import Any

import pytest

from bailiwick.app import CallRefused, Context
from bailiwick.base import canonical, digest_of
from bailiwick.ports import Recorded
from bailiwick.run import NOTED_PER_STEP
from platform_fixtures import Opener
from platform_kit import ROOT, Hand, System
from shop_kit import Shop

GIT = {"repository": "r", "base": "0" * 40, "branch": "b", "message": "m"}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown tool": ("shop.nobody", {"text": "x"}, "unknown_capability"),
    "unknown version": ("shop.read@9", {"text": "x"}, "unknown_capability"),
    "no name at all": ("no such name!", {}, "invalid_reference"),
    "off its schema": ("shop.read", {"words": "x"}, "arguments_do_not_fit"),
    "a field too many": ("shop.read", {"text": "x", "more": 1}, "arguments_do_not_fit"),
    "not given, off its schema": ("shop.undeclared", {"words": "x"}, "arguments_do_not_fit"),
    "too large": ("shop.read", {"text": "x" * 9_000_000}, "arguments_too_large"),
    "no such artifact": ("git.apply", {**GIT, "patch": "a" * 64}, "not_found"),
}


async def attempts(system: System, run: str) -> list[dict[str, Any]]:
    return [event for event in await system.events(run) if event["kind"] == "attempt.refused"]


@pytest.mark.parametrize("kind", REFUSED)
async def test_each_kind_of_refused_attempt_leaves_an_event(kind: str, started: Hand) -> None:
    tool, arguments, code = REFUSED[kind]
    answer = await started.act("x:", capability=tool, arguments=arguments)
    assert isinstance(answer, Recorded), answer
    assert answer.state == "refused"
    (event,) = await attempts(started.system, started.assignment.run)
    tried = {"capability": tool, "arguments": arguments}
    assert (event["code"], event["step"], event["capability"]) == (code, "work", tool)
    assert event["digest"] == digest_of(canonical(tried))
    assert event["actor"] == f"worker:{started.session}"
    assert event["payload"]["reason"] == answer.reason
    small = len(canonical(tried)) < 10_000
    assert event["payload"]["attempt"] == (tried if small else {"bytes": len(canonical(tried))})


async def test_what_policy_denies_stays_an_action_of_the_journal(started: Hand) -> None:
    await started.act("never")
    assert await attempts(started.system, started.assignment.run) == []
    assert [event["call"]["state"] for event in await journal(started)] == ["refused"]


async def journal(hand: Hand) -> list[dict[str, Any]]:
    events = await hand.system.events(hand.assignment.run)
    return [event for event in events if event["kind"] == "action.moved"]


async def test_a_step_leaves_twenty_and_then_a_count(started: Hand) -> None:
    system, run = started.system, started.assignment.run
    for number in range(1, 301):
        await started.act("nobody", str(number), n=number)
    found = await attempts(system, run)
    assert len(found) <= NOTED_PER_STEP + 9
    assert [event.get("count", 1) for event in found][:NOTED_PER_STEP] == [1] * NOTED_PER_STEP
    await started.finish({})
    assert sum(event.get("count", 1) for event in await attempts(system, run)) == 300
    assert (await system.refolded(run)).closed == "completed"


async def test_an_agents_code_goes_on_and_leaves_what_it_tried(shop: Shop, open_system: Opener) -> None:
    shop.workflow()
    told: list[str] = []

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        for tool, arguments in (("shop.nobody", {}), ("shop.read", {"text": object()})):
            try:
                await ctx.tool(tool, arguments)
            except CallRefused as refused:
                told.append(refused.reason)
        return {}

    shop.scripts["clerk"] = clerk
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    assert (await system.ended(run)).closed == "completed"
    assert [event["code"] for event in await attempts(system, run)] == [
        "unknown_capability",
        "unreadable_arguments",
    ]
    assert "not JSON" in told[1]


async def test_what_was_tried_can_be_erased(started: Hand) -> None:
    system, run = started.system, started.assignment.run
    await started.act("nobody", "a secret")
    await started.finish({})
    (event,) = await attempts(system, run)
    await system.platform.erasing.erase(ROOT, run, event["seq"], "personal data")
    (event,) = await attempts(system, run)
    assert (event["payload"], event["code"]) == (None, "unknown_capability")
