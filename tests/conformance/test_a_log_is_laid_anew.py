"""The audit logs and what is kept beside them: laid anew, read as they lie, page by page, each for itself."""

import pytest
from conformance_shapes import approval, head, opening, posting

from bailiwick.base import Instant
from bailiwick.ports import GuardFailed, TreeHead
from bailiwick.stores import Store

ACME, RIVAL = "tenant:acme", "tenant:rival"


async def place_all(store: Store) -> None:
    while await store.feed.place(1000):
        pass


async def integrate(store: Store, log: str) -> None:
    leaves = await store.audit.pending_leaves(log, 99)
    known = await store.audit.head(log)
    size = (known.size if known else 0) + len(leaves)
    new = TreeHead(log, size, (leaves[0].leaf,), f"{log} {size}")
    await store.audit.integrate(new, [(each.stream, each.seq) for each in leaves])


async def two_logs(store: Store) -> None:
    """Let two tenants have runs of the same name, and logs of three and of two leaves."""
    await store.ledger.commit(opening("run_a", events=3))
    await store.ledger.commit(opening("run_b", events=1))
    await store.ledger.commit(opening("run_a", tenant="rival", events=3))
    await place_all(store)
    await integrate(store, ACME)
    await integrate(store, RIVAL)


async def lies(store: Store, log: str) -> list[tuple[int, str, int]]:
    return [(each.index, each.stream, each.seq) for each in await store.audit.joined(log, -1, 99)]


async def test_a_log_is_laid_anew_and_no_other_is_touched(store: Store) -> None:
    await two_logs(store)
    rival = (await lies(store, RIVAL), await store.audit.head(RIVAL), await store.audit.reach(RIVAL))
    order = [("acme", "run_b", 1), ("acme", "run_a", 3), ("acme", "run_a", 1)]
    await store.audit.relay(TreeHead(ACME, 3, (b"f" * 32,), "anew"), order)
    assert await lies(store, ACME) == [(0, "run_b", 1), (1, "run_a", 3), (2, "run_a", 1)]
    laid = await store.audit.head(ACME)
    assert laid is not None
    assert (laid.size, laid.note) == (3, "anew")
    assert (await lies(store, RIVAL), await store.audit.head(RIVAL), await store.audit.reach(RIVAL)) == rival


@pytest.mark.parametrize("missing", [("acme", "run_a", 9), ("acme", "run_c", 1), ("else", "run_a", 1)])
async def test_what_is_not_there_is_not_laid(store: Store, missing: tuple[str, str, int]) -> None:
    await two_logs(store)
    before = await lies(store, ACME), await store.audit.head(ACME)
    with pytest.raises(GuardFailed):
        await store.audit.relay(TreeHead(ACME, 2, (), "anew"), [("acme", "run_a", 1), missing])
    with pytest.raises(GuardFailed):
        await store.audit.relay(TreeHead("tenant:nobody", 0, (), "anew"), [])
    assert (await lies(store, ACME), await store.audit.head(ACME)) == before


async def test_a_log_tells_how_far_it_reaches_and_whether_it_goes_on_from_there(store: Store) -> None:
    await two_logs(store)
    assert await store.audit.reach(ACME) == (4, True)
    assert await store.audit.reach(RIVAL) == (3, True)
    assert await store.audit.reach("tenant:nobody") == (0, True)
    await store.audit.relay(TreeHead(ACME, 1, (), "anew"), [("acme", "run_a", 1)])
    assert await store.audit.reach(ACME) == (1, True)


async def test_a_log_is_read_page_by_page(store: Store) -> None:
    await two_logs(store)
    assert await lies(store, ACME) == [
        (0, "run_a", 1),
        (1, "run_a", 2),
        (2, "run_a", 3),
        (3, "run_b", 1),
    ]
    page = await store.audit.joined(ACME, 0, 2)
    assert [(each.index, each.tenant, each.seq) for each in page] == [(1, "acme", 2), (2, "acme", 3)]
    events = await store.ledger.events("acme", "run_a", 0, 9)
    assert [each.header for each in page] == [event.header for event in events[1:]]
    assert {each.tenant for each in await store.audit.joined(RIVAL, -1, 99)} == {"rival"}


async def test_only_a_log_that_was_signed_has_a_head(store: Store) -> None:
    await two_logs(store)
    await store.ledger.commit(opening("run_a", tenant="third"))
    await place_all(store)
    assert [each.log for each in await store.audit.heads()] == [ACME, RIVAL]


async def test_what_waits_says_what_lies_around_it(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    await store.ledger.commit(opening("run_b", events=2))
    await store.ledger.commit(opening("run_a", tenant="rival"))
    await place_all(store)
    await integrate(store, ACME)
    order = [("acme", "run_a", 3), ("acme", "run_b", 1), ("acme", "run_a", 1)]
    await store.audit.relay(TreeHead(ACME, 3, (), "anew"), order)
    waiting = await store.audit.pending_leaves(ACME, 9)
    assert [(each.stream, each.seq, each.begun, each.placed, each.overtaken) for each in waiting] == [
        ("run_a", 2, True, False, True),
        ("run_a", 3, False, True, False),
        ("run_b", 1, False, True, False),
        ("run_b", 2, True, False, False),
    ]
    assert [each.before for each in waiting][1:3] == [waiting[0].leaf, None]


async def test_what_has_no_place_yet_gets_no_index(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=2))
    assert await store.feed.place(1) == 1
    with pytest.raises(GuardFailed):
        await store.audit.integrate(TreeHead(ACME, 2, (), "n"), [("run_a", 1), ("run_a", 2)])
    await store.audit.integrate(TreeHead(ACME, 1, (), "n"), [("run_a", 1)])


async def test_a_key_that_took_another_s_place_leaves_the_others(store: Store) -> None:
    await store.fingerprints.adopt({"blobs": "1", "pepper": "2"})
    await store.fingerprints.replace({"pepper": "3"})
    await store.fingerprints.adopt({"pepper": "4", "signing": "5"})
    assert await store.fingerprints.read() == {"blobs": "1", "pepper": "3", "signing": "5"}


async def test_costs_are_those_of_one_run(store: Store) -> None:
    for run, tenant, calls in (("run_a", "acme", 2), ("run_b", "acme", 3), ("run_a", "rival", 4)):
        lines = tuple(posting(f"{tenant}_{run}_{at}", tenant=tenant, run=run, at=at) for at in range(calls))
        await store.ledger.commit(opening(run, tenant=tenant, postings=lines))
    (sum_up,) = await store.views.costs("acme", "run_a")
    assert (sum_up.role, sum_up.calls, sum_up.cost_micro_usd) == ("implementer", 2, 2 * 1_234)


async def test_lines_and_requests_come_page_by_page(store: Store) -> None:
    lines = tuple(posting(f"p{n}", at=n // 2) for n in range(5))
    asked = tuple(approval(f"apr_{n}", requested_at=Instant(n // 2)) for n in range(5))
    await store.ledger.commit(opening("run_a", postings=lines, new_approvals=asked))
    for read in (
        lambda after: store.views.postings("acme", "run_a", limit=2, after=after),
        lambda after: store.views.approvals("acme", state="", run="run_a", limit=2, after=after),
        lambda after: store.views.approvals("acme", state="", run="", limit=2, after=after),
    ):
        found: list[str] = []
        after = (0, "")
        while page := await read(after):
            found += [each.id for each in page]
            last = page[-1]
            after = (last.at if hasattr(last, "at") else last.requested_at, last.id)
        assert [name[-1] for name in found] == ["0", "1", "2", "3", "4"]


async def test_a_run_is_found_by_its_own_name(store: Store) -> None:
    for name in ("run_a", "run_b", "run_c"):
        await store.ledger.commit(opening(name, head=head(name)))
    found = [await store.views.run("acme", name) for name in ("run_c", "run_a", "run_b", "run_d")]
    assert [each.id if each else None for each in found] == ["run_c", "run_a", "run_b", None]
