"""A request that nobody answers is escalated: from its instant on a second group may answer too, and the log says so once."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from stretching_kit import SENDING, asking, done, replica, sending_bundle, sending_shop, state

from bailiwick.base import Instant, parse_instant
from bailiwick.policy import Bundle, NotAnApprover, Role, SelfApproval
from bailiwick.ports import Approval, ApprovalState
from bailiwick.run import CallState, Status, StepStatus
from bailiwick.service import AlreadyDecided, ApprovalAltered
from platform_fixtures import Opener
from platform_kit import ALICE, BOB, ROOT, System, decide_seen, person

AFTER = 900
long = pytest.mark.postgres_when_long
ESCALATING = SENDING.replace('@approval_ttl("PT1H")', '@escalate_to("chiefs") @escalate_after("PT15M")')
CHIEF = person("carol", Role.APPROVER, groups=("chiefs",))
WRONG = person("dora", Role.APPROVER, groups=("change-approvers", "chief", "Chiefs"))
SECOND = """
@id("shop.send-looked-at")
@reason("a transfer is looked at twice")
@require_approval("auditors")
@escalate_to("chiefs") @escalate_after("PT1H")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "shop.send" }
unless { context.approvals.contains("auditors") };
"""


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    texts = {
        "": ESCALATING,
        "same": f"// a comment\n{ESCALATING}",
        "later": ESCALATING.replace("PT15M", "PT20M"),
        "others": ESCALATING.replace('to("chiefs")', 'to("board")'),
        "none": SENDING,
        "two": ESCALATING + SECOND,
        "short": ESCALATING
        + SECOND.replace('@escalate_to("chiefs") @escalate_after("PT1H")', '@approval_ttl("PT10M")'),
    }
    return {name: sending_bundle(text) for name, text in texts.items()}


@pytest.fixture
async def system(bundles: dict[str, Bundle], open_system: Opener) -> System:
    return await open_system(sending_shop(), bundle=bundles[""])


async def told(system: System, run: str) -> list[dict[str, Any]]:
    """What the run's log says of escalations."""
    return [event for event in await system.events(run) if event["kind"] == "action.escalated"]


async def decide(system: System, who: Any, id: str, approve: bool = True) -> Approval:
    return await decide_seen(system.platform, who, id, approve=approve)


# --- who may answer, and from when on ---------------------------------------------------------------------------------


async def test_the_second_group_is_refused_before_the_instant_and_may_answer_after_it(system: System) -> None:
    hand, id = await asking(system)
    system.clock.advance(AFTER - 60)
    with pytest.raises(NotAnApprover) as early:
        await decide(system, CHIEF, id)
    asked = await system.approval(hand.assignment.run)
    at = Instant(asked.requested_at + AFTER * 1_000_000)
    assert asked.holds[0]["escalate_to"] == "chiefs"
    assert parse_instant(asked.holds[0]["escalate_at"]) == at
    assert early.value.facts["missing"] == ["payers"]
    assert parse_instant(str(early.value.facts["since"])) == at
    system.clock.advance(61)
    decided = await decide(system, CHIEF, id)
    assert (decided.state, decided.decided_by) == (ApprovalState.APPROVED, "carol")
    await done(hand)
    assert system.outside.count("send") == 1
    assert await state(system, id) is ApprovalState.CONSUMED


@long
async def test_the_second_group_may_also_say_no(system: System) -> None:
    hand, id = await asking(system)
    system.clock.advance(AFTER)
    await decide(system, CHIEF, id, approve=False)
    assert (await system.refolded(hand.assignment.run)).steps["work"].status is StepStatus.FAILED
    assert system.outside.calls == []


@long
@pytest.mark.parametrize("ahead", [0, AFTER - 1, AFTER + 1, 23 * 3600])
async def test_the_first_group_may_answer_at_any_time(system: System, ahead: int) -> None:
    hand, id = await asking(system)
    system.clock.advance(ahead)
    await decide(system, BOB, id)
    hand = await system.hand("next")
    await done(hand)


@long
@pytest.mark.parametrize("ahead", [0, AFTER + 1])
@pytest.mark.parametrize("name", ["alice", "ALICE"])
async def test_the_requester_never_answers_in_whichever_group(system: System, name: str, ahead: int) -> None:
    _, id = await asking(system)
    system.clock.advance(ahead)
    requester = person(name, Role.ADMIN, groups=("payers", "chiefs"))
    with pytest.raises(SelfApproval):
        await decide(system, requester, id)
    assert await state(system, id) is ApprovalState.PENDING


@long
async def test_groups_that_are_not_named_answer_neither_before_nor_after(system: System) -> None:
    _, id = await asking(system)
    for _ in range(2):
        with pytest.raises(NotAnApprover) as refusal:
            await decide(system, WRONG, id)
        assert refusal.value.facts["since"] == ""
        system.clock.advance(AFTER + 1)


async def test_the_databases_clock_says_when_it_is_time(system: System) -> None:
    """The same clock that says when a request expires: a process that is ahead gives nobody a right early."""
    hand, id = await asking(system)
    world = system.platform.approving._world

    class Ahead:
        def __getattr__(self, name: str) -> Any:
            return getattr(world, name)

        def now(self) -> Instant:
            return Instant(world.now() + AFTER * 1_000_000)

    system.platform.approving._world = Ahead()
    with pytest.raises(NotAnApprover) as early:
        await decide(system, CHIEF, id)
    assert early.value.facts["since"] == (await system.approval(hand.assignment.run)).holds[0]["escalate_at"]
    assert await state(system, id) is ApprovalState.PENDING
    system.platform.approving._world = world
    system.clock.advance(AFTER)
    await decide(system, CHIEF, id)


@long
async def test_after_the_expiry_nobody_answers(system: System) -> None:
    _, id = await asking(system)
    system.clock.advance(24 * 3600 + 1)
    with pytest.raises(AlreadyDecided) as late:
        await decide(system, CHIEF, id)
    assert late.value.facts["state"] == ApprovalState.EXPIRED
    assert await system.platform.recovering.escalate_approvals() == 0


@long
async def test_each_hold_of_a_request_escalates_at_its_own_instant(
    system: System, bundles: dict[str, Bundle]
) -> None:
    await system.platform.activating.activate(ROOT, bundles["two"])
    hand, id = await asking(system)
    run = hand.assignment.run
    system.clock.advance(AFTER + 1)
    with pytest.raises(NotAnApprover) as early:
        await decide(system, CHIEF, id)
    assert early.value.facts["missing"] == ["auditors", "payers"]
    both = person("erin", Role.APPROVER, groups=("chiefs", "auditors"))
    assert await system.platform.recovering.escalate_approvals() == 1
    system.clock.advance(3600)
    assert await system.platform.recovering.escalate_approvals() == 0, "the group was told of"
    assert [event["to"] for event in await told(system, run)] == [["chiefs"]]
    await decide(system, both, id)


@long
async def test_an_escalation_that_would_come_after_the_expiry_is_not_asked_for(
    system: System, bundles: dict[str, Bundle]
) -> None:
    """Another hold lets the request expire before it."""
    await system.platform.activating.activate(ROOT, bundles["short"])
    hand, _ = await asking(system)
    asked = await system.approval(hand.assignment.run)
    assert ["escalate_to" in rule for rule in asked.holds] == [False, False]


# --- the run's log says it, once --------------------------------------------------------------------------------------


async def test_the_log_says_once_to_whom_and_wakes_nobody(system: System) -> None:
    hand, id = await asking(system)
    run, recovering = hand.assignment.run, system.platform.recovering
    assert await recovering.escalate_approvals() == 0
    before = await system.refolded(run)
    system.clock.advance(AFTER)
    assert [await recovering.escalate_approvals() for _ in range(3)] == [1, 0, 0]
    (event,) = await told(system, run)
    assert (event["actor"], event["cause"]) == ("timer:approvals", id)
    assert (event["approval"], event["to"]) == (id, ["chiefs"])
    assert "moves" not in event
    after = await system.refolded(run)
    assert (after.status, after.steps) == (Status.WAITING_FOR_APPROVAL, before.steps)
    (call,) = after.calls.values()
    assert call == replace(next(iter(before.calls.values())), escalated=("chiefs",))
    assert await hand.claim() is None
    assert system.platform.approving.escalated(await system.approval(run)) == ("chiefs",)


async def test_a_restart_before_or_after_the_log_says_it_changes_nothing(system: System) -> None:
    hand, id = await asking(system)
    system.clock.advance(AFTER)
    await system.crash()
    assert await system.platform.recovering.escalate_approvals() == 1
    await system.crash()
    assert await system.platform.recovering.escalate_approvals() == 0
    assert len(await told(system, hand.assignment.run)) == 1
    await decide(system, CHIEF, id)


async def test_two_processes_write_it_once(system: System) -> None:
    hand, _ = await asking(system)
    others = [await replica(system) for _ in range(3)]
    system.clock.advance(AFTER)
    platforms = [system.platform, *others]
    counts = await asyncio.gather(*(each.recovering.escalate_approvals() for each in platforms))
    assert sum(counts) == 1
    assert len(await told(system, hand.assignment.run)) == 1


@pytest.mark.parametrize("approve", [True, False])
async def test_in_a_race_with_the_timer_the_decision_stands(system: System, approve: bool) -> None:
    """Either may be first, in this process and in another; the log never says it of what was decided before."""
    other = await replica(system)
    for turn in range(8):
        hand, id = await asking(system, title=f"race {turn}")
        run = hand.assignment.run
        system.clock.advance(AFTER)
        deciding = decide_seen((system.platform, other)[turn % 2], CHIEF, id, approve=approve)
        keeping = system.platform.recovering.escalate_approvals()
        racers = (deciding, keeping) if turn % 4 < 2 else (keeping, deciding)
        answers = await asyncio.gather(*racers)
        assert {each.state for each in answers if isinstance(each, Approval)} == {
            ApprovalState.APPROVED if approve else ApprovalState.REJECTED
        }
        events = await system.events(run)
        kinds = [event["kind"] for event in events]
        assert kinds.count("action.escalated") == sum(each for each in answers if isinstance(each, int))
        decided = next(
            at
            for at, event in enumerate(events)
            if event.get("cause") == id and event["actor"] == "user:carol"
        )
        assert "action.escalated" not in kinds[decided:]
        if approve:
            await system.platform.control.cancel(ALICE, run)


@long
async def test_a_timer_that_is_late_says_nothing_of_what_was_decided(system: System) -> None:
    hand, id = await asking(system)
    system.clock.advance(AFTER)
    stale = await system.approval(hand.assignment.run)
    await decide(system, BOB, id)
    assert not await system.platform.approving.escalate(stale)
    assert await told(system, hand.assignment.run) == []


@long
async def test_a_run_in_quarantine_is_told_of_when_it_goes_on(system: System) -> None:
    """The timer tries again: nothing may be written into a run that stands still."""
    hand, _ = await asking(system)
    run = hand.assignment.run
    assert system.edit("UPDATE runs SET title = 'another'") == 1
    assert await system.platform.runs.compare("acme", run)
    system.clock.advance(AFTER)
    assert await system.platform.recovering.escalate_approvals() == 0
    await system.platform.control.resume(ALICE, run)
    assert await system.platform.recovering.escalate_approvals() == 1


# --- other policies, other rows ---------------------------------------------------------------------------------------


@long
async def test_under_the_same_rules_the_instant_is_carried_over(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, id = await asking(system)
    asked = await system.approval(hand.assignment.run)
    system.clock.advance(AFTER)
    assert await system.platform.recovering.escalate_approvals() == 1
    await system.platform.activating.activate(ROOT, bundles["same"])
    assert await system.platform.redeciding.redecide() == 1
    carried = await system.approval(hand.assignment.run)
    assert (carried.id, carried.holds, carried.expires_at) == (id, asked.holds, asked.expires_at)
    assert await system.platform.recovering.escalate_approvals() == 0
    await system.crash()
    assert await system.platform.recovering.escalate_approvals() == 0
    assert len(await told(system, hand.assignment.run)) == 1
    await decide(system, CHIEF, id)


@long
@pytest.mark.parametrize("other", ["later", "others", "none"])
async def test_another_escalation_is_asked_for_anew_and_counts_from_then(
    system: System, bundles: dict[str, Bundle], other: str
) -> None:
    hand, id = await asking(system)
    system.clock.advance(AFTER)
    assert await system.platform.recovering.escalate_approvals() == 1
    await system.platform.activating.activate(ROOT, bundles[other])
    assert await system.platform.redeciding.redecide() == 1
    asked = await system.approval(hand.assignment.run)
    assert asked.id != id
    (call,) = (await system.refolded(hand.assignment.run)).calls.values()
    assert (call.state, call.escalated) == (CallState.HELD, ())
    with pytest.raises(NotAnApprover):
        await decide(system, CHIEF, asked.id)
    assert await system.platform.recovering.escalate_approvals() == 0
    if other == "later":
        system.clock.advance(1201)
        assert await system.platform.recovering.escalate_approvals() == 1
        assert [event["approval"] for event in await told(system, hand.assignment.run)] == [id, asked.id]
        await decide(system, CHIEF, asked.id)


REWRITTEN: dict[str, Callable[[dict[str, str]], Any]] = {
    "earlier": lambda rule: rule.update(escalate_at="2020-01-01T00:00:00.000000Z"),
    "the-same-instant-said-otherwise": lambda rule: rule.update(
        escalate_at=rule["escalate_at"].replace("Z", "+00:00")
    ),
    "never": lambda rule: rule.update(escalate_at="never"),
    "to-others": lambda rule: rule.update(escalate_to="change-approvers"),
    "to-nobody": lambda rule: rule.update(escalate_to=""),
    "no-instant": lambda rule: rule.pop("escalate_at"),
    "none-at-all": lambda rule: [rule.pop(name) for name in ("escalate_to", "escalate_at")],
    "another-reason": lambda rule: rule.update(reason="nothing to see"),
    "a-member-more": lambda rule: rule.update(more="x"),
}


@long
@pytest.mark.parametrize("change", REWRITTEN.values(), ids=REWRITTEN)
async def test_an_escalation_that_was_rewritten_lets_nobody_answer_and_is_found(
    system: System, change: Callable[[dict[str, str]], Any]
) -> None:
    hand, id = await asking(system)
    system.tampered = True
    (rule,) = (await system.approval(hand.assignment.run)).holds
    change(rule)
    assert system.edit(f"UPDATE approvals SET holds = '{json.dumps([rule])}'") == 1
    for ahead in (0, AFTER + 1):
        system.clock.advance(ahead)
        for who in (BOB, CHIEF, WRONG):
            with pytest.raises(ApprovalAltered):
                await decide(system, who, id)
        with pytest.raises(ApprovalAltered):
            await system.platform.approving.show(BOB, id)
        assert await system.platform.recovering.escalate_approvals() == 0
    assert await told(system, hand.assignment.run) == []
    (call,) = (await system.refolded(hand.assignment.run)).calls.values()
    assert call.state is CallState.HELD
    assert system.outside.calls == []


@long
async def test_a_request_without_an_escalation_is_never_escalated(
    system: System, bundles: dict[str, Bundle]
) -> None:
    await system.platform.activating.activate(ROOT, bundles["none"])
    hand, id = await asking(system)
    (rule,) = (await system.approval(hand.assignment.run)).holds
    assert set(rule) == {"id", "group", "text_digest", "reason"}
    system.clock.advance(3599)
    assert await system.platform.recovering.escalate_approvals() == 0
    with pytest.raises(NotAnApprover):
        await decide(system, CHIEF, id)
