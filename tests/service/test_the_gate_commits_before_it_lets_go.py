"""What is committed before an action executes, class by class, and what the gate answers to what may not be."""

import pytest

from bailiwick.base import canonical, digest_of
from bailiwick.contract import ErrorCategory
from bailiwick.ports import Dispatch, Parked, Recorded
from bailiwick.run import CallState, StepStatus
from bailiwick.stores import StoreBusy
from platform_kit import ALICE, Hand, System


async def test_a_free_read_commits_nothing_before_and_its_verdict_with_the_outcome(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    before = (await system.refolded(run)).version
    dispatch = await started.dispatched("read")
    assert (await system.refolded(run)).version == before
    recorded = await started.settle(dispatch)
    assert (recorded.state, recorded.outcome) == ("done", {"said": "x"})
    call = (await system.calls(run))["read"]
    assert call.state is CallState.DONE
    assert call.policies == ("base.read-with-tool",)
    assert (await system.events(run))[-1]["payload"]["action"]["arguments"] == {"text": "x"}


@pytest.mark.parametrize(("tool", "reserved"), [("quote", 500), ("write", 0), ("mail", 0)])
async def test_an_intent_is_committed_before_any_other_action(
    system: System, started: Hand, tool: str, reserved: int
) -> None:
    run = started.assignment.run
    dispatch = await started.dispatched(tool)
    call = (await system.calls(run))[tool]
    assert (call.state, call.reserved, call.key) == (CallState.INTENDED, reserved, dispatch.key)
    event = (await system.events(run))[-1]
    assert event["kind"] == "action.moved"
    assert event["call"]["policies"]
    assert event["payload"]["action"]["capability"] == f"shop.{tool}@1.0.0"
    await started.settle(dispatch)
    assert (await system.calls(run))[tool].state is CallState.DONE
    assert await system.spent(run) == reserved


async def test_a_model_call_is_metered_at_its_worst_case_and_settled_at_its_usage(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    dispatch = await _ask(started, tokens=100, limit=50)
    assert dispatch.spend_limit_micro_usd == 100 + 2 * 50
    assert (await system.refolded(run)).allotment.reserved == 200
    await started.settle(dispatch, usage={"input_tokens": 10, "output_tokens": 5})
    after = await system.refolded(run)
    assert (after.allotment.reserved, await system.spent(run)) == (0, 10 + 2 * 5)


async def test_unknown_usage_is_charged_at_the_reservation_and_marked(system: System, started: Hand) -> None:
    run = started.assignment.run
    await started.settle(await _ask(started, tokens=100, limit=50), usage=None)
    assert await system.spent(run) == 200
    (call,) = (await system.refolded(run)).calls.values()
    assert call.estimated


async def test_a_call_that_was_never_sent_costs_nothing(system: System, started: Hand) -> None:
    dispatch = await started.dispatched("quote")
    await started.settle(dispatch, "failed", tries=0, category=ErrorCategory.TRANSIENT, reason="refused")
    assert await system.spent(started.assignment.run) == 0


async def test_a_priced_call_that_failed_after_it_was_sent_is_charged_and_marked(
    system: System, started: Hand
) -> None:
    dispatch = await started.dispatched("quote")
    await started.settle(dispatch, "failed", tries=1, category=ErrorCategory.TIMEOUT, reason="late")
    assert await system.spent(started.assignment.run) == 500
    assert (await system.calls(started.assignment.run))["quote"].estimated


async def test_an_undeclared_tool_is_a_typed_denial_that_is_recorded(system: System, started: Hand) -> None:
    answer = await started.act("undeclared")
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.category) == ("refused", ErrorCategory.DENIED)
    call = (await system.calls(started.assignment.run))["undeclared"]
    assert (call.state, call.category) == (CallState.REFUSED, ErrorCategory.DENIED)
    assert (await started.act("undeclared")).reason == answer.reason
    assert (await started.call("read")).state == "done"


async def test_a_policy_denial_names_the_policy_and_its_reason(system: System, started: Hand) -> None:
    answer = await started.act("never")
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.reason) == ("refused", "this is never done")
    event = (await system.events(started.assignment.run))[-1]
    assert event["call"]["policies"] == ["shop.never"]
    assert (await system.refolded(started.assignment.run)).policy_version == system.bundle.version


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"arguments": {}}, "text"),
        ({"arguments": {"text": 3}}, "/text"),
        ({"arguments": {"text": "x", "more": 1}}, "more"),
        ({"capability": "no such name!"}, "does not name a capability"),
        ({"capability": "shop.nothing"}, "there is no capability"),
        ({"capability": "shop.read@7"}, "there is no capability"),
        ({"capability": "model:scripted:plain", "arguments": {}}, "do not fit"),
        (
            {
                "capability": "model:scripted:plain",
                "arguments": {
                    "model": "scripted:other",
                    "parameters": {"max_output_tokens": 1},
                    "previous": "",
                    "messages": [],
                },
            },
            "/model",
        ),
    ],
)
async def test_what_does_not_fit_a_contract_is_a_typed_answer(
    system: System, started: Hand, changes: dict, part: str
) -> None:
    answer = await started.act("read", **changes)
    assert isinstance(answer, Recorded)
    assert answer.state == "refused"
    assert part in answer.reason
    assert answer.category in (ErrorCategory.INVALID_OUTPUT, ErrorCategory.DENIED)
    assert (await started.call("read")).state == "done"


async def test_what_executes_is_parsed_from_the_bytes_that_were_hashed(system: System, started: Hand) -> None:
    dispatch = await started.dispatched("write", "großer text")
    stored = (await system.events(started.assignment.run))[-1]["payload"]["action"]
    assert dispatch.body.encode() == canonical(stored)
    assert digest_of(dispatch.body.encode()) == dispatch.digest
    scope = {"tenant": "acme", "app": "shop", "run": started.assignment.run, "step": "work"}
    assert stored["scope"] == scope


async def test_an_exhausted_budget_parks_the_step_and_more_money_lets_it_go_on(system: System) -> None:
    run = await system.submit(budget_usd="0.0007")
    hand = await system.hand()
    await hand.claim()
    await hand.call("quote", "first")
    answer = await hand.act("quote", "second")
    assert isinstance(answer, Parked)
    assert f"bailiwick runs resume {run} --add-usd" in answer.reason
    blocked = (await system.refolded(run)).steps["work"]
    assert (blocked.status, blocked.reason) == (StepStatus.BLOCKED, answer.reason)
    await system.platform.control.resume(ALICE, run, add_micro_usd=1000)
    await hand.claim()
    assert (await hand.call("quote", "first")).state == "done"
    assert (await hand.call("quote", "second")).state == "done"
    assert await system.spent(run) == 1000
    assert system.outside.count("quote") == 2


async def test_a_repeat_of_the_same_arguments_is_another_effect_and_an_own_key_names_one(
    system: System, started: Hand
) -> None:
    first = await started.dispatched("write", "same", n=1)
    await started.settle(first)
    second = await started.dispatched("write", "same", n=2)
    assert second.key != first.key
    await started.settle(second)
    keyed = await started.dispatched("write", "same", n=3, key="order-7")
    await started.settle(keyed)
    again = await started.act("write", "same", n=4, key="order-7")
    assert isinstance(again, Recorded)
    assert again.key == keyed.key
    other = await started.act("write", "other", n=1, key="order-7")
    assert isinstance(other, Dispatch), "a key never answers for other arguments"


async def test_a_report_that_comes_twice_is_recorded_once(system: System, started: Hand) -> None:
    dispatch = await started.dispatched("quote")
    first = await started.settle(dispatch)
    assert await started.settle(dispatch, outcome={"said": "something else"}) == first
    assert await system.spent(started.assignment.run) == 500


async def test_what_a_caller_does_with_an_answer_changes_no_record(system: System, started: Hand) -> None:
    """Also in one process, where answers are not copied by a wire."""
    await started.call("read")
    first = await system.platform.act(started.session, started.proposal("read"))
    assert isinstance(first, Recorded)
    first.outcome["said"] = "forged"
    second = await system.platform.act(started.session, started.proposal("read"))
    assert isinstance(second, Recorded)
    assert second.outcome == {"said": "x"}


async def _ask(hand: Hand, *, tokens: int, limit: int) -> Dispatch:
    arguments = {
        "model": "scripted:plain",
        "parameters": {"max_output_tokens": limit},
        "previous": "",
        "messages": [{"role": "user", "text": "hi"}],
    }
    return await hand.dispatched(
        "model:scripted:plain", arguments=arguments, capability="model:scripted:plain", input_tokens=tokens
    )


async def test_a_store_that_cannot_be_read_is_no_mistake_of_the_agent(
    system: System, started: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise StoreBusy("for a moment")

    before = (await system.run(started.assignment.run)).version
    with monkeypatch.context() as patched:
        patched.setattr(system.tools, "facts", unreadable)
        with pytest.raises(StoreBusy):
            await started.act("write")
    assert (await system.run(started.assignment.run)).version == before
    await started.dispatched("write")
