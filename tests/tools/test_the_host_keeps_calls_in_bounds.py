"""The host: a call ends in time, in its schema, in bounds, and says truly whether something may have happened."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tools_kit import TENANT, Hand

from bailiwick.base import Category, Refusal, canonical, digest_of
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind
from bailiwick.ports import CallFailed, FrameSink, Stop, ToolCall, ToolResult
from bailiwick.stores import DiskBlobs
from bailiwick.tools import Redactor, Tool, Tools

Make = Callable[..., Hand]
WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


def contract(effect: EffectClass = EffectClass.READ_ONLY, **fields: Any) -> Contract:
    base = {
        "name": "t.echo",
        "version": "1.2.0",
        "kind": Kind.TOOL,
        "effect": effect,
        "input": {"type": "object"},
        "output": TEXT,
    }
    return Contract(**{**base, **fields})


def answering(output: Any) -> Callable[[ToolCall, FrameSink, Stop], Any]:
    async def run(_call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        return ToolResult(output)

    return run


def raising(error: BaseException) -> Callable[[ToolCall, FrameSink, Stop], Any]:
    async def run(_call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        raise error

    return run


async def waiting(_call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
    await asyncio.Event().wait()
    raise AssertionError


class Forbidden(Refusal):
    code = "no_entry"
    category = Category.FORBIDDEN


@pytest.mark.parametrize("effect", EffectClass)
async def test_a_call_that_takes_too_long_ends_as_timeout(host_of: Make, effect: EffectClass) -> None:
    hand = host_of(Tool(contract(effect), waiting))
    with pytest.raises(CallFailed) as failed:
        await hand("t.echo", seconds=0.01)
    assert failed.value.category is ErrorCategory.TIMEOUT
    assert failed.value.ambiguous is (effect in WRITES)


@pytest.mark.parametrize("effect", EffectClass)
async def test_a_stop_ends_a_call_at_once(host_of: Make, effect: EffectClass) -> None:
    started = asyncio.Event()

    async def run(_call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    hand, stop = host_of(Tool(contract(effect), run)), Stop()
    call = asyncio.ensure_future(hand("t.echo", stop=stop))
    await started.wait()
    stop.request("the run was canceled")
    with pytest.raises(CallFailed, match="the run was canceled") as failed:
        await call
    assert failed.value.category is ErrorCategory.CANCELED
    assert failed.value.ambiguous is (effect in WRITES)


async def test_a_stop_before_the_call_keeps_it_from_beginning(host_of: Make) -> None:
    stop = Stop()
    stop.request("halted")
    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(EffectClass.EXTERNAL_ACTION), raising(AssertionError())))(
            "t.echo", stop=stop
        )
    assert failed.value.category is ErrorCategory.CANCELED
    assert not failed.value.ambiguous


async def test_a_result_that_came_with_the_stop_is_kept(host_of: Make) -> None:
    async def run(_call: ToolCall, _sink: FrameSink, stop: Stop) -> ToolResult:
        stop.request("late")
        return ToolResult({"text": "done"})

    assert await host_of(Tool(contract(EffectClass.EXTERNAL_ACTION), run))("t.echo", stop=Stop()) == {
        "text": "done"
    }


async def test_a_host_that_is_cancelled_cancels_the_tool(host_of: Make) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def run(_call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    call = asyncio.ensure_future(host_of(Tool(contract(), run))("t.echo"))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set()


@pytest.mark.parametrize("effect", EffectClass)
@pytest.mark.parametrize("error", [ValueError("bad luck"), SystemExit(3), KeyError("x")])
async def test_an_exception_leaves_a_write_unknown_and_a_read_failed(
    host_of: Make, effect: EffectClass, error: BaseException
) -> None:
    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(effect), raising(error)))("t.echo")
    assert failed.value.category is ErrorCategory.TOOL_FAILED
    assert failed.value.ambiguous is (effect in WRITES)


async def test_a_refusal_says_that_nothing_was_done_and_what_to_do(host_of: Make) -> None:
    refusal = Forbidden("not here", remedy="go there")
    with pytest.raises(CallFailed, match="no_entry: not here; go there") as failed:
        await host_of(Tool(contract(EffectClass.EXTERNAL_ACTION), raising(refusal)))("t.echo")
    assert failed.value.category is ErrorCategory.DENIED
    assert not failed.value.ambiguous


async def test_a_tools_own_failure_is_passed_on_as_it_is(host_of: Make) -> None:
    own = CallFailed(ErrorCategory.RATE_LIMITED, "slow down", unsent=True, retry_after=3.0)
    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(EffectClass.EXTERNAL_ACTION), raising(own)))("t.echo")
    got = failed.value
    assert (got.category, got.message, got.unsent, got.retry_after) == (
        ErrorCategory.RATE_LIMITED,
        "slow down",
        True,
        3.0,
    )


@pytest.mark.parametrize(
    "output", [{}, {"text": 1}, {"text": "a", "more": 1}, {"text": {1, 2}}, "text", None]
)
async def test_an_output_that_does_not_fit_is_no_result(host_of: Make, output: Any) -> None:
    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(), answering(output)))("t.echo")
    assert failed.value.category is ErrorCategory.INVALID_OUTPUT


async def test_a_large_output_becomes_an_artifact(host_of: Make, blobs: DiskBlobs) -> None:
    large = {"text": "x" * 300_000}
    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(), answering(large)))("t.echo")
    digest = digest_of(canonical(large))
    assert failed.value.partial == {"artifact": digest, "bytes": len(canonical(large))}
    assert await blobs.get(TENANT, digest) == canonical(large)
    ready = contract(output={"type": "object"})
    assert (await host_of(Tool(ready, answering(large)))("t.echo"))["artifact"] == digest


async def test_a_long_message_is_cut(host_of: Make) -> None:
    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(), raising(ValueError("x\0\ud800" * 9999))))("t.echo")
    assert len(failed.value.message) < 1100
    assert "\0" not in failed.value.message
    assert failed.value.message.encode()


async def test_arguments_are_held_to_the_contract_of_the_tool_that_serves(host_of: Make) -> None:
    strict = contract(input={"type": "object", "properties": {}, "additionalProperties": False})
    with pytest.raises(CallFailed, match="arguments do not fit"):
        await host_of(Tool(strict, answering({"text": ""})))("t.echo", surplus=1)


@pytest.mark.parametrize(
    ("change", "served"),
    [
        ({}, True),
        ({"version": "1.0.0"}, True),
        ({"version": "1.2.9"}, True),
        ({"code": "other"}, True),
        ({"version": "1.3.0"}, False),
        ({"version": "2.0.0"}, False),
        ({"name": "t.other"}, False),
        ({"summary": "another text under the same version"}, False),
        ({"version": "1.0.0", "effect": EffectClass.METERED}, False),
    ],
    ids=str,
)
async def test_a_pinned_contract_is_served_by_itself_or_a_later_minor(
    host_of: Make, change: dict[str, Any], served: bool
) -> None:
    hand = host_of(Tool(contract(), answering({"text": "hi"})))
    pinned = msgspec.structs.replace(contract(), **change)
    call = ToolCall(pinned, {}, "k", TENANT, "run", "step", None, 5.0)
    if served:
        assert (await hand.host.execute(call, hand.frames.append, Stop())).output == {"text": "hi"}
    else:
        with pytest.raises(CallFailed, match="unknown_tool") as failed:
            await hand.host.execute(call, hand.frames.append, Stop())
        assert not failed.value.ambiguous


def test_one_name_and_version_is_registered_once(blobs: DiskBlobs) -> None:
    tool = Tool(contract(), waiting)
    with pytest.raises(ValueError, match="registered twice"):
        Tools([tool, tool], blobs=blobs, redactor=Redactor())


async def test_frames_reach_the_sink_while_the_tool_runs(host_of: Make) -> None:
    async def run(_call: ToolCall, sink: FrameSink, _stop: Stop) -> ToolResult:
        sink({"type": "output", "text": "one"})
        sink({"type": "progress", "done": 1})
        return ToolResult({"text": ""})

    hand = host_of(Tool(contract(), run))
    await hand("t.echo")
    assert hand.frames == [{"type": "output", "text": "one"}, {"type": "progress", "done": 1}]


async def test_a_tool_that_ignores_the_end_is_left_behind(
    host_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick.tools.host.GRACE_SECONDS", 0.01)
    release, ended = asyncio.Event(), asyncio.Event()

    async def stubborn(_call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()
        ended.set()
        raise ValueError("nobody listens any more")

    with pytest.raises(CallFailed) as failed:
        await host_of(Tool(contract(), stubborn))("t.echo", seconds=0.01)
    assert failed.value.category is ErrorCategory.TIMEOUT
    release.set()
    await ended.wait()
