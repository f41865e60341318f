"""An approval is one action, once: every named mutation of it, at every entry point, is refused or asked anew."""

import contextlib
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from stretching_kit import (
    ARGUMENTS,
    ORDER,
    PROPOSED,
    SAME,
    SENT,
    WRITTEN,
    Mutation,
    approve,
    asking,
    done,
    propose,
    sending_bundle,
    sending_shop,
    sent,
    state,
)

from bailiwick.base import Refusal, canonical, parse_canonical
from bailiwick.policy import Bundle
from bailiwick.ports import ApprovalState, Parked, Recorded
from bailiwick.run import CallState
from platform_fixtures import Opener
from platform_kit import BOB, System

named = pytest.mark.parametrize
long = pytest.mark.postgres_when_long


@pytest.fixture(scope="module")
def strict() -> Bundle:
    return sending_bundle()


@pytest.fixture
async def system(strict: Bundle, open_system: Opener) -> System:
    return await open_system(sending_shop(), bundle=strict)


def ids(mutations: list[Mutation]) -> list[str]:
    return [mutation.id for mutation in mutations]


async def rewrite(system: System, id: str, change: Any) -> None:
    """Change the one request that is stored."""
    if callable(change):
        found = await system.store.views.approval("acme", id)
        assert found is not None
        stored = canonical(msgspec.to_builtins(found.holds))
        change = f"holds = '{canonical(change(parse_canonical(stored))).decode()}'"
    write(system, f"UPDATE approvals SET {change}")


def write(system: System, sql: str) -> None:
    """Change what is stored, as somebody with the database at hand could, and let nothing stay in memory."""
    system.tampered = True
    assert system.edit(sql) == 1
    for run in list(system.platform.runs.memory._entries):
        system.platform.runs.memory.forget(run)


def test_the_mutations_are_counted_and_differ() -> None:
    cases = [("port", PROPOSED), ("row, pending", WRITTEN), ("row, granted", WRITTEN), ("host", SENT)]
    names = [f"{entry}: {id}" for entry, mutations in cases for id in ids(mutations)]
    assert len(set(names)) == len(names) == 95


@long
@named("mutation", PROPOSED, ids=ids(PROPOSED))
async def test_what_an_agent_makes_of_its_approved_action_is_asked_anew(
    system: System, mutation: Mutation
) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    await done(hand)
    try:
        answer = await propose(hand, **mutation.change)
    except Refusal:
        answer = None
    if isinstance(answer, Parked):
        assert (await system.approval(hand.assignment.run)).id != id
    else:
        assert answer is None or (isinstance(answer, Recorded) and answer.state == "refused")
    assert system.outside.calls == [("send", repr(dict(sorted(ORDER.items()))))]
    assert await state(system, id) is ApprovalState.CONSUMED


@long
@named("mutation", SAME, ids=ids(SAME))
async def test_the_same_action_said_otherwise_is_the_same_digest(system: System, mutation: Mutation) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    await done(hand)
    answer = await propose(hand, **mutation.change)
    assert isinstance(answer, Recorded)
    assert (answer.state, answer.outcome) == ("done", {"said": "sent"})
    assert system.outside.count("send") == 1


@named("mutation", WRITTEN, ids=ids(WRITTEN))
async def test_a_request_that_was_rewritten_can_be_neither_decided_nor_shown(
    system: System, mutation: Mutation
) -> None:
    hand, id = await asking(system)
    await rewrite(system, id, mutation.change)
    for name in (id, "apr_another"):
        with pytest.raises(Refusal):
            await approve(system, name)
        with pytest.raises(Refusal):
            await system.platform.approving.show(BOB, name)
    (call,) = (await system.refolded(hand.assignment.run)).calls.values()
    assert call.state is CallState.HELD
    assert await hand.claim() is None
    assert system.outside.calls == []


@named("mutation", WRITTEN, ids=ids(WRITTEN))
async def test_a_grant_that_was_rewritten_permits_nothing(system: System, mutation: Mutation) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    await rewrite(system, id, mutation.change)
    with contextlib.suppress(Refusal):
        assert await hand.claim() is None or hand.assignment.dispatch is None
    (call,) = (await system.refolded(hand.assignment.run)).calls.values()
    assert call.state is not CallState.INTENDED
    assert system.outside.calls == []


@long
@named("mutation", SENT, ids=ids(SENT))
async def test_a_dispatch_that_was_rewritten_is_not_executed(system: System, mutation: Mutation) -> None:
    hand, id = await asking(system)
    await approve(system, id)
    order = await sent(hand)
    ((name, change),) = mutation.change.items()
    value = getattr(order, name)
    if isinstance(change, tuple):
        assert change[0] in value
        value = value.replace(*change)
    else:
        value = change(value) if callable(change) else change
    forged = replace(order, **{name: value})
    outcome = await hand.execute(forged)
    assert (outcome.state, outcome.tries) == ("failed", 0)
    assert system.outside.calls == []
    honest = await hand.execute(order)
    assert honest.state == "done"
    assert system.outside.count("send") == 1


async def test_the_stored_bytes_cannot_be_rewritten(system: System) -> None:
    hand, id = await asking(system)
    run = hand.assignment.run
    stored = await system.store.ledger.events("acme", run, 0, 500)
    (held,) = [event for event in stored if b'"anna"' in (event.payload or b"")]
    assert held.payload is not None
    forged = system.literal(held.payload.replace(b"anna", b"anne"))
    write(system, f"UPDATE payloads SET body = {forged} WHERE {system.payload_of(run, held.seq)}")
    with pytest.raises(Refusal):
        await system.platform.approving.show(BOB, id)
    with pytest.raises(Refusal):
        await approve(system, id)
    assert await state(system, id) is ApprovalState.PENDING
    assert ARGUMENTS["order"] is ORDER
    assert system.outside.calls == []
