"""A tool that a step was not given answers like one that does not exist, whatever is asked of it."""

from typing import Any

import pytest

from bailiwick.ports import Recorded
from platform_kit import Hand, System

GIVEN: tuple[dict[str, Any], ...] = (
    {"arguments": {"text": "x"}},
    {"arguments": {}},
    {"arguments": {"text": 3}},
    {"arguments": {"text": "x", "more": 1}},
)


async def told(hand: Hand, capability: str, **changes: Any) -> Recorded:
    """Ask for a capability; the name that was asked for is taken out of the answer."""
    answer = await hand.act("any", capability=capability, **changes)
    assert isinstance(answer, Recorded), answer
    assert capability in answer.reason
    return Recorded("", answer.state, answer.outcome, answer.category, answer.reason.replace(capability, "?"))


@pytest.mark.parametrize("changes", GIVEN, ids=str)
@pytest.mark.parametrize("suffix", ["", "@1", "@1.0.0", "@7"])
async def test_a_tool_of_others_answers_like_one_that_is_not_there(
    system: System, started: Hand, changes: dict[str, Any], suffix: str
) -> None:
    there = await told(started, f"shop.undeclared{suffix}", **changes)
    assert there == await told(started, f"shop.nothing{suffix}", **changes)
    assert system.outside.calls == []


async def test_a_tool_with_facts_tells_nothing_of_them(system: System, started: Hand) -> None:
    """The facts of `git.apply` are read from an artifact: that there is none would say that the tool is there."""
    asked = {"repository": "r", "base": "0" * 40, "subject": "0" * 64, "message": "m"}
    there = await told(started, "git.apply", arguments=asked)
    assert there == await told(started, "git.nothing", arguments=asked)


async def test_what_the_step_was_given_is_told_its_mistake(system: System, started: Hand) -> None:
    answer = await started.act("read", arguments={"text": 3})
    assert isinstance(answer, Recorded)
    assert "the arguments do not fit shop.read@1.0.0: /text" in answer.reason


async def test_the_attempt_on_a_tool_of_others_is_on_record(system: System, started: Hand) -> None:
    await started.act("undeclared")
    call = (await system.calls(started.assignment.run))["undeclared"]
    assert call.state == "refused"
    assert "shop.undeclared" in call.capability
