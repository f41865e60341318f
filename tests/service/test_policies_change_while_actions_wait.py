"""A policy that is activated while actions wait: same rules carry over, others ask again, allowed runs, denied answers."""

from typing import Any

import pytest
from stretching_kit import (
    SENDING,
    approve,
    asking,
    propose,
    replica,
    sending_bundle,
    sending_shop,
    sent,
    state,
)

from bailiwick.base import Digest
from bailiwick.contract import ErrorCategory
from bailiwick.policy import Bundle, Forbidden
from bailiwick.ports import ApprovalState, Blobs, Recorded
from bailiwick.run import CallState, Status, StepStatus
from bailiwick.service import AlreadyDecided, NotFound
from bailiwick.service.gate.halts import NotTheOperator
from bailiwick.service.people.activating import Activating
from platform_fixtures import Opener
from platform_kit import ALICE, BOB, MALLORY, ROOT, Hand, System

pytestmark = pytest.mark.postgres_when_long

OTHERS = {
    "text": SENDING.replace('"shop.give"]', '"shop.give", "shop.lend"]'),
    "id": SENDING.replace("shop.send-approved", "shop.send-approved-2"),
    "group": SENDING.replace("payers", "change-approvers"),
    "reason": SENDING.replace("needs a payer", "needs two looks"),
    "expiry": SENDING.replace("PT1H", "PT2H"),
    "a-rule-more": SENDING + SENDING.replace("shop.send-approved", "shop.send-again"),
}
FREE = "// nothing is held here\n"
NEVER = """
@id("shop.send-never")
@reason("nothing is sent any more")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "shop.send" };
"""


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    texts = {"asked": SENDING, "same": f"// a comment\n{SENDING}", "free": FREE, "never": NEVER, **OTHERS}
    return {name: sending_bundle(text) for name, text in texts.items()}


@pytest.fixture
async def system(bundles: dict[str, Bundle], open_system: Opener) -> System:
    return await open_system(sending_shop(), bundle=bundles["asked"])


async def change(system: System, bundle: Bundle, *, brought_up: int = 1) -> None:
    assert await system.platform.activating.activate(ROOT, bundle)
    assert await system.platform.redeciding.redecide() == brought_up
    assert await system.platform.redeciding.redecide() == 0, "once is enough"


async def last(system: System, hand: Hand) -> dict[str, Any]:
    return (await system.events(hand.assignment.run))[-1]


async def run_granted(system: System, hand: Hand) -> None:
    await hand.port.settle(hand.session, await hand.execute(await sent(hand)))
    assert await hand.claim() is not None
    answer = await propose(hand)
    assert isinstance(answer, Recorded)
    assert answer.state == "done"
    assert system.outside.count("send") == 1


async def test_under_the_same_rules_a_request_is_carried_over(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, id = await asking(system)
    await change(system, bundles["same"])
    carried = await system.approval(hand.assignment.run)
    assert (carried.id, carried.state) == (id, ApprovalState.PENDING)
    assert carried.policy_version == bundles["same"].version
    event = await last(system, hand)
    assert (event["kind"], event["actor"], event["cause"]) == ("action.moved", "timer:re-decide", id)
    assert (event["call"]["state"], event["call"]["approval"]) == ("held", id)
    assert event["call"]["policy_version"] == bundles["same"].version
    await approve(system, id)
    await run_granted(system, hand)


@pytest.mark.parametrize("other", OTHERS)
async def test_under_other_rules_people_are_asked_again(
    system: System, bundles: dict[str, Bundle], other: str
) -> None:
    hand, id = await asking(system)
    await change(system, bundles[other])
    asked = await system.approval(hand.assignment.run)
    assert asked.id != id
    assert asked.policy_version == bundles[other].version
    assert await state(system, id) is ApprovalState.WITHDRAWN
    with pytest.raises(AlreadyDecided):
        await approve(system, id)
    view = await system.platform.approving.show(BOB, asked.id)
    assert view.action["arguments"]["order"]["to"] == "anna"
    run = await system.refolded(hand.assignment.run)
    assert run.status is Status.WAITING_FOR_APPROVAL
    assert run.steps["work"].wait is not None
    assert run.steps["work"].wait.ref == asked.id
    await approve(system, asked.id)
    await run_granted(system, hand)


async def test_what_is_allowed_now_runs_without_a_grant(system: System, bundles: dict[str, Bundle]) -> None:
    hand, id = await asking(system)
    await change(system, bundles["free"])
    assert await state(system, id) is ApprovalState.WITHDRAWN
    with pytest.raises(AlreadyDecided):
        await approve(system, id)
    await run_granted(system, hand)


async def test_what_was_let_go_and_is_held_again_before_it_runs_is_asked_again(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, id = await asking(system)
    await change(system, bundles["free"])
    await system.platform.activating.activate(ROOT, bundles["asked"])
    assert await hand.claim() is None
    asked = await system.approval(hand.assignment.run)
    assert asked.id != id
    assert system.outside.calls == []
    await approve(system, asked.id)
    await run_granted(system, hand)


async def test_what_was_let_go_and_is_denied_before_it_runs_is_refused(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, _ = await asking(system)
    await change(system, bundles["free"])
    await system.platform.activating.activate(ROOT, bundles["never"])
    assert await hand.claim() is None
    await told_denied(system, hand)


async def test_what_is_denied_now_is_answered_with_the_denial(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, id = await asking(system)
    await change(system, bundles["never"])
    assert await state(system, id) is ApprovalState.WITHDRAWN
    with pytest.raises(AlreadyDecided):
        await approve(system, id)
    await told_denied(system, hand)


async def told_denied(system: System, hand: Hand) -> None:
    assert await hand.claim() is not None
    answer = await propose(hand)
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.category) == ("refused", ErrorCategory.DENIED)
    assert "nothing is sent any more" in answer.reason
    assert system.outside.calls == []


@pytest.mark.parametrize(
    ("policies", "count"), [("same", 1), ("free", 1), ("never", 0), *((other, 0) for other in OTHERS)]
)
async def test_an_unused_grant_is_judged_again_when_it_is_used(
    system: System, bundles: dict[str, Bundle], policies: str, count: int
) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    await system.platform.activating.activate(ROOT, bundles[policies])
    assert await system.platform.redeciding.redecide() == 0, "the dispatch judges grants"
    if count:
        await run_granted(system, hand)
        assert await state(system, id) is ApprovalState.CONSUMED
        return
    assert await hand.claim() is None
    assert await state(system, id) is not ApprovalState.CONSUMED
    assert system.outside.calls == []
    if policies in OTHERS:
        assert (await system.approval(hand.assignment.run)).policy_version == bundles[policies].version


async def test_a_crash_between_activation_and_judgement_loses_neither(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, id = await asking(system)
    await system.platform.activating.activate(ROOT, bundles["text"])
    await system.crash()
    assert system.platform.bundle.version == bundles["text"].version
    assert await system.platform.redeciding.redecide() == 1
    await system.crash()
    assert await system.platform.redeciding.redecide() == 0
    assert (await system.approval(hand.assignment.run)).id != id


async def test_all_that_waits_is_brought_up_page_by_page(
    system: System, bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick.service.upkeep.redeciding.BATCH", 2)
    asked = [await asking(system) for _ in range(5)]
    broken = await system.store.views.approval("acme", asked[2][1])
    assert broken is not None

    class Gone:
        """The second request's run cannot be read: the others must not wait for it."""

        def __init__(self, real: Any) -> None:
            self._real = real

        async def payload(self, tenant: str, run: str, seq: int) -> Any:
            return None if run == broken.run else await self._real(tenant, run, seq)

    monkeypatch.setattr(system.platform.runs, "payload", Gone(system.platform.runs.payload).payload)
    await system.platform.activating.activate(ROOT, bundles["same"])
    assert await system.platform.redeciding.redecide() == 4
    waiting = await system.platform.approving.list(BOB)
    versions = {row.id: row.policy_version for row in waiting}
    assert len(versions) == 5
    assert [id for id, version in versions.items() if version != bundles["same"].version] == [broken.id]


async def test_only_an_admin_activates_and_the_event_says_who_and_what(
    system: System, bundles: dict[str, Bundle]
) -> None:
    for principal in (ALICE, BOB):
        with pytest.raises(Forbidden):
            await system.platform.activating.activate(principal, bundles["free"])
    with pytest.raises(NotTheOperator):
        await system.platform.activating.activate(MALLORY, bundles["free"])
    assert system.platform.bundle.version == bundles["asked"].version
    assert await system.platform.activating.activate(ROOT, bundles["free"])
    assert not await system.platform.activating.activate(ROOT, bundles["free"])
    events = await system.store.ledger.events("", "platform", 0, 10)
    last_two = [event.header.decode() for event in events]
    assert len(last_two) == 2
    assert '"actor":"platform:start"' in last_two[0]
    assert '"actor":"user:root"' in last_two[1]
    assert f'"before":"{bundles["asked"].version}"' in last_two[1]
    assert f'"version":"{bundles["free"].version}"' in last_two[1]


async def test_the_last_activation_outlives_a_restart_and_new_files_outdo_it(
    system: System, bundles: dict[str, Bundle]
) -> None:
    await system.platform.activating.activate(ROOT, bundles["free"])
    await system.crash()
    assert system.platform.bundle.version == bundles["free"].version
    system.bundle = bundles["same"]
    await system.crash()
    assert system.platform.bundle.version == bundles["same"].version
    await system.crash()
    assert system.platform.bundle.version == bundles["same"].version


async def test_another_process_follows(system: System, bundles: dict[str, Bundle]) -> None:
    other = await replica(system)
    await system.platform.activating.activate(ROOT, bundles["never"])
    assert other.bundle.version == bundles["asked"].version
    assert await other.activating.follow() == 1
    assert other.bundle.version == bundles["never"].version
    assert await other.activating.follow() == 0


class Late:
    """Blobs on a shared folder where the newest file shows a moment later."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.late = True

    async def get(self, tenant: str, digest: Digest) -> bytes | None:
        return None if self.late else await self._blobs.get(tenant, digest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)


async def test_what_another_process_could_not_enforce_at_once_it_enforces_later(
    system: System, bundles: dict[str, Bundle]
) -> None:
    other = await replica(system)
    blobs = Late(system.store.blobs)
    following = Activating(
        runs=other.runs, ledger=system.store.ledger, blobs=blobs, halts=other.halts, world=system.world
    )
    await system.platform.activating.activate(ROOT, bundles["never"])
    with pytest.raises(NotFound):
        await following.follow()
    assert other.bundle.version == bundles["asked"].version
    blobs.late = False
    assert await following.follow() == 1
    assert other.bundle.version == bundles["never"].version


async def test_two_that_judge_at_once_bring_a_request_up_once(
    system: System, bundles: dict[str, Bundle]
) -> None:
    hand, id = await asking(system)
    other = await replica(system)
    await system.platform.activating.activate(ROOT, bundles["text"])
    await other.activating.follow()
    page = await system.store.views.outdated_approvals(bundles["text"].version, after="", limit=9)
    assert [row.id for row in page] == [id]
    # Each has read the page before the other acts.
    assert await system.platform.redeciding._again(page[0])
    assert not await other.redeciding._again(page[0])
    run = await system.refolded(hand.assignment.run)
    assert [call.state for call in run.calls.values()] == [CallState.HELD]
    assert run.steps["work"].status is StepStatus.WAITING
    assert len(await system.platform.approving.list(BOB, run=run.id)) == 1


async def test_a_decision_that_was_made_meanwhile_stands(system: System, bundles: dict[str, Bundle]) -> None:
    hand, id = await asking(system)
    await system.platform.activating.activate(ROOT, bundles["text"])
    await approve(system, id)
    assert await system.platform.redeciding.redecide() == 0
    assert await hand.claim() is None, "the answer was to other rules: people are asked again"
    asked = await system.approval(hand.assignment.run)
    assert (asked.id != id, asked.state) == (True, ApprovalState.PENDING)
    assert system.outside.calls == []
