"""Who asks with a key for what it may not is on record: every use case, once, bounded by key and hour, on both stores."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick.base import Refusal
from bailiwick.policy import Role
from bailiwick.service import IntentRequest, Platform
from bailiwick.service.core.refusing import NOTED_PER_HOUR
from platform_kit import ALICE, BOB, ROOT, Hand, System, person

VIEWER = person("vera", Role.VIEWER)
ABSENT = "run_" + "0" * 26
Act = Callable[[Platform], Awaitable[Any]]
INTENT = IntentRequest(app="shop", workflow="job")

WRONG_ROLE: dict[str, Act] = {
    "approvals.decide": lambda on: on.approving.decide(VIEWER, "apr_1", approve=True),
    "runs.cancel": lambda on: on.control.cancel(VIEWER, ABSENT),
    "runs.resume": lambda on: on.control.resume(VIEWER, ABSENT),
    "runs.resolve": lambda on: on.control.resolve(VIEWER, ABSENT, "k", done=True),
    "runs.rollback": lambda on: on.control.roll_back(VIEWER, ABSENT, "why"),
    "halts.set": lambda on: on.halts.set(VIEWER, "tenant", "", "why"),
    "halts.lift": lambda on: on.halts.lift(VIEWER, "hlt_1"),
    "keys.create": lambda on: on.keyring.create(VIEWER, name="eve", role=Role.ADMIN),
    "keys.revoke": lambda on: on.keyring.revoke(VIEWER, "key_1"),
    "budgets.set": lambda on: on.budgets.set(VIEWER, "tenant", "", "day", "5"),
    "payloads.erase": lambda on: on.erasing.erase(VIEWER, ABSENT, 1, "why"),
    "payloads.erase-run": lambda on: on.erasing.erase_run(VIEWER, ABSENT, "why"),
    "policies.activate": lambda on: on.activating.activate(VIEWER, on.bundle),
    "runs.submit": lambda on: on.submitting.submit(VIEWER, INTENT),
}


async def refusals(system: System) -> list[dict[str, Any]]:
    return (await system.platform.reading.refusals(ROOT, limit=500))[0]


@pytest.mark.parametrize("act", WRONG_ROLE)
async def test_a_wrong_role_is_on_record(act: str, system: System) -> None:
    with pytest.raises(Refusal) as refused:
        await WRONG_ROLE[act](system.platform)
    (event,) = await refusals(system)
    assert (event["kind"], event["act"], event["code"]) == ("request.refused", act, "forbidden")
    assert (event["actor"], event["identity"], event["role"]) == ("user:vera", "usr_vera", "viewer")
    assert event["payload"]["reason"] == refused.value.message
    assert len(event["digest"]) == 64


async def test_self_approval_a_wrong_digest_and_a_stranger_are_on_record(started: Hand) -> None:
    system = started.system
    await started.act("pay")
    approval = await system.approval(started.assignment.run)
    itself = person("alice", Role.ADMIN, groups=("payers",))
    stranger = person("carl", Role.APPROVER, groups=("others",))
    for who, digest, code in (
        (itself, approval.digest, "self_approval"),
        (BOB, "0" * 64, "grant_mismatch"),
        (stranger, approval.digest, "not_an_approver"),
    ):
        with pytest.raises(Refusal):
            await system.platform.approving.decide(who, approval.id, approve=True, digest=digest)
        event = (await refusals(system))[-1]
        assert (event["code"], event["subject"], event["actor"]) == (code, approval.id, f"user:{who.name}")
        assert event["payload"]["tried"]["digest"] == digest


async def test_a_refused_intent_is_told_of_once(system: System) -> None:
    with pytest.raises(Refusal):
        await system.submit(budget_usd="1", app="nobody")
    (event,) = await refusals(system)
    assert (event["act"], event["code"]) == ("runs.submit", "not_found")


async def test_a_key_leaves_a_hundred_an_hour_and_then_a_count(system: System) -> None:
    async def refuse(times: int) -> None:
        for _ in range(times):
            with pytest.raises(Refusal):
                await system.platform.control.cancel(VIEWER, ABSENT)

    await refuse(1_000)
    found = await refusals(system)
    assert [event.get("count", 1) for event in found[:NOTED_PER_HOUR]] == [1] * NOTED_PER_HOUR
    assert len(found) <= NOTED_PER_HOUR + 12
    with pytest.raises(Refusal):
        await system.platform.halts.lift(person("other", Role.VIEWER), "hlt_1")
    assert (await refusals(system))[-1]["actor"] == "user:other", "another key has its own hundred"
    system.clock.advance(3_600)
    await refuse(1)
    assert sum(event.get("count", 1) for event in await refusals(system)) == 1_002


async def test_what_is_kept_of_a_request_can_be_erased(system: System) -> None:
    with pytest.raises(Refusal):
        await system.platform.control.cancel(VIEWER, ABSENT, "a secret")
    (event,) = await refusals(system)
    done = await system.platform.erasing.erase(ROOT, "tenant:acme", event["seq"], "personal data")
    assert done.erased == (f"tenant:acme.{event['seq']}",)
    (event,) = await refusals(system)
    assert event["payload"] is None
    with pytest.raises(Refusal):
        await system.platform.erasing.erase(ROOT, "tenant:evil", 1, "of another tenant")


async def test_what_may_be_done_leaves_no_refusal(started: Hand) -> None:
    await started.system.platform.control.cancel(ALICE, started.assignment.run)
    assert await refusals(started.system) == []
