"""A store that stumbles, a report that is refused, another side that wants time: no step is left in nobody's hands."""

import asyncio
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from bailiwick.app import Context
from bailiwick.base import Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, GuardFailed, Ledger, Unit
from bailiwick.run import Status, StepStatus, WaitKind
from bailiwick.stores import StoreBusy
from platform_kit import ALICE, ROOT, System, soon
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long


class Stumbling:
    """A ledger whose next commits are refused, as often as a test says."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.refusals: list[Refusal] = []
        self.spare = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def commit(self, unit: Unit) -> None:
        if self.spare:
            self.spare -= 1
        elif self.refusals:
            raise self.refusals.pop(0)
        await self._ledger.commit(unit)


def busy() -> Refusal:
    return StoreBusy("a backup")


def taken() -> Refusal:
    return GuardFailed(guard="posting", id="pst_x")


@pytest.fixture
def ledger(system: System) -> Stumbling:
    stumbling = Stumbling(system.platform.runs.ledger)
    system.platform.runs.ledger = stumbling
    return stumbling


@pytest.mark.parametrize("spare", [0, 1, 2], ids=["the intent", "the outcome", "the report"])
async def test_what_the_store_refuses_for_a_moment_is_said_again(
    shop: Shop, system: System, ledger: Stumbling, spare: int
) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        ledger.spare, ledger.refusals = spare, [busy(), busy()]
        return await ctx.tool("shop.mail", {"text": "x"})

    shop.scripts["clerk"] = clerk
    system.work()
    run = await system.submit()
    assert (await system.ended(run)).status is Status.COMPLETED
    assert ledger.refusals == []
    assert system.outside.count("mail") == 1


async def test_a_report_that_cannot_be_recorded_fails_the_attempt(
    shop: Shop, system: System, ledger: Stumbling
) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        ledger.refusals = [taken()]
        return {}

    shop.scripts["clerk"] = clerk
    system.work()
    failed = await system.ended(await system.submit())
    assert (failed.status, failed.category) == (Status.FAILED, ErrorCategory.INTERNAL)
    assert "guard_failed" in failed.reason


async def test_a_claimed_step_that_cannot_be_handed_out_is_released(
    system: System, ledger: Stumbling
) -> None:
    run = await system.submit()
    halt = await system.platform.halts.set(ALICE, "run", run, "wait")
    hand = await system.hand()
    ledger.spare, ledger.refusals = 1, [busy()]
    assert await hand.claim() is None
    assert (await system.refolded(run)).steps["work"].status is StepStatus.RUNNING
    assert await system.platform.recovering.reap() == 1
    assert await system.platform.recovering.reap() == 0
    assert await hand.claim() is None
    await system.platform.halts.lift(ROOT, halt.id)
    assert await hand.claim() is not None


async def test_what_a_tool_asked_to_wait_for_is_waited_for_by_the_step(shop: Shop, open_system) -> None:
    @shop.app.tool("shop.crowded", effect="read-only")
    async def crowded(text: str) -> dict[str, str]:
        raise CallFailed(ErrorCategory.RATE_LIMITED, "come back later", unsent=True, retry_after=100.0)

    async def run_it(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.crowded", {"text": "x"})

    shop.app.agent("patient", output={"type": "object"}, run=run_it, tools=["shop.crowded"])
    shop.workflow({"id": "work", "uses": "patient", "input": {}})
    system = await open_system(shop)
    system.clock.stop()
    system.work()
    run = await system.submit()
    waiting = await system.until(run, lambda run: run.steps["work"].status is StepStatus.WAITING)
    wait = waiting.steps["work"].wait
    assert wait is not None
    assert wait.kind is WaitKind.RETRY
    assert wait.until == system.clock() + 100_000_000


async def test_work_on_a_step_is_logged_under_its_run_and_trace(shop: Shop, system: System) -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("no")

    shop.scripts["clerk"] = clerk
    with capture_logs(processors=[merge_contextvars]) as lines:
        system.work()
        run = await system.submit()
        trace = (await system.ended(run)).trace.split("-")[1]
    (raised,) = [line for line in lines if line["event"] == "agent.raised"]
    assert (raised["run_id"], raised["trace_id"], raised["step"]) == (run, trace, "work")
    states = [line["status"] for line in lines if line["event"] == "run.status" and line["run_id"] == run]
    assert states[-1] == "failed"


async def test_a_worker_outlives_a_platform_that_answers_nothing_sensible(shop: Shop, system: System) -> None:
    """A fault of ours in one call costs a session, not the worker."""
    real = system.port.claim
    broken = asyncio.Event()

    async def claim(session: str, limit: int, wait_seconds: float) -> Any:
        system.port.claim = real
        broken.set()
        raise RuntimeError("a fault of ours")

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return {}

    shop.scripts["clerk"] = clerk
    system.port.claim = claim
    system.work()
    await soon(broken.wait())
    assert (await system.ended(await system.submit())).status is Status.COMPLETED
