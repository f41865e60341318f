"""Of two platforms over one store, neither trusts what it remembers of a run that the other has changed."""

import pytest

from bailiwick.ports import Hello
from bailiwick.service import Platform, Stores
from platform_kit import System, soon


@pytest.fixture
def other(system: System) -> Platform:
    """A second platform over the same store, with a memory of its own."""
    store, first = system.store, system.platform
    return Platform(
        stores=Stores(store.ledger, store.queue, store.views, store.feed, store.audit, store.blobs),
        world=system.world,
        catalogue=first.catalogue,
        bundle=first.bundle,
        tools=system.tools,
        prices=first.settling._prices,
        signer=first.sequencing.signer,
        pepper=b"a pepper of sixteen bytes",
    )


async def test_a_task_that_came_back_is_claimed_by_a_replica_that_remembers_it_otherwise(
    system: System, other: Platform
) -> None:
    run = await system.submit()
    await other.runs.entry("acme", run)
    hand = await system.hand("first")
    assert await hand.claim() is not None
    system.clock.advance(60)
    assert await system.platform.recovering.reap() == 1
    session = await other.hello(Hello("second", system.capabilities))
    (assignment,) = await soon(other.claim(session.id, 1, 0.0))
    assert (assignment.run, assignment.epoch) == (run, 2)


async def test_an_orphan_is_released_by_a_replica_that_remembers_it_otherwise(
    system: System, other: Platform
) -> None:
    run = await system.submit()
    await other.runs.entry("acme", run)
    hand = await system.hand("first")
    assert await hand.claim() is not None
    system.clock.advance(60)
    assert await other.recovering.reap() == 1
