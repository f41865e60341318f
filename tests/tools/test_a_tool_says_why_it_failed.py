"""A tool may say no and be believed; of any other failure the cause is told, with its place, and nothing of the host ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tools_kit import Hand

from bailiwick.app import App, ToolFailed
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.ports import CallFailed
from bailiwick.tools import function_tool

Make = Callable[..., Hand]


async def failure(
    host_of: Make, function: Callable[..., Any], effect: EffectClass = EffectClass.READ_ONLY
) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await host_of(function_tool(function, name="t", effect=effect))("t")
    return failed.value


@pytest.mark.parametrize("effect", [EffectClass.READ_ONLY, EffectClass.EXTERNAL_ACTION])
async def test_a_tool_that_says_no_did_nothing(host_of: Make, effect: EffectClass) -> None:
    def no() -> int:
        raise ToolFailed("the shop is closed", category="conflict")

    failed = await failure(host_of, no, effect)
    assert (failed.category, failed.message) == (ErrorCategory.CONFLICT, "the shop is closed")
    assert (failed.ambiguous, failed.unsent) == (False, False)


async def test_a_tool_that_says_later_is_asked_again(host_of: Make) -> None:
    async def later() -> int:
        raise ToolFailed("too many", category="rate-limited", retry_after=3)

    failed = await failure(host_of, later, EffectClass.EXTERNAL_ACTION)
    assert (failed.category, failed.unsent, failed.retry_after) == (ErrorCategory.RATE_LIMITED, True, 3)
    assert not failed.ambiguous


@pytest.mark.parametrize(
    "bad", [{"category": "poison"}, {"category": "odd"}, {"retry_after": 0}, {"retry_after": float("nan")}]
)
def test_what_a_tool_cannot_mean_by_no_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"category|retry_after"):
        ToolFailed("no", **bad)


async def test_a_group_of_errors_tells_what_its_members_say(host_of: Make) -> None:
    async def boom() -> None:
        raise ValueError("the index is missing")

    async def group() -> int:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(boom())
        return 1

    failed = await failure(host_of, group)
    assert failed.message.startswith("ValueError: the index is missing (test_a_tool_says_why_it_failed.py:")


async def test_a_large_group_of_errors_is_told_in_part(host_of: Make) -> None:
    def group() -> int:
        raise ExceptionGroup("many", [ValueError(str(n)) for n in range(9)])

    assert (await failure(host_of, group)).message.endswith("; and 6 more")


async def test_an_error_that_cannot_say_what_it_is_is_named(host_of: Make) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def fail() -> int:
        raise Mute

    assert "Mute: (its text cannot be told: RuntimeError)" in (await failure(host_of, fail)).message


async def test_a_tool_that_cancels_itself_did_not_run_out_of_time(host_of: Make) -> None:
    async def cancel() -> int:
        raise asyncio.CancelledError("connection lost")

    failed = await failure(host_of, cancel)
    assert failed.category is ErrorCategory.TOOL_FAILED
    assert "canceled itself" in failed.message


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
async def test_what_would_end_a_process_leaves_a_write_unknown(
    host_of: Make, kind: type[BaseException]
) -> None:
    def fail() -> int:
        raise kind

    assert (await failure(host_of, fail, EffectClass.EXTERNAL_ACTION)).ambiguous


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": float("nan")}, "/a is nan"),
        ({"a": [1.5, {"b": float("inf")}]}, "/a/1/b is inf"),
        ({"id": 2**53 + 1}, "/id is beyond 2^53"),
        ({"id": -(2**60)}, "/id is beyond 2^53"),
    ],
)
async def test_a_number_that_json_does_not_carry_is_refused_with_its_field(
    host_of: Make, value: dict[str, Any], place: str
) -> None:
    def give() -> dict[str, Any]:
        return value

    failed = await failure(host_of, give)
    assert failed.category is ErrorCategory.INVALID_OUTPUT
    assert place in failed.message


def test_a_decorated_function_is_the_function() -> None:
    app = App("a")

    @app.tool("t.add")
    def add(left: int) -> int:
        return left

    assert add(1) == 1
