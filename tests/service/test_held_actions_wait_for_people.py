"""Held actions: a grant covers one digest of one step of one run, is used once, and nobody grants to himself."""

import asyncio

import pytest
from msgspec.structs import replace

from bailiwick.base import Refusal, canonical
from bailiwick.contract import ErrorCategory
from bailiwick.policy import Forbidden, NotAnApprover, Role, SelfApproval
from bailiwick.ports import ApprovalState, Assignment, Dispatch, MoveApproval, Parked, Recorded, Unit
from bailiwick.run import CallState, Status, StepStatus
from bailiwick.service import AlreadyDecided, GrantMismatch, NotFound
from platform_kit import ALICE, BOB, MALLORY, ROOT, Hand, System, decide_seen, person


async def hold(system: System, hand: Hand, tool: str = "pay", text: str = "x") -> str:
    answer = await hand.act(tool, text)
    assert isinstance(answer, Parked), answer
    return (await system.approval(hand.assignment.run)).id


async def grant(system: System, id: str) -> None:
    await decide_seen(system.platform, BOB, id, approve=True)


async def test_a_hold_frees_the_worker_and_shows_exactly_what_would_run(
    system: System, started: Hand
) -> None:
    run = started.assignment.run
    id = await hold(system, started, text="17 euro to ада")
    assert (await system.run(run)).status is Status.WAITING_FOR_APPROVAL
    view = await system.platform.approving.show(BOB, id)
    assert view.action["arguments"] == {"text": "17 euro to ада"}
    assert view.approval.digest == (await system.calls(run))["pay"].digest
    assert view.approval.groups == ("payers",)
    assert [rule["id"] for rule in view.approval.holds] == ["shop.pay-approved"]
    assert await started.claim() is None
    assert system.outside.count("pay") == 0


async def test_the_stored_bytes_execute_once_and_the_agent_is_told_their_outcome(
    system: System, started: Hand
) -> None:
    id = await hold(system, started, text="exactly this")
    await grant(system, id)
    granted = await claimed_action(started)
    assert b"exactly this" in granted.body.encode()
    await started.port.settle(started.session, await started.execute(granted))
    assert system.outside.calls == [("pay", "exactly this")]
    await started.claim()
    answer = await started.act("pay", "exactly this")
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.outcome) == ("done", {"said": "exactly this"})
    assert (await system.store.views.approval("acme", id)).state is ApprovalState.CONSUMED
    assert system.outside.count("pay") == 1


async def test_divergent_code_cannot_reuse_or_repeat_what_was_granted(system: System, started: Hand) -> None:
    id = await hold(system, started, text="ten")
    await grant(system, id)
    granted = await claimed_action(started)
    await started.port.settle(started.session, await started.execute(granted))
    await started.claim()
    other = await started.act("pay", "a thousand")
    assert isinstance(other, Parked)
    assert (await system.approval(started.assignment.run)).id != id
    assert system.outside.calls == [("pay", "ten")]


@pytest.mark.parametrize(
    ("who", "error"),
    [
        (ALICE, Forbidden),
        (person("alice", Role.APPROVER, groups=("payers",)), SelfApproval),
        (person("ALICE", Role.ADMIN, groups=("payers",)), SelfApproval),
        (person("carol", Role.APPROVER, groups=("change-approvers",)), NotAnApprover),
        (person("dave", Role.VIEWER, groups=("payers",)), Forbidden),
        (MALLORY, NotFound),
    ],
)
async def test_who_may_not_decide_changes_nothing(
    system: System, started: Hand, who: object, error: type[Refusal]
) -> None:
    id = await hold(system, started)
    for approve in (True, False):
        with pytest.raises(error):
            await decide_seen(system.platform, who, id, approve=approve)
    assert (await system.approval(started.assignment.run)).state is ApprovalState.PENDING
    assert (await system.calls(started.assignment.run))["pay"].state is CallState.HELD


async def test_a_decision_on_another_digest_is_refused(system: System, started: Hand) -> None:
    id = await hold(system, started)
    digest = (await system.approval(started.assignment.run)).digest
    near = ("0" if digest[0] != "0" else "1") + digest[1:]
    with pytest.raises(GrantMismatch):
        await system.platform.approving.decide(BOB, id, approve=True, digest=near)
    await system.platform.approving.decide(BOB, id, approve=True, digest=digest)


async def test_of_many_racers_one_wins_and_the_others_see_the_winner(system: System, started: Hand) -> None:
    id = await hold(system, started)
    racers = [person(f"payer-{n}", Role.APPROVER, groups=("payers",)) for n in range(32)]

    async def race(at: int) -> object:
        try:
            return await decide_seen(system.platform, racers[at], id, approve=at % 2 == 0)
        except AlreadyDecided as late:
            return late

    results = await asyncio.gather(*(race(at) for at in range(32)))
    (winner,) = [result for result in results if not isinstance(result, AlreadyDecided)]
    late = [result for result in results if isinstance(result, AlreadyDecided)]
    assert len(late) == 31
    assert {each.facts["decided_by"] for each in late} == {winner.decided_by}
    assert {each.facts["state"] for each in late} == {winner.state}


async def test_a_rejection_fails_the_step_with_the_reason(system: System, started: Hand) -> None:
    run = started.assignment.run
    id = await hold(system, started)
    await decide_seen(system.platform, BOB, id, approve=False, reason="too much")
    failed = (await system.refolded(run)).steps["work"]
    assert (failed.status, failed.category) == (StepStatus.FAILED, ErrorCategory.REJECTED)
    assert "too much" in failed.reason
    assert (await system.run(run)).status is Status.FAILED
    assert system.outside.count("pay") == 0


async def test_a_request_that_nobody_answers_expires(system: System, started: Hand) -> None:
    run = started.assignment.run
    id = await hold(system, started)
    system.clock.advance(3599)
    assert await system.platform.recovering.expire_approvals() == 0
    system.clock.advance(2)
    with pytest.raises(AlreadyDecided) as late:
        await grant(system, id)
    assert late.value.facts["state"] == ApprovalState.EXPIRED
    assert await system.platform.recovering.expire_approvals() == 0
    assert (await system.run(run)).steps["work"].category is ErrorCategory.REJECTED


async def test_a_request_that_still_has_time_is_not_closed(system: System, started: Hand) -> None:
    await hold(system, started)
    approval = await system.approval(started.assignment.run)
    assert not await system.platform.approving.expire(approval)
    assert (await system.approval(started.assignment.run)).state is ApprovalState.PENDING
    assert (await system.calls(started.assignment.run))["pay"].state is CallState.HELD


async def test_a_grant_that_was_not_used_in_time_is_void(system: System, started: Hand) -> None:
    id = await hold(system, started)
    await grant(system, id)
    system.clock.advance(3601)
    hand = await system.hand("late")
    assert await hand.claim() is None or hand.assignment.kind != "action"
    await hand.claim()
    answer = await hand.act("pay")
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.category) == ("refused", ErrorCategory.REJECTED)
    assert (await system.store.views.approval("acme", id)).state is ApprovalState.EXPIRED
    assert system.outside.count("pay") == 0


async def test_cancelling_withdraws_the_request(system: System, started: Hand) -> None:
    run = started.assignment.run
    id = await hold(system, started)
    await system.platform.control.cancel(ALICE, run)
    assert (await system.run(run)).status is Status.CANCELED
    assert (await system.store.views.approval("acme", id)).state is ApprovalState.WITHDRAWN
    with pytest.raises(AlreadyDecided):
        await grant(system, id)


async def test_cancelling_after_the_grant_withdraws_it_unused(system: System, started: Hand) -> None:
    run = started.assignment.run
    id = await hold(system, started)
    await grant(system, id)
    await system.platform.control.cancel(ALICE, run)
    assert (await system.run(run)).status is Status.CANCELED
    assert (await system.store.views.approval("acme", id)).state is ApprovalState.WITHDRAWN
    assert await started.claim() is None


@pytest.mark.parametrize(
    "forged",
    [
        {"digest": "0" * 64},
        {"run": "run_elsewhere"},
        {"step": "another"},
        {"call": "eff_another"},
        {"state": ApprovalState.REJECTED},
    ],
    ids=["digest", "run", "step", "call", "state"],
)
async def test_a_grant_of_something_else_permits_nothing(system: System, started: Hand, forged: dict) -> None:
    """Somebody who can write the approvals' table still gets no other action through."""
    run = started.assignment.run
    id = await hold(system, started)
    await grant(system, id)
    views = system.platform.runs.views
    real = await views.approval("acme", id)

    class Forged:
        async def approval(self, tenant: str, approval: str):
            return replace(real, **forged)

    system.platform.runs.views = Forged()
    assert await started.claim() is None
    system.platform.runs.views = views
    call = (await system.calls(run))["pay"]
    assert (call.state, call.category) == (CallState.REFUSED, ErrorCategory.DENIED)
    await started.claim()
    assert isinstance(await started.act("pay"), Recorded)
    assert system.outside.count("pay") == 0


async def test_a_grant_for_one_run_is_none_for_another(system: System, started: Hand) -> None:
    first = await hold(system, started)
    await grant(system, first)
    await system.submit()
    second = await system.hand("second")
    found = await second.port.claim(second.session, 8, 0)
    (second.assignment,) = [each for each in found if each.run != started.assignment.run]
    assert isinstance(await second.act("pay"), Parked)
    assert (await system.approval(second.assignment.run)).id != first


async def test_a_changed_contract_voids_the_grant(system: System, started: Hand) -> None:
    id = await hold(system, started)
    await grant(system, id)
    contracts = system.platform.catalogue.contracts("acme", "shop")
    contracts.digests["shop.pay@1.0.0"] = "f" * 64
    assert await started.claim() is None
    await started.claim()
    answer = await started.act("pay")
    assert isinstance(answer, Recorded)
    assert "has changed since" in answer.reason


async def test_a_hold_waits_until_the_step_s_other_calls_are_recorded(system: System, started: Hand) -> None:
    mail = await started.dispatched("mail")
    asked = asyncio.ensure_future(started.act("pay"))
    for _ in range(5):
        await started.call("read", "meanwhile", n=1)
    assert not asked.done()
    await started.settle(mail)
    assert isinstance(await asked, Parked)
    assert (await system.calls(started.assignment.run))["mail"].state is CallState.DONE


@pytest.mark.parametrize(("scope", "target"), [("tool", "shop.sign"), ("agent", "clerk"), ("app", "shop")])
async def test_a_granted_action_that_is_halted_goes_on_after_the_lift(
    system: System, started: Hand, scope: str, target: str
) -> None:
    """The grant is kept: nobody is asked twice."""
    id = await hold(system, started, "sign")
    await grant(system, id)
    await system.platform.halts.set(ROOT, scope, target, "not now")
    assert await started.claim() is None
    assert (await system.run(started.assignment.run)).status is Status.BLOCKED
    halt = system.platform.halts.list("acme")[0]
    await system.platform.halts.lift(ROOT, halt.id)
    granted = await claimed_action(started)
    await started.port.settle(started.session, await started.execute(granted))
    assert len(system.outside.effects) == 1


async def test_the_store_lets_one_dispatch_use_a_grant(system: System, started: Hand) -> None:
    system.tampered = True  # no dispatch of this platform uses the grant up
    id = await hold(system, started, "sign")
    await grant(system, id)
    approval = await system.store.views.approval("acme", id)
    used = replace(approval, state=ApprovalState.CONSUMED)
    move = MoveApproval(ApprovalState.APPROVED, used, unexpired=True)
    await system.store.ledger.commit(Unit("acme", moved_approvals=(move,)))
    assert await started.claim() is None, "another process has used the grant"
    assert (await system.calls(started.assignment.run))["sign"].state is CallState.REFUSED
    assert system.outside.count("sign") == 0


async def test_what_is_shown_is_what_was_hashed(system: System, started: Hand) -> None:
    id = await hold(system, started, text="\u202e esrever")
    view = await system.platform.approving.show(ROOT, id)
    assert canonical(view.action) == canonical(
        {
            "capability": "shop.pay@1.0.0",
            "arguments": {"text": "\u202e esrever"},
            "scope": {"tenant": "acme", "app": "shop", "run": started.assignment.run, "step": "work"},
        }
    )


async def claimed_action(hand: Hand) -> Dispatch:
    assignment = await hand.claim()
    assert isinstance(assignment, Assignment)
    assert assignment.dispatch is not None
    return assignment.dispatch
