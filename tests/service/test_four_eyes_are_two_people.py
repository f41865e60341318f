"""Four eyes are two people: who asked, and whom that one has lately made able to decide, decide nothing."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from stretching_kit import asking, done, sending_bundle, sending_shop, state

from bailiwick.base import Refusal, parse_canonical
from bailiwick.policy import Bundle, NotAnApprover, Principal, Role, SelfApproval
from bailiwick.ports import ApprovalState
from bailiwick.service import DigestMissing, MadeByRequester, NameTaken, Unauthenticated
from platform_fixtures import Opener
from platform_kit import System, decide_seen

GROUPS = ("payers",)
HOUR = 3600


@pytest.fixture(scope="module")
def strict() -> Bundle:
    return sending_bundle()


@pytest.fixture
async def system(strict: Bundle, open_system: Opener) -> System:
    return await open_system(sending_shop(), bundle=strict)


async def issued(system: System, name: str, role: Role, groups: tuple[str, ...] = ()) -> Principal:
    """Somebody whom the platform itself let in, long ago."""
    keyring = system.platform.keyring
    _, secret = await keyring.issue("acme", name=name, role=role, groups=groups, by="test")
    return keyring.authenticate(secret)


async def made(
    system: System, by: Principal, name: str, role: Role, groups: tuple[str, ...] = GROUPS
) -> Principal:
    keyring = system.platform.keyring
    _, secret = await keyring.create(by, name=name, role=role, groups=groups)
    return keyring.authenticate(secret)


async def minted(system: System, by: Principal, name: str) -> Principal:
    keyring = system.platform.keyring
    _, secret = await keyring.mint(by, name)
    return keyring.authenticate(secret)


Faking = Callable[[System, Principal], Awaitable[Principal]]


async def under_another_name(system: System, ann: Principal) -> Principal:
    return await made(system, ann, "bob", Role.APPROVER)


async def with_a_key_of_an_approver(system: System, ann: Principal) -> Principal:
    await issued(system, "bob", Role.APPROVER, GROUPS)
    return await minted(system, ann, "bob")


async def by_a_role(system: System, ann: Principal) -> Principal:
    bob = await issued(system, "bob", Role.VIEWER, GROUPS)
    await system.platform.identities.change(ann, "bob", role=Role.APPROVER)
    return replace(bob, role=Role.APPROVER)


async def by_a_group(system: System, ann: Principal) -> Principal:
    bob = await issued(system, "bob", Role.APPROVER)
    await system.platform.identities.change(ann, "bob", groups=GROUPS)
    return bob


async def by_letting_back_in(system: System, ann: Principal) -> Principal:
    bob = await issued(system, "bob", Role.APPROVER, GROUPS)
    await system.platform.identities.disable(ann, "bob")
    await system.platform.identities.enable(ann, "bob")
    return bob


async def through_an_admin(system: System, ann: Principal) -> Principal:
    bea = await made(system, ann, "bea", Role.ADMIN, ())
    return await made(system, bea, "cid", Role.APPROVER)


async def through_an_admin_a_day_before(system: System, ann: Principal) -> Principal:
    bea = await made(system, ann, "bea", Role.ADMIN, ())
    system.clock.advance(23 * HOUR)
    return await made(system, bea, "cid", Role.APPROVER)


async def through_a_key_of_another_admin(system: System, ann: Principal) -> Principal:
    await issued(system, "bea", Role.ADMIN)
    bea = await minted(system, ann, "bea")
    return await made(system, bea, "cid", Role.APPROVER)


async def through_a_key_that_mints_a_key(system: System, ann: Principal) -> Principal:
    await issued(system, "bea", Role.ADMIN, GROUPS)
    bea = await minted(system, ann, "bea")
    return await minted(system, bea, "bea")


FAKES = (
    under_another_name,
    with_a_key_of_an_approver,
    by_a_role,
    by_a_group,
    by_letting_back_in,
    through_an_admin,
    through_an_admin_a_day_before,
    through_a_key_of_another_admin,
    through_a_key_that_mints_a_key,
)


@pytest.mark.parametrize("approve", [True, False], ids=["approving", "rejecting"])
@pytest.mark.parametrize("fake", FAKES)
async def test_whom_the_requester_made_able_decides_nothing(
    system: System, fake: Faking, *, approve: bool
) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    tool = await fake(system, ann)
    _, id = await asking(system, who=ann)
    with pytest.raises(MadeByRequester) as refusal:
        await decide_seen(system.platform, tool, id, approve=approve)
    assert "ann" in refusal.value.message
    assert await state(system, id) is ApprovalState.PENDING


@pytest.mark.parametrize("fake", [under_another_name, by_a_group, through_an_admin])
async def test_what_the_requester_does_after_the_request_never_counts(system: System, fake: Faking) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    _, id = await asking(system, who=ann)
    tool = await fake(system, ann)
    system.clock.advance(0.9 * HOUR)
    with pytest.raises(MadeByRequester):
        await decide_seen(system.platform, tool, id, approve=True)


@pytest.mark.parametrize("fake", [under_another_name, by_a_role, through_a_key_of_another_admin])
async def test_a_day_later_what_the_requester_gave_counts(system: System, fake: Faking) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    tool = await fake(system, ann)
    system.clock.advance(24 * HOUR + 1)
    hand, id = await asking(system, who=ann)
    await decide_seen(system.platform, tool, id, approve=True)
    await done(hand)
    assert system.outside.count("send") == 1


async def test_a_key_that_was_minted_before_its_role_was_given_is_judged_by_both(system: System) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    bob = await made(system, ann, "bob", Role.VIEWER)
    system.clock.advance(30 * HOUR)
    zoe = await issued(system, "zoe", Role.ADMIN)
    await system.platform.identities.change(zoe, "bob", role=Role.APPROVER)
    bob = replace(bob, role=Role.APPROVER)
    _, id = await asking(system, who=ann)
    assert (await decide_seen(system.platform, bob, id, approve=True)).state is ApprovalState.APPROVED


async def test_whom_another_admin_made_able_decides_at_once_and_the_approval_says_who(system: System) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    zoe = await issued(system, "zoe", Role.ADMIN)
    bob = await made(system, zoe, "bob", Role.APPROVER, ())
    await system.platform.identities.change(zoe, "bob", groups=GROUPS)
    hand, id = await asking(system, who=ann)
    decided = await decide_seen(system.platform, bob, id, approve=True)
    assert (decided.requester, decided.decider, decided.decider_key) == (ann.id, bob.id, bob.key)
    assert {(one.what, one.by, one.by_identity) for one in decided.able} == {
        (what, "zoe", zoe.id) for what in ("created", "groups", "key")
    }
    assert (await system.platform.approving.show(zoe, id)).approval.able == decided.able
    stored = await system.store.ledger.events("acme", hand.assignment.run, 0, 100)
    headers = [parse_canonical(event.header) for event in stored]
    (granted,) = [one for one in headers if one.get("cause") == id]
    assert (granted["identity"], granted["api_key"]) == (bob.id, bob.key)
    assert [one["by"] for one in granted["able"]] == ["zoe"] * 3
    assert (headers[0]["identity"], headers[0]["api_key"]) == (ann.id, ann.key)


async def test_the_requester_decides_with_none_of_its_keys(system: System) -> None:
    ann = await issued(system, "ann", Role.ADMIN, GROUPS)
    other = await minted(system, ann, "ann")
    assert other.key != ann.key
    _, id = await asking(system, who=ann)
    for approve in (True, False):
        with pytest.raises(SelfApproval):
            await decide_seen(system.platform, other, id, approve=approve)


async def test_a_name_is_never_given_again(system: System) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    await issued(system, "bob", Role.APPROVER, GROUPS)
    await system.platform.identities.disable(ann, "bob")
    with pytest.raises(NameTaken):
        await made(system, ann, "bob", Role.APPROVER)
    with pytest.raises(NameTaken):
        await system.platform.identities.create(ann, name="bob", role=Role.APPROVER)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Bob",
        "b\u043eb",
        "bob\u200b",
        "bob\n",
        "bo b",
        "-bob",
        ".",
        "\uff42ob",
        "b" * 65,
        "bob\x00",
        "b/b",
    ],
)
async def test_a_name_reads_the_same_to_everybody(system: System, name: str) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    for make in (system.platform.identities.create, system.platform.keyring.create):
        with pytest.raises(Refusal) as refusal:
            await make(ann, name=name, role=Role.VIEWER)
        assert refusal.value.code == "invalid_identity"
    assert [one.name for one in await system.platform.identities.list(ann)] == ["ann"]


async def test_a_service_decides_nothing(system: System) -> None:
    zoe, ann = await issued(system, "zoe", Role.ADMIN), await issued(system, "ann", Role.ADMIN)
    keyring = system.platform.keyring
    _, secret = await keyring.create(zoe, name="ci", role=Role.APPROVER, groups=GROUPS, kind="service")
    _, id = await asking(system, who=ann)
    with pytest.raises(NotAnApprover):
        await decide_seen(system.platform, keyring.authenticate(secret), id, approve=True)


async def test_what_the_ledger_says_of_a_decider_now_counts(system: System) -> None:
    """A process that has not heard yet of a change does not decide by what it remembers."""
    ann, zoe = await issued(system, "ann", Role.OPERATOR), await issued(system, "zoe", Role.ADMIN)
    bob = await issued(system, "bob", Role.APPROVER, GROUPS)
    eve = await issued(system, "eve", Role.APPROVER, GROUPS)
    _, id = await asking(system, who=ann)
    await system.platform.identities.change(zoe, "bob", groups=())
    with pytest.raises(NotAnApprover):
        await decide_seen(system.platform, bob, id, approve=True)
    await system.platform.keyring.revoke(zoe, eve.key)
    with pytest.raises(Unauthenticated):
        await decide_seen(system.platform, eve, id, approve=True)


async def test_an_approval_names_what_was_seen(system: System) -> None:
    ann, bob = await issued(system, "ann", Role.OPERATOR), await issued(system, "bob", Role.APPROVER, GROUPS)
    _, id = await asking(system, who=ann)
    with pytest.raises(DigestMissing):
        await system.platform.approving.decide(bob, id, approve=True)
    assert await state(system, id) is ApprovalState.PENDING
    assert (await system.platform.approving.decide(bob, id, approve=False)).state is ApprovalState.REJECTED


async def test_in_the_first_steps_one_person_tries_both_sides(system: System) -> None:
    ann = await issued(system, "ann", Role.ADMIN)
    system.platform.standings.hours = 0.0
    bob = await made(system, ann, "bob", Role.APPROVER)
    _, id = await asking(system, who=ann)
    assert (await decide_seen(system.platform, bob, id, approve=True)).state is ApprovalState.APPROVED
