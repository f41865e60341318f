"""A step that learns nothing more is stopped before any count is reached, and by a named limit in any case."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bailiwick.budget import Price
from bailiwick.contract import ErrorCategory
from bailiwick.models import OpenAIHost, ProviderConfig
from bailiwick.plan import InvalidWorkflow, parse_workflow
from bailiwick.ports import Dispatch, Parked
from bailiwick.run import Run, Status, StepStatus
from bailiwick.testing import Recording, RunningModelServer
from bailiwick.testing.recording import ReplyTemplate, ToolCallTemplate, When
from bailiwick.testing.recording import Rule as Answer
from platform_kit import ALICE, ROOT, Hand, System
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long

TURNS = 40
REPEATS = 3


def read(text: str) -> ToolCallTemplate:
    return ToolCallTemplate("shop.read", {"text": text})


def edit(text: str) -> ToolCallTemplate:
    return ToolCallTemplate("files.write", {"path": "a.py", "text": text})


LOOPS = {
    "same": [read("a")],
    "alternating": [read("a"), read("b")],
    "cycle-of-3": [read("a"), read("b"), read("c")],
    "cycle-of-4": [read("a"), read("b"), read("c"), read("d")],
    "same-failing": [ToolCallTemplate("shop.fragile", {"text": "x"})],
    "same-denied": [ToolCallTemplate("shop.never", {"text": "x"})],
    "same-write": [ToolCallTemplate("shop.write", {"text": "x"})],
    "to-and-fro": [edit("one\n"), edit("two\n")],
}


def looping(name: str, calls: list[ToolCallTemplate]) -> Recording:
    """Say the same in ever other words, and do the same again and again."""
    return Recording(
        name,
        tuple(
            Answer(
                f"turn {n}",
                ReplyTemplate(
                    text=f"Attempt {n}: {'let me ' * (n % 3)}look.", tool_calls=(calls[n % len(calls)],)
                ),
                When(tool_results=n),
            )
            for n in range(TURNS)
        ),
    )


WANDERING = looping("wandering", [read(f"place {n}") for n in range(TURNS)])
RECORDINGS = (*(looping(name, calls) for name, calls in LOOPS.items()), WANDERING)


@pytest.fixture(scope="module")
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


async def looped(
    shop: Shop, open_system: Any, models: OpenAIHost, model: str, **step: Any
) -> tuple[System, Run]:
    """Let a platform-run agent work with a looping model until something stops it."""
    tools = ["shop.read", "shop.fragile", "shop.never", "shop.write", "files.write"]
    shop.app.agent(
        "looper",
        prompt="You loop.",
        output={"done": str},
        model=f"scripted:{model}",
        tools=tools,
        max_turns=TURNS,
    )
    shop.workflow({"id": "work", "uses": "looper", "input": {}, **step})
    system = await open_system(shop, models=models)
    system.work()
    run = await system.submit(budget_usd="50.00")
    await system.until(run, lambda state: state.closed is not None or state.status is Status.BLOCKED)
    return system, await system.refolded(run)


def acted(run: Run) -> int:
    return sum(not call.model for call in run.calls.values())


@pytest.mark.parametrize("name", LOOPS)
async def test_a_loop_is_stopped_by_lack_of_progress_before_any_count(
    shop: Shop, open_system, models: OpenAIHost, name: str
) -> None:
    _, run = await looped(shop, open_system, models, name)
    step = run.steps["work"]
    assert (run.status, step.status) == (Status.BLOCKED, StepStatus.BLOCKED)
    assert step.reason.startswith(f"no progress: {LOOPS[name][0].name}@1.0.0 (action ")
    assert step.reason.endswith(f"bailiwick runs resume {run.id}")
    period = len(LOOPS[name])
    assert acted(run) <= period * (1 + REPEATS) + 1, "the tree of an edit is new once"
    assert acted(run) >= period * REPEATS
    assert step.trail.turns < TURNS


async def test_a_model_that_always_finds_something_new_is_stopped_by_its_turns(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    _, run = await looped(shop, open_system, models, "wandering", limits={"model_turns": 6})
    assert run.status is Status.BLOCKED
    assert "limit reached: 6 model turns of at most 6 in step work" in run.steps["work"].reason
    assert sum(bool(call.model) for call in run.calls.values()) == 6


async def test_tokens_are_a_limit_of_their_own(shop: Shop, open_system, models: OpenAIHost) -> None:
    _, run = await looped(shop, open_system, models, "wandering", limits={"tokens": 200})
    assert "tokens of at most 200" in run.steps["work"].reason
    assert run.steps["work"].trail.tokens >= 200


async def test_a_person_lets_a_stopped_step_go_on_and_counting_begins_anew(
    shop: Shop, open_system, models: OpenAIHost
) -> None:
    system, run = await looped(shop, open_system, models, "same")
    assert acted(run) == 1 + REPEATS
    await system.platform.control.resume(ALICE, run.id)
    await system.until(run.id, lambda state: state.status is Status.BLOCKED)
    assert acted(await system.refolded(run.id)) == 2 * (1 + REPEATS)


async def hands(shop: Shop, open_system: Any, **step: Any) -> Hand:
    shop.workflow({"id": "work", "uses": "clerk", "input": {}, **step})
    system = await open_system(shop)
    await system.submit()
    hand = await system.hand()
    assert await hand.claim() is not None
    return hand


async def test_a_retry_is_no_free_pass(shop: Shop, open_system) -> None:
    retry = {"on": ["tool-failed"], "attempts": 5, "backoff_seconds": 1}
    hand = await hands(shop, open_system, retry=retry)
    for _ in range(2):
        for n in (1, 2):
            assert (await hand.call("read", n=n)).state == "done"
        await hand.finish(category=ErrorCategory.TOOL_FAILED, reason="red")
        hand.system.clock.advance(10)
        assert await hand.claim() is not None
    stopped = await hand.act("read")
    assert isinstance(stopped, Parked)
    assert stopped.reason.startswith("no progress: shop.read@1.0.0")


async def test_a_resume_after_a_crash_counts_nothing_twice(shop: Shop, open_system) -> None:
    hand = await hands(shop, open_system)
    for n in range(1, REPEATS + 1):
        await hand.call("quote", n=n)
    await hand.system.crash()
    again = await hand.system.hand("again")
    assert await again.claim() is not None
    for n in range(1, REPEATS + 2):
        assert (await again.call("quote", n=n)).state == "done"
    assert isinstance(await again.act("quote", n=REPEATS + 2), Parked)


@pytest.mark.parametrize("tool", ["read", "quote"])
async def test_the_limit_of_calls_holds_for_calls_side_by_side(shop: Shop, open_system, tool: str) -> None:
    hand = await hands(shop, open_system, limits={"calls": 5})
    asked = [hand.act(tool, f"{n}") for n in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Dispatch) for answer in answers) == 5
    step = (await hand.system.refolded(hand.assignment.run)).steps["work"]
    assert "limit reached: 5 calls of at most 5" in step.reason


async def test_time_in_hands_is_limited_and_parked_time_is_not_counted(shop: Shop, open_system) -> None:
    hand = await hands(shop, open_system, limits={"seconds": 100})
    system, run = hand.system, hand.assignment.run
    await system.platform.halts.set(ALICE, "run", run, "a pause")
    assert isinstance(await hand.act("read"), Parked)
    system.clock.advance(500)
    await system.platform.halts.lift(ROOT, next(iter(system.platform.halts.list("acme"))).id)
    hand = await system.hand("later")
    assert await hand.claim() is not None
    assert (await hand.call("read")).state == "done"
    system.clock.advance(101)
    stopped = await hand.act("read", "more")
    assert isinstance(stopped, Parked)
    assert "seconds of at most 100" in stopped.reason


async def test_polling_an_answer_that_changes_is_progress(shop: Shop, open_system) -> None:
    hand = await hands(shop, open_system)
    for n in range(1, 30):
        dispatch = await hand.dispatched("read", "status", n=n)
        await hand.settle(dispatch, outcome={"said": f"{n} percent"})


async def test_red_tests_over_a_changed_tree_are_progress(shop: Shop, open_system) -> None:
    hand = await hands(shop, open_system)
    for n in range(1, 12):
        edited = {"path": "a.py", "text": f"version = {n}\n"}
        await hand.call("files.write", capability="files.write", arguments=edited)
        red = await hand.dispatched("read", "tests", n=n)
        await hand.settle(red, outcome={"said": "1 failed"})
    assert (await hand.finish({})) is None


async def test_the_same_answers_over_ever_new_trees_are_progress(shop: Shop, open_system) -> None:
    hand = await hands(shop, open_system)
    for n in range(1, 12):
        asked = {"capability": "files.write", "arguments": {"path": "made", "text": "generate"}, "n": n}
        await hand.settle(await hand.dispatched("files.write", **asked), tree=f"{n:02x}" * 32)
        await hand.settle(await hand.dispatched("read", "tests", n=n))


async def test_many_different_writes_with_the_same_answer_are_progress(shop: Shop, open_system) -> None:
    hand = await hands(shop, open_system)
    for n in range(1, 20):
        await hand.settle(await hand.dispatched("write", f"item {n}"))
        await hand.settle(await hand.dispatched("read", "queue", n=n))


async def test_unknown_and_senseless_limits_are_refused_with_their_place() -> None:
    step = {"id": "work", "uses": "clerk", "input": {}, "limits": {"turns": 1, "calls": 0}}
    with pytest.raises(InvalidWorkflow) as refused:
        parse_workflow({"name": "job", "steps": [step]})
    places = sorted(finding.pointer for finding in refused.value.findings)
    assert places == ["/steps/0/limits/calls", "/steps/0/limits/turns"]
