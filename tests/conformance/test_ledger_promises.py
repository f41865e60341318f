"""The ledger: all of a unit or nothing of it, and a stale one fails alone."""

import asyncio
import hashlib
from collections.abc import Callable

import pytest
from conformance_shapes import SALT, draft, following, head, opening, posting, submission, task
from msgspec.structs import replace

from bailiwick.audit import commitment
from bailiwick.base import Instant, canonical, parse_canonical
from bailiwick.ports import (
    ApiKey,
    Draft,
    GuardFailed,
    Halt,
    Identity,
    IdentityChange,
    StaleVersion,
    StoredEvent,
    Tenant,
    Unit,
)
from bailiwick.stores import Store


async def seqs(store: Store, stream: str, tenant: str = "acme") -> list[int]:
    return [event.seq for event in await store.ledger.events(tenant, stream, 0, 1000)]


@pytest.mark.parametrize("expected", [0, 1, 3], ids=["reopened", "behind", "ahead"])
async def test_an_append_at_the_wrong_version_writes_nothing(store: Store, expected: int) -> None:
    await store.ledger.commit(opening("run_a", events=2, head=head("run_a", version=2)))
    unit = Unit(
        "acme",
        "run_a",
        expected,
        (draft("wrong", {"a": 1}),),
        others=(("tenant:acme", draft("wrong")),),
        head=head("run_a", version=99),
        new_tasks=(task("tsk_1"),),
        postings=(posting("pst_1"),),
        submission=submission("k"),
    )
    with pytest.raises(StaleVersion) as refusal:
        await store.ledger.commit(unit)
    assert refusal.value.facts == {"run": "run_a", "expected": expected, "actual": 2}
    assert await seqs(store, "run_a") == [1, 2]
    assert await seqs(store, "tenant:acme") == []
    assert (await store.views.run("acme", "run_a")) == head("run_a", version=2)
    assert await store.queue.claimable(["write@1"], 10) == []
    assert await store.views.postings("acme", "run_a") == []
    assert await store.ledger.submission("acme", "k") is None


async def test_a_run_that_is_not_there_is_at_version_zero(store: Store) -> None:
    with pytest.raises(StaleVersion) as refusal:
        await store.ledger.commit(following("run_none", 1))
    assert refusal.value.facts["actual"] == 0


async def test_a_stale_unit_fails_alone_and_its_neighbours_land(store: Store) -> None:
    await store.ledger.commit(opening("run_a"))
    units = [opening(f"run_{n}") for n in range(40)]
    units[20:20] = [following("run_a", 7)]
    outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [20]
    assert isinstance(outcomes[20], StaleVersion)
    assert [await seqs(store, f"run_{n}") for n in range(40)] == [[1]] * 40
    assert await seqs(store, "run_a") == [1]


async def test_of_many_units_for_one_version_exactly_one_lands(store: Store) -> None:
    await store.ledger.commit(opening("run_a"))
    racers = [store.ledger.commit(following("run_a", 1)) for _ in range(32)]
    outcomes = await asyncio.gather(*racers, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(outcome is None or isinstance(outcome, StaleVersion) for outcome in outcomes)
    assert await seqs(store, "run_a") == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        Draft({"kind": "x", "seq": 9}),
        Draft({"kind": {1, 2}}),
        Draft({"kind": "x"}, b"{}", b"short"),
        Draft({"kind": "x", "n": 2**70}),
    ],
    ids=["reserved name", "not JSON", "short salt", "long integer"],
)
async def test_an_ill_formed_unit_fails_alone(store: Store, wrong: Draft) -> None:
    units = [opening("run_a"), Unit("acme", "run_b", 0, (draft(), wrong)), opening("run_c")]
    outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    assert isinstance(outcomes[1], (ValueError, TypeError))
    assert (outcomes[0], outcomes[2]) == (None, None)
    assert [await seqs(store, run) for run in ("run_a", "run_b", "run_c")] == [[1], [], [1]]


async def test_a_row_that_the_database_cannot_take_fails_its_unit_alone(store: Store) -> None:
    units = [
        opening("run_a", head=head("run_a")),
        opening("run_b", head=head("run_b", spent_micro_usd=2**63)),
        opening("run_c", head=head("run_c", title="\ud800")),
        opening("run_d", head=head("run_d", spent_micro_usd="no number")),
        opening("run_e", head="no head"),
    ]
    outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    assert outcomes[0] is None
    assert all(
        isinstance(one, (ValueError, TypeError, OverflowError, AttributeError)) for one in outcomes[1:]
    )
    assert [await seqs(store, run) for run in ("run_a", "run_b", "run_c", "run_d")] == [[1], [], [], []]


async def test_a_stream_is_gap_free_and_each_event_names_the_leaf_before(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=3))
    for version in range(3, 12):
        await store.ledger.commit(following("run_a", version))
    events = await store.ledger.events("acme", "run_a", 0, 1000)
    assert [event.seq for event in events] == list(range(1, 13))
    before = ""
    for event in events:
        header = parse_canonical(event.header)
        assert (header["stream"], header["seq"], header["prev"]) == ("run_a", event.seq, before)
        assert canonical(header) == event.header
        assert event.leaf == hashlib.sha256(b"\0" + event.header).digest()
        assert event.payload is not None
        assert header["payload"] == commitment(event.salt, event.payload)
        before = event.leaf.hex()


async def test_after_an_opening_each_stream_goes_on_from_its_own_last_event(
    open_again: Callable[[], Store],
) -> None:
    store = open_again()
    for run in ("run_a", "run_b", "run_c"):
        await store.ledger.commit(opening(run, events=2))
    store = open_again()
    for run in ("run_c", "run_b", "run_a"):
        await store.ledger.commit(following(run, 2))
        events = await store.ledger.events("acme", run, 0, 9)
        assert parse_canonical(events[2].header)["prev"] == events[1].leaf.hex()


async def test_streams_without_version_take_events_of_many_units_in_one_chain(store: Store) -> None:
    units = [
        Unit(
            "acme",
            others=(("tenant:acme", draft(f"n{n}")), ("platform", draft("p")), ("tenant:acme", draft("m"))),
        )
        for n in range(20)
    ]
    await asyncio.gather(*map(store.ledger.commit, units))
    events = await store.ledger.events("acme", "tenant:acme", 0, 100)
    assert [event.seq for event in events] == list(range(1, 41))
    headers = [parse_canonical(event.header) for event in events]
    assert [header["prev"] for header in headers[1:]] == [event.leaf.hex() for event in events[:-1]]
    assert len(await store.ledger.events("", "platform", 0, 100)) == 20


async def test_events_are_read_in_pages(store: Store) -> None:
    await store.ledger.commit(opening("run_a", events=9))
    pages = [await store.ledger.events("acme", "run_a", after, 4) for after in (0, 4, 8, 9)]
    assert [[event.seq for event in page] for page in pages] == [[1, 2, 3, 4], [5, 6, 7, 8], [9], []]


@pytest.mark.parametrize("size", [0, 16_384, 16_385, 3_000_000])
async def test_a_payload_of_any_size_comes_back(store: Store, size: int) -> None:
    body = b"7" * size
    other = Draft({"kind": "other"}, b'"small"', SALT)
    unit = Unit(
        "acme", "run_a", 0, (draft(), Draft({"kind": "big"}, body, SALT), other), (("tenant:acme", other),)
    )
    await store.ledger.commit(unit)
    assert await store.ledger.payloads("acme", "run_a", [1, 2, 3, 4]) == {2: body, 3: b'"small"'}
    assert [event.payload for event in await store.ledger.events("acme", "run_a", 0, 9)] == [
        None,
        body,
        b'"small"',
    ]


async def test_a_taken_submission_key_writes_nothing(store: Store) -> None:
    await store.ledger.commit(opening("run_a", submission=submission("key-1", run="run_a")))
    with pytest.raises(GuardFailed) as refusal:
        await store.ledger.commit(opening("run_b", submission=submission("key-1", run="run_b")))
    assert refusal.value.facts == {"guard": "submission", "id": "key-1"}
    found = await store.ledger.submission("acme", "key-1")
    assert found == submission("key-1", run="run_a")
    assert await store.ledger.submission("acme", "key-2") is None
    assert await seqs(store, "run_b") == []


async def test_of_64_submissions_under_one_key_one_lands(store: Store) -> None:
    units = [opening(f"run_{n}", submission=submission("key-1", run=f"run_{n}")) for n in range(64)]
    outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, GuardFailed) for outcome in outcomes) == 63
    found = await store.ledger.submission("acme", "key-1")
    assert found is not None
    opened = [n for n in range(64) if await seqs(store, f"run_{n}")]
    assert [f"run_{n}" for n in opened] == [found.run]


async def test_a_posting_is_counted_once(store: Store) -> None:
    await store.ledger.commit(Unit("acme", postings=(posting("pst_2", at=2), posting("pst_1", at=1))))
    await store.ledger.commit(Unit("acme", postings=(posting("pst_1", run="run_b"),)))
    with pytest.raises(GuardFailed):
        await store.ledger.commit(Unit("acme", postings=(posting("pst_1"),)))
    assert await store.views.postings("acme", "run_a") == [posting("pst_1", at=1), posting("pst_2", at=2)]


async def test_a_halt_stands_until_it_is_lifted_once(store: Store) -> None:
    halts = [Halt(f"hlt_{n}", "acme", "tool", "git.apply", "why", "ann", Instant(n)) for n in (1, 2)]
    await store.ledger.commit(Unit("acme", halts=tuple(halts)))
    assert list(await store.ledger.halts()) == halts
    lifted = Halt("hlt_1", "acme", "tool", "git.apply", "why", "ann", Instant(1), "bob", Instant(9))
    await store.ledger.commit(Unit("acme", halts=(lifted,)))
    assert list(await store.ledger.halts()) == halts[1:]
    again = Unit("acme", others=(("tenant:acme", draft("halt.lifted")),), halts=(lifted,))
    for unit in (again, Unit("acme", halts=(halts[0],))):
        with pytest.raises(GuardFailed):
            await store.ledger.commit(unit)
    assert list(await store.ledger.halts()) == halts[1:]
    assert await store.ledger.events("acme", "tenant:acme", 0, 9) == []


async def test_keys_and_identities_come_back_as_they_were_written(store: Store) -> None:
    ci = Identity("idn_1", "acme", "ci", "service", "operator", ("leads", "ops"), Instant(3), "idn_0")
    key = ApiKey("key_1", "acme", "idn_1", "a" * 64, Instant(3), "idn_0", Instant(9))
    await store.ledger.commit(Unit("acme", identities=(ci,), keys=(key,)))
    assert await store.views.keys("acme") == [key]
    assert await store.views.identities("acme") == [ci]
    revoked = replace(key, revoked_at=Instant(8))
    other = replace(ci, role="viewer", groups=("leads",), disabled_at=Instant(7))
    renamed = replace(other, name="another", kind="person", created_by="idn_9")
    await store.ledger.commit(Unit("acme", identities=(renamed,), keys=(replace(revoked, mac="b" * 64),)))
    assert await store.views.keys("acme") == [revoked]
    assert await store.views.identities("acme") == [other]


async def test_a_tenant_lists_its_own_keys_and_the_platform_those_of_all(store: Store) -> None:
    keys = [
        ApiKey(f"key_{tenant}", tenant, "idn_1", letter * 64, Instant(3))
        for tenant, letter in (("acme", "a"), ("rival", "b"))
    ]
    people = [
        Identity("idn_1", tenant, "ci", "person", "viewer", (), Instant(3)) for tenant in ("acme", "rival")
    ]
    for key, one in zip(keys, people, strict=True):
        await store.ledger.commit(Unit(key.tenant, keys=(key,), identities=(one,)))
    assert await store.views.keys("acme") == keys[:1]
    assert await store.views.keys("rival") == keys[1:]
    assert sorted(key.id for key in await store.views.keys("")) == ["key_acme", "key_rival"]
    assert await store.views.identities("rival") == people[1:]
    assert await store.views.identities("") == people


async def test_a_name_belongs_to_one_identity_of_a_tenant(store: Store) -> None:
    ann = Identity("idn_1", "acme", "ann", "person", "viewer", (), Instant(3))
    await store.ledger.commit(Unit("acme", identities=(ann,)))
    await store.ledger.commit(Unit("rival", identities=(replace(ann, tenant="rival"),)))
    second = Unit("acme", identities=(replace(ann, id="idn_2"),), others=(("tenant:acme", draft("made")),))
    with pytest.raises(GuardFailed) as refusal:
        await store.ledger.commit(second)
    assert refusal.value.facts == {"guard": "identity", "id": "ann"}
    assert await store.views.identities("acme") == [ann]
    assert await store.ledger.events("acme", "tenant:acme", 0, 9) == []


async def test_of_two_edits_of_one_edition_of_a_tenant_one_is_refused(store: Store) -> None:
    first = Tenant("acme", Instant(3), "idn_0")
    await store.ledger.commit(Unit("acme", tenants=(first,)))
    edits = [Unit("acme", tenants=(replace(first, edition=1, disabled_at=Instant(at)),)) for at in (4, 5)]
    done = await asyncio.gather(*map(store.ledger.commit, edits), return_exceptions=True)
    assert sorted(type(one) for one in done if one is not None) == [GuardFailed]
    (kept,) = await store.views.tenants()
    assert kept == edits[done.index(None)].tenants[0]
    with pytest.raises(GuardFailed):
        await store.ledger.commit(Unit("acme", tenants=(first,)))
    await store.ledger.commit(Unit("acme", tenants=(replace(kept, edition=2, created_by="idn_9"),)))
    assert await store.views.tenants() == [replace(kept, edition=2)]


async def test_who_changed_an_identity_is_listed_with_the_newest_first(store: Store) -> None:
    changes = [
        IdentityChange(f"chg_{at}", "acme", "idn_1", "key", "said", Instant(at), "key_1", "idn_0", "key_0")
        for at in (5, 7, 6)
    ]
    others = [replace(changes[0], identity="idn_2"), replace(changes[0], tenant="rival")]
    await store.ledger.commit(Unit("acme", identity_changes=(*changes, others[0])))
    await store.ledger.commit(Unit("rival", identity_changes=(others[1],)))
    listed = [changes[1], changes[2], changes[0]]
    assert await store.views.identity_changes("acme", "idn_1", 9) == listed
    assert await store.views.identity_changes("acme", "idn_1", 2) == listed[:2]
    with pytest.raises(GuardFailed):
        await store.ledger.commit(Unit("acme", identity_changes=(changes[0],)))


async def test_an_abandoned_commit_neither_hangs_nor_harms_its_neighbours(store: Store) -> None:
    abandoned = [asyncio.ensure_future(store.ledger.commit(opening(f"run_{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    for commit in abandoned[::2]:
        commit.cancel()
    await store.ledger.commit(opening("run_last"))
    kept = await asyncio.gather(*abandoned[1::2])
    assert kept == [None] * 5
    events: list[StoredEvent] = [*await store.ledger.events("acme", "run_last", 0, 1)]
    assert [event.seq for event in events] == [1]


async def test_rows_of_another_tenant_are_no_part_of_a_unit(store: Store) -> None:
    for unit in (
        opening("run_a", head=head("run_a", tenant="rival")),
        opening("run_a", new_tasks=(task("tsk_1", tenant="rival"),)),
        Unit("acme", others=(("tenant:rival", draft()),)),
        Unit("acme", others=(("run_b", draft()),)),
        Unit("acme", drafts=(draft(),)),
    ):
        with pytest.raises(ValueError, match=r"tenant|stream|run"):
            await store.ledger.commit(unit)
    assert await seqs(store, "run_a") == []
