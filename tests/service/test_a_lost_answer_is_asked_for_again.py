"""An idempotent write whose answer was lost goes out again under its key, however it was lost; nothing else ever does."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.app import Context
from bailiwick.contract import ErrorCategory
from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.ports import Dispatch, Parked, Recorded
from bailiwick.run import Call, CallState, Run, Status, StepStatus
from bailiwick.wiring.compiler import run_policy_compiler
from platform_fixtures import Opener
from platform_kit import ALICE, BOB, ROOT, Hand, System, decide_seen
from shop_kit import POLICIES, Shop

NOTHING_IS_WRITTEN = """
@id("shop.frozen")
@reason("the books are closed")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "shop.write" };
"""


async def hangs() -> Any:
    await asyncio.Event().wait()


async def breaks() -> Any:
    raise ConnectionResetError("the other side went away")


async def leaves() -> Any:
    raise SystemExit(1)


async def says_something_else() -> Any:
    return {"id": 7}


async def says_too_much() -> Any:
    return {"id": "x" * 300_000}


WAYS = [hangs, breaks, leaves, says_something_else, says_too_much]


class Books:
    """A book that keeps keys, and a door to it whose answers get lost as a test says."""

    def __init__(self, shop: Shop) -> None:
        self.keys: list[str] = []
        self.lost: list[Callable[[], Any]] = []

        async def enter(key: str) -> dict[str, str]:
            self.keys.append(key)
            return await self.lost.pop(0)() if self.lost else {"id": "entry 1"}

        @shop.app.tool("books.post", effect="idempotent-write", timeout_seconds=1)
        async def post(text: str, key: str) -> dict[str, str]:
            return await enter(key)

        @shop.app.tool(
            "shop.wire",
            effect="external-action",
            version="1.1.0",
            failure_modes=("timeout",),
            timeout_seconds=1,
        )
        async def wire(text: str) -> dict[str, str]:
            return await enter("no key")


@pytest.fixture
def books(shop: Shop) -> Books:
    return Books(shop)


async def worked(system: System, uses: str, until: Callable[[Run], bool]) -> Run:
    run = await system.submit(input={})
    system.work()
    return await system.until(run, until)


def resting(run: Run) -> bool:
    return run.closed is not None or run.status is Status.BLOCKED


@pytest.mark.parametrize("way", WAYS)
async def test_one_lost_answer_is_asked_for_again_with_the_same_key(
    shop: Shop, books: Books, open_system: Opener, way: Callable[[], Any]
) -> None:
    books.lost = [way]
    shop.workflow({"id": "post", "uses": "books.post", "input": {"text": "x"}})
    system = await open_system(shop)
    run = await worked(system, "books.post", resting)
    assert run.status is Status.COMPLETED
    assert len(books.keys) == 2
    assert len(set(books.keys)) == 1
    (call,) = run.calls.values()
    assert (call.state, call.tries, call.doubts) == (CallState.DONE, 2, 1)
    told = [each["call"] for each in await system.events(run.id) if each["kind"] == "action.moved"]
    assert [each["state"] for each in told] == ["intended", "intended", "intended", "done"]
    assert [each["tries"] for each in told] == [1, 1, 2, 2]
    assert told[1]["reason"], "the log says why it went out again"
    assert told[2]["dispatched_at"] >= told[1]["again_at"], "the other side is given a moment"


@pytest.mark.parametrize("way", [breaks, says_something_else])
async def test_after_three_tries_a_person_is_asked(
    shop: Shop, books: Books, open_system: Opener, way: Callable[[], Any]
) -> None:
    books.lost = [way] * 9
    shop.workflow({"id": "post", "uses": "books.post", "input": {"text": "x"}})
    system = await open_system(shop)
    run = await worked(system, "books.post", resting)
    assert run.status is Status.BLOCKED
    assert len(books.keys) == 3
    (call,) = run.calls.values()
    assert (call.state, call.tries) == (CallState.UNKNOWN, 3)
    assert "sent 3 times with the same key" in call.reason


@pytest.mark.parametrize("way", WAYS)
async def test_an_external_action_never_goes_out_again(
    shop: Shop, books: Books, open_system: Opener, way: Callable[[], Any]
) -> None:
    books.lost = [way] * 9
    shop.workflow({"id": "wire", "uses": "shop.wire@1.1", "input": {"text": "x"}})
    system = await open_system(shop)
    run = await worked(system, "shop.wire", resting)
    assert run.status is Status.BLOCKED
    (call,) = run.calls.values()
    assert (call.state, call.tries, books.keys) == (CallState.UNKNOWN, 1, ["no key"])


async def test_an_agent_only_sees_the_answer(shop: Shop, books: Books, open_system: Opener) -> None:
    books.lost = [breaks]
    seen: list[Any] = []

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        seen.append(
            await asyncio.gather(ctx.tool("shop.read", {"text": "r"}), ctx.tool("books.post", {"text": "x"}))
        )
        return {}

    shop.app.code_agent("bookkeeper", output={"type": "object"}, tools=["shop.read", "books.post"])(clerk)
    shop.workflow({"id": "work", "uses": "bookkeeper", "input": {}})
    system = await open_system(shop)
    run = await worked(system, "bookkeeper", resting)
    assert run.status is Status.COMPLETED
    assert seen == [[{"said": "r"}, {"id": "entry 1"}]]
    assert run.steps["work"].epoch == 1, "nobody had to leave the step for it"


async def test_the_time_that_the_tool_keeps_keys_is_not_overstepped(shop: Shop, open_system: Opener) -> None:
    @shop.app.tool("books.post", effect="idempotent-write", key_kept_seconds=2)
    async def post(text: str, key: str) -> dict[str, str]:
        raise AssertionError(key)

    shop.workflow({"id": "post", "uses": "books.post", "input": {"text": "x"}})
    system = await open_system(shop)
    system.clock.stop()
    await system.submit()
    hand = await system.hand()
    await hand.claim()
    system.clock.advance(60)
    first = await posted(hand)
    system.clock.advance(1)
    answer = await hand.settle(first, "unknown", reason="cut")
    assert answer.state == "intended"
    system.clock.advance(answer.pause_seconds)
    second = await posted(hand)
    answer = await hand.settle(second, "unknown", reason="cut")
    assert answer.state == "unknown", "the first try was too long ago, however young the second is"


async def test_the_time_of_the_step_is_not_overstepped(shop: Shop, books: Books, open_system: Opener) -> None:
    books.lost = [breaks]
    shop.workflow({"id": "post", "uses": "books.post", "input": {"text": "x"}, "timeout": 1})
    system = await open_system(shop)
    system.clock.stop()
    await system.submit()
    hand = await system.hand()
    await hand.claim()
    dispatch = await posted(hand)
    system.clock.advance(0.9)
    answer = await hand.settle(dispatch, "unknown", reason="cut")
    assert answer.state == "unknown"


async def posted(hand: Hand) -> Dispatch:
    answer = await hand.act("books.post", capability="books.post")
    assert isinstance(answer, Dispatch), answer
    return answer


async def doubted(system: System, hand: Hand, **fields: Any) -> Dispatch:
    """Let the answer to a write be lost; the next try is due."""
    system.clock.stop()
    dispatch = await hand.dispatched("write")
    answer = await hand.settle(dispatch, "unknown", reason="cut", attempt_of_effect=1, **fields)
    assert (answer.state, answer.pause_seconds > 0) == ("intended", True)
    early = await hand.act("write")
    assert isinstance(early, Recorded), "too early"
    assert early.state == "intended"
    system.clock.advance(answer.pause_seconds)
    return dispatch


async def written(system: System, hand: Hand) -> Call:
    return (await system.calls(hand.assignment.run))["write"]


async def test_the_next_try_is_the_same_dispatch(system: System, started: Hand) -> None:
    first = await doubted(system, started)
    second = await started.dispatched("write")
    assert (second.key, second.body, second.attempt_of_effect) == (first.key, first.body, 2)
    assert (await started.settle(second)).state == "done"


async def test_a_halt_between_tries_makes_it_unknown(system: System, started: Hand) -> None:
    await doubted(system, started)
    await system.platform.halts.set(ROOT, "tool", "shop.write", "stop")
    assert isinstance(await started.act("write"), Parked)
    call = await written(system, started)
    assert call.state is CallState.UNKNOWN
    assert "cut" in call.reason
    assert "halted" in call.reason
    assert (await system.run(started.assignment.run)).status is Status.BLOCKED


async def test_other_policies_between_tries_make_it_unknown_and_not_denied(
    system: System, started: Hand
) -> None:
    await doubted(system, started)
    texts = {**POLICIES, "frozen.cedar": NOTHING_IS_WRITTEN}
    stricter: Bundle = build_bundle(stacked(texts), run_policy_compiler)
    await system.platform.activating.activate(ROOT, stricter)
    system.tampered = True  # the kit replays with the first policies only
    assert isinstance(await started.act("write"), Parked)
    call = await written(system, started)
    assert call.state is CallState.UNKNOWN
    assert "the books are closed" in call.reason


async def test_a_cancel_between_tries_leaves_the_question(system: System, started: Hand) -> None:
    run = started.assignment.run
    first = await doubted(system, started)
    await system.platform.control.cancel(ALICE, run)
    assert isinstance(await started.act("write"), Parked)
    await started.finish(None, category=ErrorCategory.CANCELED, reason="canceled")
    assert (await written(system, started)).state is CallState.UNKNOWN
    assert (await system.run(run)).status is Status.BLOCKED
    await system.platform.control.resolve(
        ALICE, run, first.key, done=True, output={"said": "x"}, reason="seen"
    )
    assert (await system.run(run)).status is Status.CANCELED


async def test_a_crash_between_tries_counts_none_of_them_anew(system: System, started: Hand) -> None:
    run = started.assignment.run
    await doubted(system, started)
    await system.crash()
    hand = await system.hand("fresh")
    await hand.claim()
    third = await hand.dispatched("write")
    assert third.attempt_of_effect == 2
    await system.crash()
    hand = await system.hand("fresher")
    await hand.claim()
    assert (await hand.dispatched("write")).attempt_of_effect == 3
    await system.crash()
    hand = await system.hand("last")
    assert await hand.claim() is None
    assert (await system.calls(run))["write"].state is CallState.UNKNOWN, "a fourth time is never"


@pytest.mark.parametrize("state", ["failed", "canceled", "lost"])
async def test_what_fails_after_a_lost_answer_proves_nothing(
    system: System, started: Hand, state: str
) -> None:
    """The first try may still arrive: that the second was refused is no outcome of the effect."""
    await doubted(system, started)
    second = await started.dispatched("write")
    answer = await started.settle(second, state, reason="connection refused", tries=0)
    assert answer.state == "intended"
    system.clock.advance(answer.pause_seconds)
    third = await started.dispatched("write")
    answer = await started.settle(third, state, reason="connection refused", tries=0)
    assert answer.state == "unknown"
    assert await system.spent(started.assignment.run) == 0


async def test_a_report_that_comes_twice_counts_once(system: System, started: Hand) -> None:
    first = await doubted(system, started)
    again = await started.settle(first, "unknown", reason="cut", attempt_of_effect=1)
    assert again.state == "intended"
    second = await started.dispatched("write")
    late = await started.settle(first, "unknown", reason="cut", attempt_of_effect=1)
    assert late.state == "intended"
    call = await written(system, started)
    assert (call.doubts, call.again_at, call.tries) == (1, 0, 2)
    assert (await started.settle(second, attempt_of_effect=2)).state == "done"


async def test_an_action_that_people_allowed_goes_out_again_without_asking_them(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    system.clock.stop()
    assert isinstance(await started.act("sign"), Parked)
    id = (await system.approval(run)).id
    await decide_seen(system.platform, BOB, id, approve=True)
    hand = await system.hand("granted")
    assignment = await hand.claim()
    assert assignment is not None
    assert assignment.dispatch is not None
    answer = await hand.settle(assignment.dispatch, "unknown", reason="cut")
    assert answer.state == "intended"
    step = (await system.refolded(run)).steps["work"]
    assert (step.status, step.call) == (StepStatus.WAITING, assignment.dispatch.key)
    assert await hand.claim() is None, "not before its time"
    system.clock.advance(answer.pause_seconds)
    again = await hand.claim()
    assert again is not None
    assert again.dispatch is not None
    assert (again.dispatch.key, again.dispatch.attempt_of_effect) == (assignment.dispatch.key, 2)
    await hand.settle(again.dispatch)
    assert (await system.calls(run))["sign"].state is CallState.DONE
