"""Whoever hands in a text, through whatever door: it is refused by name where it is longer than its place in the record."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.policy import Principal
from bailiwick.ports import Recorded
from bailiwick.run import Status
from bailiwick.service import InputTooLarge, TextTooLong, TooMany
from bailiwick.service.core.bounds import MAX_BYTES, MAX_FAULT, MAX_NAME, MAX_REASON, MAX_TITLE
from platform_kit import ALICE, BOB, ROOT, Hand, System

LONG = "x" * 900_000
INTENTS: dict[str, dict[str, Any]] = {
    "/title": {"title": LONG},
    "/labels/feature": {"labels": {"feature": LONG}},
    "/labels": {"labels": {LONG: "x"}},
    "/environment/region": {"environment": {"region": LONG}},
    "/constraints/1": {"constraints": ("single file only", LONG)},
    "/budget_usd": {"budget_usd": "1" * 129},
    "/deadline": {"deadline": LONG},
    "/workflow": {"workflow": LONG},
    "/app": {"app": LONG},
}
Act = Callable[[System, str, str], Awaitable[object]]
ACTS: dict[str, tuple[Principal, Act]] = {
    "cancel": (ALICE, lambda system, run, text: system.platform.control.cancel(ALICE, run, text)),
    "resume": (ALICE, lambda system, run, text: system.platform.control.resume(ALICE, run, step=text)),
    "resolve": (
        ALICE,
        lambda system, run, text: system.platform.control.resolve(ALICE, run, "key", done=False, reason=text),
    ),
    "roll back": (ALICE, lambda system, run, text: system.platform.control.roll_back(ALICE, run, text)),
    "halt": (ROOT, lambda system, run, text: system.platform.halts.set(ROOT, "run", run, text)),
    "halt a name": (ROOT, lambda system, run, text: system.platform.halts.set(ROOT, "agent", text, "why")),
}


@pytest.mark.parametrize(("pointer", "fields"), INTENTS.items())
async def test_an_intent_names_the_text_that_is_too_long(
    system: System, pointer: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(TextTooLong) as refused:
        await system.submit(**{"workflow": "job", **fields})
    assert refused.value.facts["pointer"] == pointer
    assert len(str(refused.value)) < 300
    assert not await system.platform.reading.runs(ALICE)


async def test_an_intent_has_so_many_members_and_bytes(system: System) -> None:
    with pytest.raises(TooMany):
        await system.submit(labels={f"label-{n}": "x" for n in range(17)})
    with pytest.raises(TooMany):
        await system.submit(constraints=("single file only",) * 33)
    with pytest.raises(InputTooLarge):
        await system.submit(input={"text": "x" * MAX_BYTES})


async def test_a_text_of_just_the_length_is_taken(system: System) -> None:
    run = await system.submit(title="é" * MAX_TITLE, labels={"feature": "f" * MAX_NAME})
    await system.platform.control.cancel(ALICE, run, "r" * MAX_REASON)
    assert (await system.run(run)).status is Status.CANCELED


@pytest.mark.parametrize("act", ACTS)
async def test_what_people_say_is_refused_where_it_is_too_long_and_nothing_happens(
    system: System, act: str
) -> None:
    run = await system.submit()
    version = (await system.run(run)).version
    with pytest.raises(TextTooLong):
        await ACTS[act][1](system, run, LONG)
    assert (await system.refolded(run)).version == version
    assert not system.platform.halts.list("acme")


async def test_a_decision_gives_its_reason_shortly(system: System, started: Hand) -> None:
    await started.act("pay")
    approval = await system.approval(started.assignment.run)
    with pytest.raises(TextTooLong):
        await system.platform.approving.decide(BOB, approval.id, approve=False, reason=LONG)
    assert (await system.approval(started.assignment.run)).id == approval.id


async def test_arguments_that_are_too_large_are_answered_to_the_agent(started: Hand) -> None:
    answer = await started.act("read", "x" * MAX_BYTES)
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.category) == ("refused", ErrorCategory.INVALID_OUTPUT)
    assert str(MAX_BYTES) in answer.reason
    assert (await started.call("read", "small")).state == "done"


async def test_an_output_that_is_too_large_fails_its_step_in_few_words(system: System, started: Hand) -> None:
    await started.finish({"text": "x" * MAX_BYTES})
    step = (await system.run(started.assignment.run)).steps["work"]
    assert step.category is ErrorCategory.INVALID_OUTPUT
    assert f"at most {MAX_BYTES}" in step.reason


async def test_what_a_worker_tells_of_a_failure_is_cut(system: System, started: Hand) -> None:
    dispatch = await started.dispatched("mail")
    await started.settle(dispatch, "failed", category=ErrorCategory.TOOL_FAILED, reason=LONG)
    run = started.assignment.run
    assert len((await system.refolded(run)).calls[dispatch.key].reason) <= MAX_FAULT + 2
    await started.finish(category=ErrorCategory.INTERNAL, reason=LONG, findings=(LONG,) * 99)
    assert len((await system.refolded(run)).steps["work"].reason) <= MAX_FAULT + 2
    events = await system.store.ledger.events("acme", run, 0, 500)
    assert max(len(event.header) for event in events) < 32_000
