"""The worker port: whatever plain data comes over a wire, it is decoded in bounds or refused, and nothing changes."""

import asyncio
import gc
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bailiwick.base import Refusal
from bailiwick.ports import Frame, Hello, Outcome, Parked, Proposal, Report, read_wire
from bailiwick.run import LeaseLost, StepStatus
from platform_kit import PATIENCE, ROOT, Hand, System

pytestmark = pytest.mark.postgres_when_long

CPU_SECONDS = 0.25
HUGE = "h" * 300_000
LONG = "l" * 70_000
DEEP: Any = []
for _ in range(100):
    DEEP = [DEEP]
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**53, 2**63, -(2**63), 10**400, "", "\0", "\ud800", "\u202e", "*", "../x", "run_" + "0" * 26,
    "' OR 1=1--", LONG, HUGE, [], [1], [[]], DEEP, {}, {"": 1}, {"ä": 1}, {"$ref": "#"}, {str(n): n for n in range(3_000)},
)  # fmt: skip
SHAPES: dict[str, Any] = {
    "hello": Hello, "act": Proposal, "settle": Outcome, "frames": tuple[Frame, ...], "finish": Report,
}  # fmt: skip


def good(hand: Hand, key: str) -> dict[str, dict[str, Any]]:
    """What an honest worker would send now, method by method."""
    at = hand.assignment
    place = {"tenant": at.tenant, "run": at.run, "step": at.step, "epoch": at.epoch}
    return {
        "hello": {"worker": "stranger", "capabilities": ["none@1"]},
        "act": {**place, "capability": "shop.read", "arguments": {"text": "x"}, "n": 1, "key": "", "input_tokens": 0},
        "settle": {
            **place, "key": key, "state": "done", "outcome": {"said": "x"}, "category": None, "reason": "", "tree": "",
            "usage": {"input_tokens": 1, "output_tokens": 1}, "served_model": "", "duration_ms": 1, "first_token_ms": 1,
            "tries": 1, "interruptions": [], "retry_after": None,
        },
        "frames": {**place, "key": key, "at": 1, "body": {"text": "x"}},
        "finish": {
            **place, "task": at.task, "output": {}, "category": None, "reason": "", "retry_after": None, "rules": [],
            "findings": [], "attests": "",
        },
    }  # fmt: skip


def hostile(fields: dict[str, Any]) -> list[bytes]:
    """Each field with each wrong value, each field missing, and texts that are no such object."""
    changed = [{**fields, name: value} for name, value in itertools.product(fields, WRONG)]
    missing = [{name: value for name, value in fields.items() if name != gone} for gone in fields]
    twice = json.dumps(fields)[:-1] + ',"run":"x","run":"y"}'
    texts = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"\xff",
        b"[" * 100_000,
        b'{"a":NaN}',
        b"{}" * 2,
        twice.encode(),
    ]
    return [*(json.dumps(each).encode() for each in (*changed, *missing)), *texts]


async def told(hand: Hand, method: str, session: str, body: bytes) -> str:
    """Send bytes as a gateway would; answers the refusal's code, or that they were taken."""
    if method == "frames":
        body = b"[" + body + b"]"
    began = time.process_time()
    try:
        value = read_wire(body, SHAPES[method])
        port = hand.system.platform
        if method == "hello":
            await port.hello(value)
        else:
            await getattr(port, method)(session, value)
    except Refusal as refusal:
        assert refusal.code
        assert refusal.remedy, refusal
        return refusal.code
    finally:
        assert time.process_time() - began < CPU_SECONDS, (method, body[:200])
    return "taken"


@pytest.fixture(autouse=True)
def _the_heap_of_earlier_tests_is_not_looked_through() -> Iterator[None]:
    """A full collection of what hundreds of tests left behind would be billed to the refusal that it falls on."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("method", ["act", "settle", "frames", "finish", "hello"])
async def test_a_stranger_changes_nothing_whatever_it_sends(started: Hand, method: str) -> None:
    system = started.system
    dispatch = await started.dispatched("mail")
    before = await system.refolded(started.assignment.run)
    stranger = (await system.port.hello(Hello("stranger", ("none@1",)))).id
    codes: dict[str, int] = {}
    bodies = hostile(good(started, dispatch.key)[method])
    for session, body in itertools.product((stranger, "ses_nobody"), bodies):
        code = await told(started, method, session, body)
        codes[code] = codes.get(code, 0) + 1
        if method not in ("frames", "hello"):
            assert code != "taken", body[:300]
    assert sum(codes.values()) == 2 * len(bodies) >= 2 * 50
    assert await system.refolded(started.assignment.run) == before
    assert system.outside.calls == []
    await started.settle(dispatch)
    await started.finish()
    assert (await system.refolded(started.assignment.run)).closed is not None


@pytest.mark.parametrize("method", ["act", "settle", "finish", "frames"])
async def test_the_holder_itself_can_only_do_what_its_step_may(started: Hand, method: str) -> None:
    """Wrong run, tenant, step, epoch: refused; the step stays in its hands, and whatever was taken is on record."""
    system = started.system
    dispatch = await started.dispatched("mail")
    other = await system.submit(key="other")
    fields = good(started, dispatch.key)[method]
    before = await system.refolded(started.assignment.run)
    wrong = {
        "run": (other, "run_" + "0" * 26, "", "*", HUGE), "tenant": ("evil", "", "*", None), "step": ("$plan", "$context", "x", ""),
        "epoch": (-1, 0, 2, 2**53 - 1, 2**63, "1", 1.0, None),
    }  # fmt: skip
    asked = 0
    for name, values in wrong.items():
        for value in values if name in fields else ():
            asked += 1
            code = await told(started, method, started.session, json.dumps({**fields, name: value}).encode())
            assert code != "taken" or method == "frames", (name, value)
    assert asked >= 17
    assert await system.refolded(started.assignment.run) == before
    await started.settle(dispatch)
    await started.finish()
    assert (await system.refolded(started.assignment.run)).closed is not None


@pytest.mark.parametrize("method", ["act", "settle", "finish"])
async def test_nonsense_from_the_holder_crashes_nothing(system: System, method: str) -> None:
    """Every wrong value in every field, from the one who may: an answer or a refusal, and the platform lives on."""
    hand = await system.hand()
    asked = 0
    first = await _open(system, hand, asked)
    for body in hostile(good(hand, first)[method]):
        asked += 1
        await told(hand, method, hand.session, body)
        run = await system.run(hand.assignment.run)
        if run.steps["work"].session != hand.session or run.calls[first].state != "intended":
            first = await _open(system, hand, asked)
    assert asked >= 150
    assert not await system.violations()
    assert (await system.submit(key="last")).startswith("run_")


async def _open(system: System, hand: Hand, number: int) -> str:
    await system.submit(key=f"open-{number}")
    assert await hand.claim() is not None
    return (await hand.dispatched("mail")).key


async def test_waits_and_limits_of_a_stranger_are_bounded(system: System) -> None:
    session = (await system.port.hello(Hello("w", system.capabilities))).id
    for wait, limit in itertools.product((-1.0, float("nan"), float("-inf")), (-1, 0, 2**63)):
        async with asyncio.timeout(PATIENCE):
            assert await system.platform.heartbeat(session, wait) == ()
            assert await system.platform.claim(session, limit, wait) == ()
    for wait in (float("inf"), 1e300):
        waiting = asyncio.ensure_future(system.platform.heartbeat(session, wait))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def test_what_an_honest_worker_sends_passes_unchanged() -> None:
    hello = Hello("w", ("a@1",))
    assert read_wire(msgspec.json.encode(hello), Hello) == hello


async def test_what_a_parked_step_has_on_its_way_is_reported_by_who_held_it_last(started: Hand) -> None:
    system = started.system
    mail = await started.dispatched("mail")
    await system.platform.halts.set(ROOT, "tool", "shop.write", "wait")
    assert isinstance(await started.act("write"), Parked)
    step = (await system.run(started.assignment.run)).steps["work"]
    assert (step.status, step.session) == (StepStatus.BLOCKED, "")
    stranger = await system.hand("stranger")
    stranger.assignment = started.assignment
    for session in (stranger.session, "ses_nobody"):
        stranger.session = session
        with pytest.raises(LeaseLost):
            await stranger.settle(mail, outcome={"said": "forged"})
    assert (await started.settle(mail)).outcome == {"said": "x"}
