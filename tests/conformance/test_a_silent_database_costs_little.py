"""Who wants to wait for a second waits for a second, whatever the database is doing: silent, or busy with others."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from conformance_shapes import head, opening

from bailiwick.ports import wait_at_most
from bailiwick.stores import Address, OutcomeUnknown, PostgresStore, StoreUnreachable, open_postgres
from postgres_kit import cluster, lent_database

SECONDS = 0.4
GIVE_UP = 20.0
"""Far more than the patience, far less than the 25 s that a statement may take where nobody is in a hurry."""


@pytest.fixture
def url() -> Iterator[str]:
    with lent_database() as lent:
        yield lent


@pytest.fixture
async def store(url: str, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    opened = open_postgres(Address(url), tmp_path / "data", blob_key=b"k" * 32)
    await opened.begin([])
    yield opened
    opened.close()


async def test_a_read_of_a_locked_table_gives_up_in_time_and_works_again(
    store: PostgresStore, url: str
) -> None:
    other = await asyncpg.connect(url)
    async with asyncio.timeout(GIVE_UP):
        async with other.transaction():
            await other.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
            wait_at_most(SECONDS)
            with pytest.raises(StoreUnreachable):
                await store.views.run("acme", "run_a")
        wait_at_most(GIVE_UP)
        assert await store.views.run("acme", "run_a") is None
    await other.close()


async def test_a_write_behind_a_lock_gives_up_in_time_and_is_never_called_lost(
    store: PostgresStore, url: str
) -> None:
    other = await asyncpg.connect(url)
    async with asyncio.timeout(GIVE_UP):
        async with other.transaction():
            await other.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
            wait_at_most(SECONDS)
            with pytest.raises(OutcomeUnknown):
                await store.ledger.commit(opening("run_a", head=head("run_a")))
            wait_at_most(SECONDS)
            with pytest.raises(StoreUnreachable) as behind:
                await store.ledger.commit(opening("run_b", head=head("run_b")))
            assert "nothing was written" in behind.value.message
        wait_at_most(GIVE_UP)
        await store.ledger.commit(opening("run_c", head=head("run_c")))
        assert await store.views.run("acme", "run_a") is not None, "it was on its way"
        assert await store.views.run("acme", "run_b") is None, "nobody had taken it"
    await other.close()


async def test_a_server_that_stands_still_costs_what_was_allowed(store: PostgresStore, url: str) -> None:
    assert await store.views.run("acme", "run_a") is None
    name = url.partition("@/")[2].partition("?")[0]
    pids = cluster().sql(
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()", "postgres"
    )
    frozen = [int(pid) for pid in pids.split()]
    assert frozen
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(GIVE_UP):
            wait_at_most(SECONDS)
            with pytest.raises(StoreUnreachable):
                await store.views.run("acme", "run_a")
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    wait_at_most(GIVE_UP)
    assert await store.views.run("acme", "run_a") is None


async def test_what_a_request_starts_is_not_meant(store: PostgresStore) -> None:
    wait_at_most(0.0)
    with pytest.raises(StoreUnreachable):
        await store.views.run("acme", "run_a")
    assert await asyncio.create_task(store.views.run("acme", "run_a")) is None
