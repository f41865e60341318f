"""Approvals: one winner, one digest, and no grant after its time."""

import asyncio

import msgspec
import pytest
from conformance_shapes import DIGEST, ShiftedClock, approval, draft, following, moved, opening

from bailiwick.base import Digest, Instant
from bailiwick.ports import ApprovalState, GuardFailed, Unit
from bailiwick.stores import Store


async def asked(store: Store, **other: object) -> None:
    await store.ledger.commit(opening("run_a", new_approvals=(approval(**other),)))  # type: ignore[arg-type]


async def test_an_approval_comes_back_as_it_was_asked(store: Store) -> None:
    await asked(store)
    assert await store.views.approval("acme", "apr_1") == approval()


async def test_of_64_deciders_one_wins_and_every_other_unit_writes_nothing(store: Store) -> None:
    await asked(store)
    states = [ApprovalState.APPROVED, ApprovalState.REJECTED]
    units = [
        Unit(
            "acme",
            others=(("tenant:acme", draft(f"decided-{n}")),),
            moved_approvals=(moved(approval(), state=states[n % 2], decided_by=f"person-{n}"),),
        )
        for n in range(64)
    ]
    outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert len(winners) == 1
    assert sum(isinstance(outcome, GuardFailed) for outcome in outcomes) == 63
    decided = await store.views.approval("acme", "apr_1")
    assert decided is not None
    assert decided.decided_by == f"person-{winners[0]}"
    assert len(await store.ledger.events("acme", "tenant:acme", 0, 100)) == 1


async def test_a_grant_is_consumed_once_and_for_its_digest_alone(store: Store) -> None:
    await asked(store, state=ApprovalState.APPROVED)
    granted = approval(state=ApprovalState.APPROVED)
    other = msgspec.structs.replace(granted, digest=Digest("0" * 64))
    with pytest.raises(GuardFailed) as refusal:
        await store.ledger.commit(Unit("acme", moved_approvals=(moved(other, state=ApprovalState.CONSUMED),)))
    assert refusal.value.facts == {"guard": "approval", "id": "apr_1"}
    consume = following(
        "run_a", 1, moved_approvals=(moved(granted, state=ApprovalState.CONSUMED, unexpired=True),)
    )
    await store.ledger.commit(consume)
    with pytest.raises(GuardFailed):
        await store.ledger.commit(following("run_a", 2, moved_approvals=consume.moved_approvals))
    found = await store.views.approval("acme", "apr_1")
    assert found is not None
    assert (found.state, found.digest) == (ApprovalState.CONSUMED, DIGEST)


async def test_a_decision_moves_its_own_approval_alone(store: Store) -> None:
    await asked(store)
    twin = approval("apr_2")
    await store.ledger.commit(Unit("acme", new_approvals=(twin,)))
    foreign = msgspec.structs.replace(approval(), run="run_other")
    with pytest.raises(GuardFailed):
        await store.ledger.commit(
            Unit("acme", moved_approvals=(moved(foreign, state=ApprovalState.APPROVED),))
        )
    await store.ledger.commit(Unit("acme", moved_approvals=(moved(twin, state=ApprovalState.APPROVED),)))
    assert await store.views.approval("acme", "apr_1") == approval()
    assert await store.views.approval("acme", "apr_2") == approval("apr_2", state=ApprovalState.APPROVED)


async def test_an_expired_grant_is_refused_by_the_databases_clock(store: Store, clock: ShiftedClock) -> None:
    expires = Instant(clock() + 10_000_000)
    await asked(store, state=ApprovalState.APPROVED, expires_at=expires)
    granted = approval(state=ApprovalState.APPROVED, expires_at=expires)
    clock.advance(11)
    consumed = moved(granted, state=ApprovalState.CONSUMED, unexpired=True)
    # Writing a later expiry in the same move must not rescue it: the stored one counts.
    rescued = moved(
        granted, state=ApprovalState.CONSUMED, unexpired=True, expires_at=Instant(clock() + 10**9)
    )
    for late in (consumed, rescued):
        with pytest.raises(GuardFailed):
            await store.ledger.commit(Unit("acme", moved_approvals=(late,)))
    await store.ledger.commit(Unit("acme", moved_approvals=(moved(granted, state=ApprovalState.EXPIRED),)))
    found = await store.views.approval("acme", "apr_1")
    assert found is not None
    assert found.state is ApprovalState.EXPIRED


async def test_the_id_of_an_approval_is_taken(store: Store) -> None:
    await asked(store)
    with pytest.raises(GuardFailed) as refusal:
        await store.ledger.commit(opening("run_b", new_approvals=(approval(),)))
    assert refusal.value.facts == {"guard": "approval", "id": "apr_1"}


async def test_approvals_are_listed_oldest_first_by_tenant_state_and_run(store: Store) -> None:
    mine = [approval(f"apr_{n}", run=f"run_{n % 2}", requested_at=Instant(9 - n)) for n in range(4)]
    theirs = approval("apr_9", tenant="rival", requested_at=Instant(1), state=ApprovalState.APPROVED)
    await store.ledger.commit(Unit("acme", new_approvals=tuple(mine)))
    await store.ledger.commit(Unit("rival", new_approvals=(theirs,)))

    async def ids(tenant: str, state: str = "", run: str = "", limit: int = 9) -> list[str]:
        found = await store.views.approvals(tenant, state=state, run=run, limit=limit)
        return [one.id for one in found]

    assert await ids("acme") == ["apr_3", "apr_2", "apr_1", "apr_0"]
    assert await ids("acme", limit=2) == ["apr_3", "apr_2"]
    assert await ids("acme", run="run_1") == ["apr_3", "apr_1"]
    assert await ids("acme", run="run_1", state="pending") == ["apr_3", "apr_1"]
    assert await ids("acme", run="run_1", state="approved") == []
    assert await ids("acme", state="pending") == ["apr_3", "apr_2", "apr_1", "apr_0"]
    assert await ids("acme", state="approved") == []
    assert await ids("") == ["apr_9", "apr_3", "apr_2", "apr_1", "apr_0"]
    assert await ids("", state="pending", limit=3) == ["apr_3", "apr_2", "apr_1"]
    assert await ids("", state="pending", run="run_0") == ["apr_2", "apr_0"]
    assert await ids("", run="run_0") == ["apr_2", "apr_0"]


async def test_requests_under_another_policy_are_paged_by_id_and_only_while_they_wait(
    store: Store,
) -> None:
    mine = [approval(f"apr_{n}", requested_at=Instant(9 - n)) for n in range(4)]
    mine.append(approval("apr_4", policy_version="p2"))
    mine.append(approval("apr_5", state=ApprovalState.APPROVED))
    await store.ledger.commit(Unit("acme", new_approvals=tuple(mine)))
    await store.ledger.commit(Unit("rival", new_approvals=(approval("apr_6", tenant="rival"),)))

    async def ids(version: str, after: str = "", limit: int = 9) -> list[str]:
        found = await store.views.outdated_approvals(version, after=after, limit=limit)
        return [one.id for one in found]

    assert await ids("p2") == ["apr_0", "apr_1", "apr_2", "apr_3", "apr_6"]
    assert await ids("p2", limit=2) == ["apr_0", "apr_1"]
    assert await ids("p2", after="apr_1", limit=2) == ["apr_2", "apr_3"]
    assert await ids("p2", after="apr_6") == []
    assert await ids("p1") == ["apr_4"]
    carried = moved(mine[0], policy_version="p2")
    await store.ledger.commit(Unit("acme", moved_approvals=(carried,)))
    assert await ids("p2", limit=1) == ["apr_1"]


async def test_a_decision_before_its_time_is_refused_by_the_databases_clock(
    store: Store, clock: ShiftedClock
) -> None:
    await asked(store)
    since = clock() + 10_000_000
    early = moved(approval(), state=ApprovalState.APPROVED, since=since)
    with pytest.raises(GuardFailed) as refusal:
        await store.ledger.commit(Unit("acme", moved_approvals=(early,)))
    assert refusal.value.facts == {"guard": "approval", "id": "apr_1"}
    assert await store.views.approval("acme", "apr_1") == approval()
    clock.advance(11)
    await store.ledger.commit(Unit("acme", moved_approvals=(early,)))
    assert await store.views.approval("acme", "apr_1") == approval(state=ApprovalState.APPROVED)
