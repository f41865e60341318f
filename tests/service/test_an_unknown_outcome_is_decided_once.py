"""An external action whose outcome nobody knows blocks its run with a question; one named person answers it (P6)."""

import asyncio

import pytest

from bailiwick.base import Refusal, parse_instant
from bailiwick.policy import Forbidden
from bailiwick.run import CallState, InQuarantine, NotAllowed, Status
from bailiwick.service import NotFound
from bailiwick.service.core.refusals import ReasonMissing
from platform_kit import ALICE, BOB, MALLORY, Hand, System

TIMEOUT = 60
IN_FLIGHT = 120


async def lost_mail(system: System, hand: Hand) -> tuple[str, str]:
    """Let a mail's worker die after it was dispatched; answer the run and the mail's key."""
    system.clock.stop()
    dispatch = await hand.dispatched("mail", "dear customer")
    await system.crash()
    return hand.assignment.run, dispatch.key


async def test_the_blocked_run_asks_with_all_that_is_known(system: System, started: Hand) -> None:
    run, key = await lost_mail(system, started)
    detail = await system.platform.reading.detail(ALICE, run)
    assert detail.head.status == Status.BLOCKED
    assert "outcome unknown" in detail.head.waiting_for
    (question,) = detail.questions
    call = question.call
    assert (call.key, call.state, call.capability) == (key, CallState.UNKNOWN, "shop.mail@1.0.0")
    assert question.arguments == {"text": "dear customer"}
    assert "shop.mail@1.0.0" in question.text
    assert call.quarantine_until - call.dispatched_at == (TIMEOUT + IN_FLIGHT) * 1_000_000
    assert any(f"{run}.{call.action_seq}" in fact for fact in question.evidence)


async def test_that_it_never_happened_can_be_said_after_the_quarantine_alone(
    system: System, started: Hand
) -> None:
    run, key = await lost_mail(system, started)
    resolve = system.platform.control.resolve
    with pytest.raises(InQuarantine) as refusal:
        await resolve(ALICE, run, key, done=False, reason="not in the outbox")
    until = parse_instant(str(refusal.value.facts["until"]))
    system.clock.advance((until - system.clock()) / 1e6 - 0.001)
    with pytest.raises(InQuarantine):
        await resolve(ALICE, run, key, done=False, reason="not in the outbox")
    system.clock.advance(0.002)
    await resolve(ALICE, run, key, done=False, reason="not in the outbox")
    assert (await system.calls(run))["mail"].state is CallState.FAILED
    assert system.outside.count("mail") == 0


async def test_that_it_happened_can_be_said_at_once(system: System, started: Hand) -> None:
    run, key = await lost_mail(system, started)
    await system.platform.control.resolve(ALICE, run, key, done=True, output={"said": "seen"}, reason="seen")
    assert (await system.calls(run))["mail"].state is CallState.DONE


async def test_a_quarantine_is_set_aside_knowingly_with_a_reason_on_record(
    system: System, started: Hand
) -> None:
    run, key = await lost_mail(system, started)
    resolve = system.platform.control.resolve
    with pytest.raises(ReasonMissing):
        await resolve(ALICE, run, key, done=False, reason=" ", despite_quarantine=True)
    await resolve(ALICE, run, key, done=False, reason="the line was cut", despite_quarantine=True)
    last = (await system.events(run))[-1]
    assert last["actor"] == "user:alice"
    assert last["call"]["reason"] == "despite its quarantine: the line was cut"


async def test_of_many_who_answer_at_once_one_is_heard(system: System, started: Hand) -> None:
    run, key = await lost_mail(system, started)
    resolve = system.platform.control.resolve
    answers = await asyncio.gather(
        *(
            resolve(ALICE, run, key, done=bool(n % 2), reason=str(n), despite_quarantine=True)
            for n in range(32)
        ),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(refused) == 31
    assert all(isinstance(refusal, NotAllowed) for refusal in refused)
    decided = [
        each for each in await system.events(run) if each.get("call", {}).get("state") in ("done", "failed")
    ]
    assert len(decided) == 1


async def test_roles_and_tenants_are_kept_apart(system: System, started: Hand) -> None:
    run, key = await lost_mail(system, started)
    with pytest.raises(Forbidden):
        await system.platform.control.resolve(BOB, run, key, done=True)
    with pytest.raises(NotFound):
        await system.platform.control.resolve(MALLORY, run, key, done=True)
    with pytest.raises(NotFound):
        await system.platform.reading.detail(MALLORY, run)
    assert (await system.calls(run))["mail"].state is CallState.UNKNOWN


async def test_a_lost_worker_is_seen_as_an_unknown_outcome_within_the_lease(
    system: System, started: Hand
) -> None:
    """P6: blocked within call timeout + lease + 5 s, although the platform itself never stopped."""
    system.clock.stop()
    await started.dispatched("mail")
    run = started.assignment.run
    dispatched = (await system.calls(run))["mail"].dispatched_at
    while (await system.run(run)).status is not Status.BLOCKED:
        system.clock.advance(1)
        await system.platform.recovering.reap()
        assert system.clock() - dispatched < (TIMEOUT + 15 + 5) * 1_000_000
    assert (await system.calls(run))["mail"].state is CallState.UNKNOWN


async def test_nothing_but_a_named_act_closes_it(system: System, started: Hand) -> None:
    run, key = await lost_mail(system, started)
    system.clock.advance(30 * 86_400)
    for _ in range(3):
        await system.crash()
        for duty in (system.platform.recovering.time_out, system.platform.recovering.pass_deadlines):
            await duty()
        hand = await system.hand("fresh")
        assert await hand.claim() is None
    with pytest.raises(Refusal) as refusal:
        await system.platform.control.resume(ALICE, run)
    assert refusal.value.code == "outcome_unknown"
    assert (await system.run(run)).calls[key].state is CallState.UNKNOWN
