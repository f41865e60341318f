"""Keys of an earlier release become identities, each its own; what can no longer be told apart is asked again."""

from upgrade_kit import Kept

from bailiwick.base import Refusal
from bailiwick.ports import ApprovalState
from platform_kit import BOB, ROOT, decide_seen


async def test_each_key_becomes_an_identity_of_its_own_that_opens_as_before(kept: Kept) -> None:
    views = kept.system.store.views
    people = {one.id: one for one in await views.identities("acme")}
    keys = await views.keys("acme")
    assert len(people) == len(keys) == len({one.name for one in people.values()})
    twins = [one for one in people.values() if one.formerly == "twin"]
    assert sorted(one.role for one in twins) == ["approver", "operator"]
    for key in keys:
        assert key.identity == f"idn_{key.id.removeprefix('key_')}"
        assert people[key.identity].created_at == key.created_at
    assert [tenant.id for tenant in await views.tenants()] == ["acme"]


async def test_a_request_whose_requester_became_ambiguous_is_asked_again(kept: Kept) -> None:
    approving = kept.system.platform.approving
    old, new = await approving.list(BOB, state="", run=kept.runs["held_for_a_twin"])
    assert (old.state, old.requester) == (ApprovalState.WITHDRAWN, "")
    assert "several identities" in old.reason
    assert (new.state, new.requester, new.digest) == (ApprovalState.PENDING, "idn_twin1", old.digest)
    (clear,) = await approving.list(BOB, state="", run=kept.runs["held"])
    assert clear.state is ApprovalState.PENDING
    assert await kept.system.platform.redeciding.ask_again() == 0
    assert (await decide_seen(kept.system.platform, BOB, clear.id, approve=True)).decider == BOB.id


async def test_what_was_asked_before_identities_is_not_approved_by_whoever_bore_the_name(kept: Kept) -> None:
    (request,) = await kept.system.platform.approving.list(ROOT, run=kept.runs["held"])
    people = await kept.system.store.views.identities("acme")
    for one in (one for one in people if one.formerly == request.requested_by):
        who = BOB.__class__(one.id, one.name, BOB.kind, "acme", BOB.role, BOB.groups)
        try:
            await decide_seen(kept.system.platform, who, request.id, approve=True)
        except Refusal as refusal:
            assert refusal.code in ("self_approval", "forbidden", "unauthenticated")
        else:
            raise AssertionError("whoever asked decided")
