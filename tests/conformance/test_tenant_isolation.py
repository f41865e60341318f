"""Isolation: what another tenant owns answers exactly as what is not there."""

import msgspec
import pytest
from conformance_shapes import (
    approval,
    claim,
    draft,
    following,
    head,
    moved,
    opening,
    posting,
    submission,
    task,
)

from bailiwick.ports import ApprovalState, Fenced, GuardFailed, StaleVersion, TreeHead, Unit
from bailiwick.stores import Store


@pytest.fixture
async def owned(store: Store) -> Store:
    """A store in which the tenant acme owns one thing of each kind."""
    await store.ledger.commit(
        opening(
            "run_a",
            events=2,
            others=(("tenant:acme", draft("noted", {"secret": 1})), ("platform", draft())),
            head=head("run_a"),
            new_tasks=(task("tsk_1"),),
            new_approvals=(approval(),),
            postings=(posting("pst_1"),),
            submission=submission("key-1"),
        )
    )
    while await store.feed.place(100):
        pass
    return store


async def test_reads_of_a_foreign_tenant_answer_as_for_the_absent(owned: Store) -> None:
    for tenant in ("rival", "", "acme\0", "ACME", "platform", "tenant:acme"):
        assert await owned.ledger.events(tenant, "run_a", 0, 10) == []
        assert await owned.ledger.events(tenant, "tenant:acme", 0, 10) == []
        assert await owned.ledger.payloads(tenant, "run_a", [1, 2]) == {}
        assert await owned.ledger.submission(tenant, "key-1") is None
        assert await owned.views.run(tenant, "run_a") is None
        assert await owned.views.runs(tenant, status="", app="", before="", limit=10) == []
        assert await owned.views.approval(tenant, "apr_1") is None
        assert await owned.views.postings(tenant, "run_a") == []
    assert await owned.views.approvals("rival", state="", run="", limit=10) == []
    assert await owned.views.approvals("rival", state="", run="run_a", limit=10) == []
    assert await owned.views.keys("rival") == []
    assert await owned.ledger.events("acme", "platform", 0, 10) == []


async def test_writes_to_a_foreign_run_are_refused_as_to_an_absent_one(owned: Store) -> None:
    for run in ("run_a", "run_none"):
        with pytest.raises(StaleVersion) as refusal:
            await owned.ledger.commit(following(run, 2, tenant="rival"))
        assert refusal.value.facts == {"run": run, "expected": 2, "actual": 0}


async def test_moves_of_foreign_tasks_are_refused_as_of_absent_ones(owned: Store) -> None:
    for name in ("tsk_1", "tsk_none"):
        with pytest.raises(Fenced) as refusal:
            await owned.ledger.commit(Unit("rival", moved_tasks=(claim(task(name, tenant="rival")),)))
        assert refusal.value.facts == {"task": name, "epoch": 0}
    assert await owned.queue.claimable(["write@1"], 9) == [task("tsk_1")]


async def test_moves_of_foreign_approvals_are_refused_as_of_absent_ones(owned: Store) -> None:
    for name in ("apr_1", "apr_none"):
        with pytest.raises(GuardFailed) as refusal:
            await owned.ledger.commit(
                Unit(
                    "rival",
                    moved_approvals=(moved(approval(name, tenant="rival"), state=ApprovalState.APPROVED),),
                )
            )
        assert refusal.value.facts == {"guard": "approval", "id": name}
    assert await owned.views.approval("acme", "apr_1") == approval()


async def test_one_name_in_two_tenants_names_two_things(owned: Store) -> None:
    await owned.ledger.commit(
        opening(
            "run_a",
            tenant="rival",
            head=head("run_a", tenant="rival", title="mine"),
            new_tasks=(task("tsk_1", tenant="rival"),),
            new_approvals=(approval(tenant="rival", reason="mine"),),
            postings=(posting("pst_1", tenant="rival"),),
            submission=submission("key-1", tenant="rival", run="run_x"),
        )
    )
    assert len(await owned.ledger.events("rival", "run_a", 0, 9)) == 1
    assert len(await owned.ledger.events("acme", "run_a", 0, 9)) == 2
    mine = await owned.views.run("rival", "run_a")
    theirs = await owned.views.run("acme", "run_a")
    assert (mine, theirs) == (head("run_a", tenant="rival", title="mine"), head("run_a"))
    found = await owned.ledger.submission("rival", "key-1")
    assert found is not None
    assert found.run == "run_x"
    assert len(await owned.queue.claimable(["write@1"], 9)) == 2


async def test_a_log_holds_the_leaves_of_its_own_tenant_alone(owned: Store) -> None:
    await owned.ledger.commit(opening("run_a", tenant="rival"))
    while await owned.feed.place(100):
        pass
    for log, streams in (("tenant:rival", ["run_a"]), ("platform", ["platform"])):
        pending = await owned.audit.pending_leaves(log, 99)
        assert [event.stream for event in pending] == streams
        await owned.audit.integrate(TreeHead(log, 1, (), "n"), [(pending[0].stream, pending[0].seq)])
        assert len(await owned.audit.entries(log, -1, 99)) == 1
    assert await owned.audit.leaf_index("tenant:acme", "run_a", 1) is None
    assert await owned.audit.leaf_index("tenant:rival", "run_a", 1) == 0
    assert await owned.audit.leaf_index("platform", "run_a", 1) is None
    assert await owned.audit.leaf_index("rival", "run_a", 1) is None


async def test_lists_of_runs_hold_their_filters(store: Store) -> None:
    heads = [
        head(f"run_{n}", status="executing" if n % 2 else "completed", app="one" if n < 4 else "two")
        for n in range(6)
    ]
    for one in heads:
        await store.ledger.commit(opening(one.id, head=one))
        theirs = msgspec.structs.replace(one, tenant="rival")
        await store.ledger.commit(opening(one.id, tenant="rival", head=theirs))

    async def ids(status: str = "", app: str = "", before: str = "", limit: int = 9) -> list[str]:
        found = await store.views.runs("acme", status=status, app=app, before=before, limit=limit)
        return [one.id for one in found]

    assert await ids() == ["run_5", "run_4", "run_3", "run_2", "run_1", "run_0"]
    assert await ids(limit=2, before="run_4") == ["run_3", "run_2"]
    assert await ids(status="executing") == ["run_5", "run_3", "run_1"]
    assert await ids(status="executing", app="one", before="run_3") == ["run_1"]
    assert await ids(app="two") == ["run_5", "run_4"]
    assert await ids(status="completed", app="two") == ["run_4"]


async def test_late_runs_are_those_past_their_deadline_and_not_at_an_end(store: Store) -> None:
    states = ["executing", "blocked", "completed", "failed", "canceled", "rolled-back"]
    for state in states:
        await store.ledger.commit(
            opening(f"run_{state}", head=head(f"run_{state}", status=state, deadline=5))
        )
    await store.ledger.commit(opening("run_early", head=head("run_early")))
    await store.ledger.commit(opening("run_free", head=head("run_free", deadline=0)))
    assert [late.id for late in await store.views.late_runs(9)] == ["run_blocked", "run_executing"]
