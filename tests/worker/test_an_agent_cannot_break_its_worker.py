"""Whatever an agent's code raises, swallows or ignores: its step ends as it should, and the worker works on."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.app import CallRefused, Context, Parking
from bailiwick.contract import ErrorCategory
from bailiwick.run import CallState, Status, StepStatus
from platform_kit import ALICE, BOB, System, decide_seen, soon
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long


class Odd(BaseException):
    """Neither an Exception nor one of ours."""


def raising(error: BaseException) -> Callable[..., Any]:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        raise error

    return clerk


async def canceling_itself(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.Event().wait()
    return {}


ENDS = [
    (raising(ValueError("no")), "ValueError: no"),
    (raising(SystemExit(3)), "SystemExit: 3"),
    (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    (raising(Odd("odd")), "Odd: odd"),
    (raising(Parking("I park myself")), "Parking"),
    (raising(asyncio.CancelledError()), "CancelledError"),
    (raising(RecursionError("deep")), "RecursionError"),
    (raising(BaseExceptionGroup("many", [Odd("odd")])), "many"),
    (canceling_itself, "CancelledError"),
]


@pytest.mark.parametrize(("code", "reason"), ENDS, ids=[reason for _, reason in ENDS])
async def test_whatever_code_raises_fails_its_step_alone(
    shop: Shop, system: System, code: Callable[..., Any], reason: str
) -> None:
    shop.scripts["clerk"] = code
    system.work()
    failed = await system.ended(await system.submit())
    step = failed.steps["work"]
    assert (failed.status, step.category) == (Status.FAILED, ErrorCategory.INTERNAL)
    assert reason in step.reason
    shop.scripts["clerk"] = says({"fine": True})
    assert (await system.ended(await system.submit())).status is Status.COMPLETED


def says(output: Any) -> Callable[..., Any]:
    async def clerk(ctx: Context, given: dict[str, Any]) -> Any:
        return output

    return clerk


@pytest.mark.parametrize(
    "output",
    [None, [1], "text", {"a": float("nan")}, {"a": {1, 2}}, {"a": b"x"}, {1: 2}, {"a": 2**70}],
    ids=["none", "list", "text", "nan", "set", "bytes", "int-key", "huge"],
)
async def test_what_is_no_json_object_is_no_output(shop: Shop, system: System, output: Any) -> None:
    shop.scripts["clerk"] = says(output)
    system.work()
    failed = await system.ended(await system.submit())
    assert failed.category is ErrorCategory.INVALID_OUTPUT


async def test_an_output_that_does_not_fit_the_contract_fails_the_attempt(shop: Shop, open_system) -> None:
    shop.app.agent("strict", output={"count": int}, run=says({"count": "many"}))
    shop.workflow({"id": "work", "uses": "strict", "input": {}})
    system = await open_system(shop)
    system.work()
    failed = await system.ended(await system.submit())
    assert failed.category is ErrorCategory.INVALID_OUTPUT
    assert "/count" in failed.reason


@pytest.mark.parametrize("swallow", ["exception", "base", "task group", "gather"])
async def test_parking_cannot_be_swallowed(shop: Shop, system: System, swallow: str) -> None:
    after: list[str] = []

    async def pay(ctx: Context) -> Any:
        return await ctx.tool("shop.pay", {"text": "ten"})

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        try:
            match swallow:
                case "task group":
                    async with asyncio.TaskGroup() as group:
                        task = group.create_task(pay(ctx))
                    paid = task.result()
                case "gather":
                    (paid,) = await asyncio.gather(pay(ctx), return_exceptions=True)
                    if isinstance(paid, BaseException):
                        after.append("went on")
                        return {"paid": None}
                case _:
                    paid = await pay(ctx)
        except Exception:  # as a careless author would write it
            after.append("swallowed an Exception")
            return {"paid": None}
        except BaseException:  # as a reckless author would write it
            if swallow != "base":
                raise
            after.append("went on")
            with pytest.raises(Parking):
                await ctx.tool("shop.write", {"text": "behind the gate's back"})
            return {"paid": None}
        return {"paid": paid}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    waiting = await system.status(run, Status.WAITING_FOR_APPROVAL)
    assert waiting.steps["work"].status is StepStatus.WAITING
    await decide_seen(system.platform, BOB, (await system.approval(run)).id, approve=True)
    done = await system.ended(run)
    assert done.status is Status.COMPLETED
    assert (await system.platform.reading.output(ALICE, run, "work")) == {"paid": {"said": "ten"}}
    assert system.outside.calls == [("pay", "ten")]
    assert "swallowed an Exception" not in after


async def test_a_refusal_is_a_typed_answer_that_an_agent_goes_on_from(shop: Shop, system: System) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        told = {}
        for tool in ("shop.undeclared", "shop.never", "shop.fragile", "no such!"):
            try:
                await ctx.tool(tool, {"text": "x"})
            except CallRefused as refused:
                told[tool] = [refused.state, refused.category]
        return told

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert await system.platform.reading.output(ALICE, run, "work") == {
        "shop.undeclared": ["refused", "denied"],
        "shop.never": ["refused", "denied"],
        "shop.fragile": ["failed", "tool-failed"],
        "no such!": ["refused", "invalid-output"],
    }
    assert system.outside.calls == [("fragile", "x")]


async def test_what_an_agent_changes_in_its_hands_changes_no_record(shop: Shop, open_system) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        read = await ctx.tool("shop.read", {"text": "true"})
        read["said"] = "forged"
        given["more"] = "forged"
        return {"list": [1]}

    async def other(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        given["from"]["list"].append(2)
        return dict(given)

    shop.scripts |= {"clerk": clerk, "other": other}
    shop.workflow(
        {"id": "one", "uses": "clerk", "input": {}},
        {"id": "two", "uses": "other", "input": {"from": "$.steps.one.output"}},
    )
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    await system.ended(run)
    assert await system.platform.reading.output(ALICE, run, "one") == {"list": [1]}
    events = await system.events(run)
    outcomes = [event["payload"]["outcome"] for event in events if event["kind"] == "action.moved"]
    assert outcomes == [{"said": "true"}]


async def test_a_call_that_the_agent_gave_up_on_is_still_recorded(shop: Shop, system: System) -> None:
    entered = system.outside.shut("write")

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        writing = asyncio.ensure_future(ctx.tool("shop.write", {"text": "slow"}))
        await entered.wait()
        writing.cancel()
        system.outside.doors["write"].set()
        return {"gave": "up"}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert (await system.calls(run))["write"].state is CallState.DONE
    assert len(system.outside.effects) == 1


async def test_a_call_on_its_way_is_recorded_before_its_agent_s_failure(shop: Shop, system: System) -> None:
    entered = system.outside.shut("mail")
    calls: list[asyncio.Future[Any]] = []

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        calls.append(asyncio.ensure_future(ctx.tool("shop.mail", {"text": "x"})))
        await entered.wait()
        asyncio.get_running_loop().call_soon(system.outside.doors["mail"].set)
        raise ValueError("no")

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    assert (await system.ended(run)).category is ErrorCategory.INTERNAL
    assert (await system.calls(run))["mail"].state is CallState.DONE
    assert (await calls[0]) == {"said": "x"}


async def test_two_calls_under_one_key_are_one_effect(shop: Shop, system: System) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        calls = (ctx.tool("shop.mail", {"text": "hello"}, key="once") for _ in range(3))
        return {"said": await asyncio.gather(*calls)}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert system.outside.calls == [("mail", "hello")]
    output = await system.platform.reading.output(ALICE, run, "work")
    assert output == {"said": [{"said": "hello"}] * 3}


async def test_no_more_tasks_than_slots_are_worked_on(shop: Shop, system: System) -> None:
    inside = 0
    most = 0
    open_door = asyncio.Event()
    full = asyncio.Event()

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 3:
            full.set()
        await open_door.wait()
        inside -= 1
        return {}

    shop.scripts["clerk"] = clerk
    runs = [await system.submit() for _ in range(7)]
    system.work(slots=3)
    await soon(full.wait())
    for _ in range(3):  # a worker that asked for more would have got it by then
        await system.store.queue.claimable(list(system.capabilities), 1)
        runs.append(await system.submit())
    open_door.set()
    for run in runs:
        assert (await system.ended(run)).status is Status.COMPLETED
    assert most == 3


async def test_frames_reach_whoever_watches_and_carry_their_call(shop: Shop, system: System) -> None:
    go = asyncio.Event()

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await go.wait()
        ctx.say("working on it")
        await ctx.tool("shop.quote", {"text": "x"})
        return {}

    shop.scripts["clerk"] = clerk
    run = await system.submit()
    watcher = system.platform.streams.watch(run)
    system.work()
    go.set()
    await system.ended(run)
    (frame,) = [frame for frame in watcher.take() if frame["type"] == "text"]
    assert (frame["text"], frame["step"], frame["key"]) == ("working on it", "work", "")


async def test_a_worker_whose_session_ends_opens_another_and_goes_on(shop: Shop, system: System) -> None:
    entered, go = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        seen.append("in")
        entered.set()
        await go.wait()
        await ctx.tool("shop.write", {"text": "x"})
        return {}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await soon(entered.wait())
    await system.store.queue.end_sessions()
    sessions = system.platform.sessions
    for session in list(sessions._open.values()):
        sessions._end(session, "ended by the test")
    while not await system.platform.recovering.reap():
        await asyncio.sleep(0)
    go.set()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert len(seen) == 2
    assert len(system.outside.effects) == 1
    assert sys.exc_info() == (None, None, None)
