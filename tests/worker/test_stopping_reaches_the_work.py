"""Cancel and halt reach what is under way: a model's stream, a read, a write that may land, code that computes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from bailiwick.app import CallRefused, Context
from bailiwick.budget import Price
from bailiwick.contract import ErrorCategory
from bailiwick.models import OpenAIHost, ProviderConfig
from bailiwick.ports import CallFailed, Message
from bailiwick.run import CallState, Status
from bailiwick.testing import RunningModelServer
from platform_kit import ALICE, ROOT, System, soon
from shop_kit import Shop

MODELS = ("plain", "slow", "tools", "structured", "rate-limited", "no-usage", "unavailable")


@pytest.fixture(scope="session")
def model_server():
    with RunningModelServer() as server:
        yield server


@pytest.fixture
async def models(model_server: RunningModelServer) -> AsyncIterator[OpenAIHost]:
    provider = ProviderConfig("scripted", model_server.base_url, MODELS)
    host = OpenAIHost([provider], lambda reference: "", lambda model: Price(1_000_000, 2_000_000, 1_000_000))
    yield host
    await host.close()


@pytest.fixture
async def talking(shop: Shop, open_system, models: OpenAIHost) -> System:
    """A platform whose clerk asks a model for a long answer."""

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        reply = await ctx.model("scripted:slow", [Message("user", "go on")], max_output_tokens=1200)
        return {"text": reply.message.text}

    shop.scripts["clerk"] = clerk
    shop.workflow()
    return await open_system(shop, models=models)


async def streaming(system: System, run: str) -> None:
    """Wait until the model's answer has begun to arrive."""
    watcher = system.platform.streams.watch(run)
    async with asyncio.timeout(20):
        while True:
            await watcher.wait(1)
            if any(frame["type"] == "text" for frame in watcher.take()):
                return


async def left_early(server: RunningModelServer) -> dict[str, Any]:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        log = (await client.get(f"{server.url}/_log", params={"settled": "true"})).json()
    return log["requests"][-1]


async def test_cancelling_closes_the_model_s_stream_within_a_second(
    talking: System, model_server: RunningModelServer
) -> None:
    talking.work()
    run = await talking.submit(budget_usd="0.01")
    await soon(streaming(talking, run))
    asked = asyncio.get_running_loop().time()
    await talking.platform.control.cancel(ALICE, run)
    ended = await talking.ended(run)
    assert asyncio.get_running_loop().time() - asked < 1
    assert ended.status is Status.CANCELED
    entry = await left_early(model_server)
    assert entry["peer_left"]
    (call,) = (await talking.refolded(run)).calls.values()
    assert (call.state, call.estimated) == (CallState.CANCELED, True)
    assert 0 < await talking.spent(run) < call.reserved
    (line,) = await talking.store.views.postings("acme", run)
    assert (line.ended, line.usage_source) == ("canceled", "estimated")


@pytest.mark.parametrize(("scope", "target"), [("model", "scripted:slow"), ("app", "shop"), ("run", "RUN")])
async def test_a_halt_stops_the_stream_and_lifting_it_asks_again(
    talking: System, model_server: RunningModelServer, scope: str, target: str
) -> None:
    talking.work()
    run = await talking.submit(budget_usd="0.05")
    await soon(streaming(talking, run))
    halt = await talking.platform.halts.set(ROOT, scope, target.replace("RUN", run), "wait")
    await talking.status(run, Status.BLOCKED)
    assert (await left_early(model_server))["peer_left"]
    (call,) = (await talking.refolded(run)).calls.values()
    assert call.state is CallState.LOST
    assert await talking.spent(run) > 0
    await talking.platform.halts.lift(ROOT, halt.id)
    await talking.until(run, lambda run: [call.tries for call in run.calls.values()] == [2])
    await talking.platform.control.cancel(ALICE, run)
    assert (await talking.ended(run)).status is Status.CANCELED
    await talking.spent(run)


async def test_cancelling_ends_a_read_at_once(shop: Shop, system: System) -> None:
    entered = system.outside.shut("slow")

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.slow", {"text": "x"})

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await soon(entered.wait())
    await system.platform.control.cancel(ALICE, run)
    assert (await system.ended(run)).status is Status.CANCELED
    assert (await system.calls(run))["slow"].state is CallState.CANCELED
    assert system.outside.calls == []


@pytest.mark.parametrize("tool", ["write", "mail"])
async def test_a_write_lands_and_is_recorded_as_landed_after_the_request(
    shop: Shop, system: System, tool: str
) -> None:
    entered = system.outside.shut(tool)

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        try:
            await ctx.tool(f"shop.{tool}", {"text": "x"})
        except CallRefused:
            return {"lost": True}
        await ctx.tool("shop.read", {"text": "must not run"})
        return {}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await soon(entered.wait())
    await system.platform.control.cancel(ALICE, run)
    await system.heeded()
    assert (await system.run(run)).closed is None
    system.outside.doors[tool].set()
    assert (await system.ended(run)).status is Status.CANCELED
    call = (await system.calls(run))[tool]
    assert call.state is CallState.DONE
    assert "after the request" in call.reason
    assert system.outside.calls == [(tool, "x")]


async def test_code_that_computes_or_waits_is_unwound(shop: Shop, system: System) -> None:
    entered = asyncio.Event()
    unwound: list[str] = []

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            unwound.append("yes")
        return {}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await soon(entered.wait())
    await system.platform.control.cancel(ALICE, run)
    assert (await system.ended(run)).status is Status.CANCELED
    assert unwound == ["yes"]


async def test_a_cancel_that_overtakes_the_assignment_is_heeded(shop: Shop, system: System) -> None:
    """The wire may bring the notice before the task that it speaks of."""
    real = system.port.claim
    claimed, deliver = asyncio.Event(), asyncio.Event()

    async def claim(session: str, limit: int, wait_seconds: float) -> Any:
        found = await real(session, limit, wait_seconds)
        if found:
            claimed.set()
            await deliver.wait()
        return found

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    shop.scripts["clerk"] = clerk
    system.port.claim = claim
    system.work()
    run = await system.submit()
    await soon(claimed.wait())
    await system.platform.control.cancel(ALICE, run)
    while not system.workers[0]._early:
        await asyncio.sleep(0)
    deliver.set()
    assert (await system.ended(run)).status is Status.CANCELED


async def test_a_halt_in_the_middle_of_a_write_lets_it_finish_if_it_is_quick(
    shop: Shop, system: System
) -> None:
    entered = system.outside.shut("mail")

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.mail", {"text": "x"})

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await soon(entered.wait())
    await system.platform.halts.set(ALICE, "run", run, "wait")
    await system.heeded()
    system.outside.doors["mail"].set()
    assert (await system.ended(run)).status is Status.COMPLETED, "nothing was left to halt"
    assert system.outside.count("mail") == 1


@pytest.mark.parametrize("what", ["halt", "cancel"])
async def test_what_was_proven_undone_is_not_tried_again_after_a_stop(
    shop: Shop, open_system, what: str
) -> None:
    tries: list[str] = []
    turned_away = asyncio.Event()

    @shop.app.tool("shop.crowded", effect="idempotent-write")
    async def crowded(text: str, key: str) -> dict[str, str]:
        tries.append(key)
        turned_away.set()
        raise CallFailed(ErrorCategory.RATE_LIMITED, "come back later", unsent=True, retry_after=20.0)

    async def insisting(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.crowded", {"text": "x"})

    shop.app.agent("insisting", output={"type": "object"}, run=insisting, tools=["shop.crowded"])
    shop.workflow({"id": "work", "uses": "insisting", "input": {}})
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    await soon(turned_away.wait())
    if what == "halt":
        await system.platform.halts.set(ROOT, "run", run, "stop")
        await system.status(run, Status.BLOCKED)
    else:
        await system.platform.control.cancel(ALICE, run)
        assert (await system.ended(run)).status is Status.CANCELED
    (call,) = (await system.refolded(run)).calls.values()
    assert call.state is (CallState.LOST if what == "halt" else CallState.CANCELED)
    assert (len(tries), await system.spent(run)) == (1, 0)


async def test_a_step_that_is_parked_finishes_what_it_has_on_the_way(shop: Shop, system: System) -> None:
    """One call finds no money while another is outside: that one's outcome is recorded, not lost."""
    entered = system.outside.shut("mail")

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        async def dear() -> None:
            await entered.wait()
            for n in range(9):
                await ctx.tool("shop.quote", {"text": str(n)})

        mail = ctx.tool("shop.mail", {"text": "x"})
        async with asyncio.TaskGroup() as group:
            group.create_task(dear())
            await mail
        return {}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit(budget_usd="0.001")
    blocked = await system.status(run, Status.BLOCKED)
    assert "budget exhausted" in blocked.steps["work"].reason
    for _ in range(100):
        await asyncio.sleep(0)
    system.outside.doors["mail"].set()
    await system.until(
        run,
        lambda run: any(
            call.state is CallState.DONE and "mail" in call.capability for call in run.calls.values()
        ),
    )
    await system.platform.control.resume(ALICE, run, add_micro_usd=10_000)
    assert (await system.ended(run)).status is Status.COMPLETED
    assert (system.outside.count("mail"), system.outside.count("quote")) == (1, 9)


async def test_a_halt_that_is_lifted_at_once_costs_one_try(shop: Shop, system: System) -> None:
    entered = system.outside.shut("quote")

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.quote", {"text": "x"})

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await soon(entered.wait())
    halt = await system.platform.halts.set(ROOT, "run", run, "stop")
    await system.platform.halts.lift(ROOT, halt.id)
    await system.until(run, lambda run: [call.tries for call in run.calls.values()] == [2])
    system.outside.doors["quote"].set()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert await system.spent(run) == 1000


async def test_a_halted_agent_is_entered_again_after_the_lift_and_replays(shop: Shop, system: System) -> None:
    entries: list[int] = []
    halted = asyncio.Event()

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        entries.append(1)
        await ctx.tool("shop.write", {"text": "first"})
        if len(entries) == 1:
            await system.platform.halts.set(ROOT, "app", "shop", "wait")
            halted.set()
        await ctx.tool("shop.write", {"text": "second"})
        return {}

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    await system.status(run, Status.BLOCKED)
    (halt,) = system.platform.halts.list("acme")
    await system.platform.halts.lift(ROOT, halt.id)
    assert (await system.ended(run)).status is Status.COMPLETED
    assert (len(entries), system.outside.calls) == (2, [("write", "first"), ("write", "second")])


async def test_a_rate_limit_is_waited_out_inside_the_call(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        reply = await ctx.model("scripted:rate-limited", [Message("user", given["id"])])
        return {"text": reply.message.text}

    shop.scripts["clerk"] = clerk
    shop.workflow({"id": "work", "uses": "clerk", "input": {"id": "$.intent.title"}})
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(title=f"limited on {type(system).__name__}")  # the server counts who asks again
    assert (await system.ended(run)).status is Status.COMPLETED
    (line,) = await system.store.views.postings("acme", run)
    assert line.tries == 2
    assert line.usage_source == "reported"
    assert await system.spent(run) == line.cost_micro_usd > 0


async def test_a_provider_without_capacity_costs_nothing_and_is_retried_by_the_step(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await ctx.model("scripted:unavailable", [Message("user", "hi")])
        return {}

    shop.scripts["clerk"] = clerk
    retry = {"on": ["transient"], "attempts": 2, "backoff_seconds": 0.1}
    shop.workflow({"id": "work", "uses": "clerk", "input": {}, "retry": retry})
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit()
    ended = await system.ended(run)
    assert (ended.status, ended.category) == (Status.FAILED, ErrorCategory.TRANSIENT)
    assert ended.steps["work"].attempt == 2
    assert await system.spent(run) == 0
