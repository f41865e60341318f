"""One decision stands and is used once: by racers, by replicas, across crashes, and after its maker has left."""

import asyncio
from typing import Any

import pytest
from stretching_kit import (
    ORDER,
    approve,
    asking,
    done,
    propose,
    replica,
    sending_bundle,
    sending_shop,
    sent,
    state,
)

from bailiwick.policy import Bundle, Role, SelfApproval
from bailiwick.ports import ApprovalState, Hello, Recorded, Views
from bailiwick.run import CallState
from bailiwick.service import AlreadyDecided, Unauthenticated
from bailiwick.service.people.keyring import Keyring
from bailiwick.wiring.keys import DeploymentKeys
from platform_fixtures import Opener
from platform_kit import BOB, ROOT, System, decide_seen, person, soon

RACERS = 64


@pytest.fixture(scope="module")
def strict() -> Bundle:
    return sending_bundle()


@pytest.fixture
async def system(strict: Bundle, open_system: Opener) -> System:
    return await open_system(sending_shop(), bundle=strict)


@pytest.mark.parametrize("replicas", [1, 2, 4])
async def test_of_64_who_approve_and_reject_at_once_one_wins(system: System, replicas: int) -> None:
    """On several platforms over one store nothing but the store's guards decides."""
    hand, id = await asking(system)
    platforms = [system.platform, *[await replica(system) for _ in range(replicas - 1)]]
    before = len(await system.events(hand.assignment.run))

    async def decide(at: int) -> object:
        racer = person(f"payer-{at}", Role.APPROVER, groups=("payers",))
        try:
            return await decide_seen(platforms[at % replicas], racer, id, approve=at % 3 == 0)
        except AlreadyDecided as late:
            return late

    results = await asyncio.gather(*map(decide, range(RACERS)))
    late = [result for result in results if isinstance(result, AlreadyDecided)]
    assert len(late) == RACERS - 1
    (winner,) = [result for result in results if not isinstance(result, AlreadyDecided)]
    assert {(each.facts["decided_by"], each.facts["state"]) for each in late} == {
        (winner.decided_by, winner.state)
    }
    decisions = [
        event
        for event in (await system.events(hand.assignment.run))[before:]
        if event["kind"] == "action.moved" and event["cause"] == id
    ]
    assert [event["actor"] for event in decisions] == [f"user:{winner.decided_by}"]
    assert await state(system, id) is winner.state


async def test_of_two_replicas_that_claim_a_grant_one_dispatches_it(system: System) -> None:
    _, id = await asking(system)
    other = await replica(system)
    await approve(system, id)
    first = await system.platform.hello(Hello("first", system.capabilities))
    second = await other.hello(Hello("second", system.capabilities))
    found = await asyncio.gather(
        system.platform.claim(first.id, 4, 0.0), other.claim(second.id, 4, 0.0), return_exceptions=True
    )
    assigned = [one for answer in found if isinstance(answer, tuple) for one in answer]
    assert [one.dispatch is not None for one in assigned] == [True]
    assert await state(system, id) is ApprovalState.CONSUMED


async def test_a_crash_between_grant_and_dispatch_uses_the_grant_once(system: System) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    await system.crash()
    assert await state(system, id) is ApprovalState.APPROVED
    hand = await system.hand("next")
    await done(hand)
    assert isinstance(await propose(hand), Recorded)
    assert system.outside.count("send") == 1
    assert await state(system, id) is ApprovalState.CONSUMED


async def test_a_crash_after_the_dispatch_repeats_it_under_its_key_and_takes_no_second_grant(
    system: System,
) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    order = await sent(hand)
    await hand.execute(order)
    await system.crash()
    hand = await system.hand("next")
    again = await sent(hand)
    assert (again.key, again.body, again.attempt_of_effect) == (order.key, order.body, 2)
    await hand.port.settle(hand.session, await hand.execute(again))
    assert system.outside.effects == {order.key: repr(dict(sorted(ORDER.items())))}
    assert await hand.claim() is not None
    assert isinstance(await propose(hand), Recorded)
    assert await system.platform.approving.list(BOB) == []


@pytest.mark.parametrize("approved", [True, False])
async def test_a_used_grant_that_is_made_fresh_by_hand_permits_no_second_use(
    system: System, approved: bool
) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    await done(hand)
    system.tampered = True
    assert system.edit(f"UPDATE approvals SET state = '{'approved' if approved else 'pending'}'") == 1
    if not approved:
        with pytest.raises(AlreadyDecided):
            await approve(system, id)
    answer = await propose(hand)
    assert isinstance(answer, Recorded)
    assert await hand.claim() is None
    assert system.outside.count("send") == 1


@pytest.mark.parametrize("forged", ["approved", "consumed", "rejected"])
async def test_a_state_that_was_written_by_hand_is_no_decision(system: System, forged: str) -> None:
    hand, id = await asking(system)
    system.tampered = True
    assert system.edit(f"UPDATE approvals SET state = '{forged}', decided_by = 'bob'") == 1
    with pytest.raises(AlreadyDecided):
        await approve(system, id)
    assert await hand.claim() is None
    (call,) = (await system.refolded(hand.assignment.run)).calls.values()
    assert call.state is CallState.HELD
    assert system.outside.calls == []


async def test_a_decision_outlives_the_key_of_whoever_made_it_and_a_revoked_key_makes_none(
    system: System,
) -> None:
    """An approval is an act at an instant, like a signature; leaving the group later takes nothing back."""
    keyring = system.platform.keyring
    made, secret = await keyring.create(ROOT, name="kim", role=Role.APPROVER, groups=("payers",))
    hand, id = await asking(system)
    await decide_seen(system.platform, keyring.authenticate(secret), id, approve=True)
    await keyring.revoke(ROOT, made.key.id)
    with pytest.raises(Unauthenticated):
        keyring.authenticate(secret)
    await done(hand)
    assert system.outside.count("send") == 1


class Slow:
    """Views whose answer was read before what happens until it arrives."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self.read = asyncio.Event()
        self.arrive = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._views, name)

    async def keys(self, tenant: str) -> Any:
        found = await self._views.keys(tenant)
        if not tenant:
            self.read.set()
            await self.arrive.wait()
        return found


async def test_a_key_that_is_revoked_while_the_keys_are_read_stays_revoked(system: System) -> None:
    views = Slow(system.store.views)
    pepper = DeploymentKeys(system.folder / "keys").pepper
    keyring = Keyring(ledger=system.store.ledger, views=views, world=system.world, pepper=pepper)
    made, secret = await keyring.create(ROOT, name="kim", role=Role.APPROVER)
    loading = asyncio.ensure_future(keyring.load())
    await soon(views.read.wait())
    await keyring.revoke(ROOT, made.key.id)
    _, newer = await keyring.create(ROOT, name="kay", role=Role.APPROVER)
    views.arrive.set()
    await soon(loading)
    with pytest.raises(Unauthenticated):
        keyring.authenticate(secret)
    assert keyring.authenticate(newer).name == "kay"


@pytest.mark.parametrize("name", ["alice", "ALICE", "\uff41lice", "ali\uff43e"])
async def test_the_requester_is_known_by_any_form_of_the_name(system: System, name: str) -> None:
    hand, id = await asking(system)
    with pytest.raises(SelfApproval):
        await decide_seen(system.platform, person(name, Role.APPROVER, groups=("payers",)), id, approve=True)
    assert await hand.claim() is None
