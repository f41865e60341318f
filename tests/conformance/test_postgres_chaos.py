"""Only PostgreSQL: lines cut inside COMMIT, locks that are held, open transactions, and hints that never arrive."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from conformance_shapes import BLOB_KEY, following, opening, task

from bailiwick.ports import GuardFailed, TreeHead
from bailiwick.stores import Address, PostgresStore, StoreBusy, Topic, inspect_postgres, open_postgres
from bailiwick.stores.postgres import connect
from postgres_kit import cluster

Opener = Callable[[str], PostgresStore]


@pytest.fixture
async def process(database: str, tmp_path: Path) -> AsyncIterator[Opener]:
    """Open the database as a process of that name does."""
    stores: list[PostgresStore] = []

    def open_one(name: str) -> PostgresStore:
        stores.append(open_postgres(Address(database), tmp_path / name, blob_key=BLOB_KEY))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.end()


@pytest.fixture
async def stranger(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of somebody else's program."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for a condition that can only be asked for."""
    async with asyncio.timeout(20):
        while not (found := await condition()):
            await asyncio.sleep(0)
        return found


def asleep(stranger: asyncpg.Connection, event: str) -> Callable[[], Awaitable[Any]]:
    """Ask for the server process that waits for something inside COMMIT."""
    return lambda: stranger.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT'"
        " AND state = 'active' AND wait_event = $1",
        event,
    )


async def violations(database: str) -> list[str]:
    async with inspect_postgres(Address(database)) as inspector:
        return [
            f"{each.invariant}: {each.id}"
            for each in await inspector.violations()
            if each.invariant.startswith(("the_feed", "streams_have_no", "leaves", "events_chain"))
        ]


async def place_all(store: PostgresStore) -> list[str]:
    while await store.feed.place(100):
        pass
    return [f"{event.stream}.{event.seq}" for event in await store.feed.read(0, 9999)]


async def test_a_line_cut_in_commit_before_it_was_kept_is_run_again(
    process: Opener, stranger: asyncpg.Connection
) -> None:
    store = process("a")
    await store.ledger.commit(opening("run_a"))
    await stranger.execute(
        "CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER wait_here AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait_here(); SELECT pg_advisory_lock(77)"
    )
    try:
        commit = asyncio.create_task(store.ledger.commit(following("run_a", 1)))
        pid = await until(asleep(stranger, "advisory"))
        await stranger.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        await stranger.execute("SELECT pg_advisory_unlock(77)")
        await commit
    finally:
        await stranger.execute("SELECT pg_advisory_unlock_all()")
        await stranger.execute("DROP FUNCTION wait_here CASCADE")
    assert (store.pump.doubts, store.pump.kept) == (1, 0)
    assert [event.seq for event in await store.ledger.events("acme", "run_a", 0, 9)] == [1, 2]


@contextlib.asynccontextmanager
async def nobody_answers(stranger: asyncpg.Connection, database: str) -> AsyncIterator[None]:
    """Let every commit wait, after it was kept, for a standby that does not exist."""
    cluster().sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "postgres")
    cluster().sql("SELECT pg_reload_conf()", "postgres")
    try:
        await _in_force(stranger, database)
        yield
    finally:
        cluster().sql("ALTER SYSTEM RESET synchronous_standby_names", "postgres")
        cluster().sql("SELECT pg_reload_conf()", "postgres")


async def _in_force(stranger: asyncpg.Connection, database: str) -> None:
    """Commit until one of them hangs: a process of the server takes its time to read the new settings."""
    probe = await asyncpg.connect(database)
    pid = probe.get_server_pid()
    commits = asyncio.create_task(_commit_for_ever(probe))
    waits = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $1"
    await until(lambda: stranger.fetchval(waits, pid))
    await stranger.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await commits


async def _commit_for_ever(probe: asyncpg.Connection) -> None:
    while True:
        await probe.execute("SELECT pg_current_xact_id()")


async def test_a_line_cut_in_commit_after_it_was_kept_is_acknowledged_and_not_run_again(
    process: Opener, stranger: asyncpg.Connection, database: str
) -> None:
    store = process("a")
    await store.ledger.commit(opening("run_a"))
    async with nobody_answers(stranger, database):
        commit = asyncio.create_task(store.ledger.commit(following("run_a", 1)))
        pid = await until(asleep(stranger, "SyncRep"))
        await stranger.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        await commit
    assert (store.pump.doubts, store.pump.kept) == (1, 1)
    assert [event.seq for event in await store.ledger.events("acme", "run_a", 0, 9)] == [1, 2]


async def test_of_two_processes_that_sequence_each_leaf_is_integrated_once(
    process: Opener, database: str
) -> None:
    stores = [process("a"), process("b")]
    for n in range(30):
        await stores[n % 2].ledger.commit(opening(f"run_{n}"))
    await place_all(stores[0])
    refused = 0

    async def sequence(store: PostgresStore) -> None:
        nonlocal refused
        while pending := await store.audit.pending_leaves("tenant:acme", 3):
            head = await store.audit.head("tenant:acme")
            size = (head.size if head is not None else 0) + len(pending)
            try:
                named = [(event.stream, event.seq) for event in pending]
                await store.audit.integrate(TreeHead("tenant:acme", size, (), "n"), named)
            except GuardFailed:
                refused += 1

    await asyncio.gather(*[sequence(store) for store in stores * 2])
    head = await stores[0].audit.head("tenant:acme")
    assert head is not None
    assert head.size == 30
    feed = await stores[0].feed.read(0, 99)
    assert await stores[1].audit.leaves("tenant:acme", 30) == [event.leaf for event in feed]
    assert refused > 0
    assert await violations(database) == []


async def test_what_a_stranger_holds_is_refused_in_time_and_nothing_was_written(
    process: Opener, stranger: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connect._SETTINGS, "lock_timeout", "30ms")
    monkeypatch.setitem(connect._SETTINGS, "statement_timeout", "60ms")
    store = process("a")
    await store.ledger.commit(opening("run_a"))
    async with stranger.transaction():
        await stranger.execute("LOCK TABLE tasks, feed, runs IN ACCESS EXCLUSIVE MODE")
        units = [opening("run_b", new_tasks=(task("tsk_1"),)), opening("run_c")]
        outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
        assert isinstance(outcomes[0], StoreBusy)
        assert outcomes[1] is None
        for ask in (store.queue.claimable(["write@1"], 1), store.feed.place(1), store.views.run("acme", "r")):
            with pytest.raises(StoreBusy):
                await ask
    assert await store.ledger.events("acme", "run_b", 0, 9) == []
    await store.ledger.commit(units[0])
    assert await store.queue.claimable(["write@1"], 9) == [task("tsk_1")]


async def test_two_events_of_one_stream_whose_transactions_are_turned_round_stand_in_stream_order(
    process: Opener, stranger: asyncpg.Connection, database: str
) -> None:
    store = process("a")
    await store.ledger.commit(opening("run_before"))
    for n, placed_between in enumerate((False, True)):
        run = f"run_{n}"
        older = stranger.transaction()
        await older.start()
        await stranger.execute(
            "SELECT pg_current_xact_id()"
        )  # it has the lower id, and writes the later event
        await store.ledger.commit(opening(run))
        if placed_between:
            assert (await _names(store, stranger))[-1] == f"{run}.1"
        await stranger.execute(
            "INSERT INTO events (stream, seq, log, header, leaf)"
            " SELECT e.stream, 2, e.log, convert_to(format('{\"prev\":\"%s\"}', encode(e.leaf, 'hex')), 'UTF8'), e.leaf"
            " FROM events AS e JOIN streams AS s ON s.id = e.stream WHERE s.name = $1",
            run,
        )
        await older.commit()
        turned = await stranger.fetchval(
            "SELECT bool_and(e.xid < before.xid) FROM events AS e JOIN events AS before"
            " ON before.stream = e.stream AND before.seq = 1 AND e.seq = 2 JOIN streams AS s ON s.id = e.stream"
            " WHERE s.name = $1",
            run,
        )
        assert turned is True
        while await store.feed.place(1):
            pass
        order = await stranger.fetch(
            "SELECT s.name, f.seq FROM places f JOIN streams s ON s.id = f.stream ORDER BY f.position"
        )
        assert [tuple(row) for row in order][-2:] == [(run, 1), (run, 2)]
    assert [each for each in await violations(database) if each.startswith("the_feed")] == []


async def test_an_idle_transaction_holds_the_mark_and_not_the_feed_and_what_it_wrote_is_placed_at_its_end(
    process: Opener, stranger: asyncpg.Connection, database: str
) -> None:
    store = process("a")
    await store.ledger.commit(opening("run_held"))
    await place_all(store)
    idle = stranger.transaction()
    await idle.start()
    held = int(await stranger.fetchval("SELECT pg_current_xact_id()::text"))
    await stranger.execute(
        "INSERT INTO streams (id, tenant, name, log) SELECT -1, tenant, 'run_idle', log FROM streams LIMIT 1;"
        "INSERT INTO events (stream, seq, log, header, leaf) SELECT -1, 1, log, header, leaf FROM events LIMIT 1"
    )
    for n in range(5):
        await store.ledger.commit(opening(f"run_{n}"))
        assert (await _names(store, stranger))[-1] == f"run_{n}.1"  # no lag for others

    async def mark() -> int:
        return int(cluster().sql("SELECT settled FROM feed", database))

    assert await mark() <= held  # and this is how it shows
    await idle.commit()
    assert (await _names(store, stranger))[-1] == "run_idle.1"
    await store.ledger.commit(opening("run_after"))
    await _names(store, stranger)
    assert await mark() > held
    assert [each for each in await violations(database) if each.startswith("the_feed")] == []


async def _names(store: PostgresStore, stranger: asyncpg.Connection) -> list[str]:
    while await store.feed.place(100):
        pass
    placed = (
        "SELECT s.name || '.' || f.seq FROM places f JOIN streams s ON s.id = f.stream ORDER BY f.position"
    )
    return [row[0] for row in await stranger.fetch(placed)]


async def test_a_listener_whose_line_was_cut_listens_again_and_looks_at_what_it_missed(
    process: Opener, stranger: asyncpg.Connection
) -> None:
    deaf, other = process("a"), process("b")
    heard: list[Topic] = []
    listening = deaf.listen(heard.append)
    assert listening is not None
    await until(lambda: _has(heard, Topic.LOST))
    await other.ledger.commit(opening("run_a", new_tasks=(task("tsk_1"),)))
    await until(lambda: _has(heard, Topic.WORK))
    heard.clear()
    ended = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^LISTEN'"
    assert await stranger.fetchval(ended) == 1
    await other.ledger.commit(opening("run_b", new_tasks=(task("tsk_2"),)))
    await until(lambda: _has(heard, Topic.LOST))
    assert [each.id for each in await deaf.queue.claimable(["write@1"], 9)] == ["tsk_1", "tsk_2"]
    heard.clear()
    await other.ledger.commit(opening("run_c", new_tasks=(task("tsk_3"),)))
    await until(lambda: _has(heard, Topic.WORK))
    deaf.close()
    with contextlib.suppress(asyncio.CancelledError):
        await listening


async def _has(heard: list[Topic], topic: Topic) -> bool:
    return topic in heard
