"""Only PostgreSQL: several processes on one database, lost lines, and a server that dies."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from conformance_shapes import (
    BLOB_KEY,
    approval,
    claim,
    draft,
    following,
    moved,
    opening,
    posting,
    submission,
    task,
)

from bailiwick.audit import leaf_hash
from bailiwick.base import digest_of
from bailiwick.ports import ApprovalState, Fenced, GuardFailed, StaleVersion, Unit
from bailiwick.stores import (
    Address,
    PostgresStore,
    SchemaTooNew,
    StoreUnreachable,
    migrate_schema,
    open_postgres,
)
from bailiwick.stores.postgres.connect import LOST, Lines
from bailiwick.stores.postgres.migrate import _LOCK, migrate, newest
from bailiwick.stores.postgres.pump import MAX_BATCH
from bailiwick.stores.postgres.statements import SQL
from bailiwick.testing.postgres import PrivateCluster
from figures import tell
from postgres_kit import cluster

RACES = 200 if os.environ.get("BAILIWICK_LONG") else 12
RESTARTS = 20 if os.environ.get("BAILIWICK_LONG") else 2
ENDS = (signal.SIGQUIT, signal.SIGKILL)


def opened(url: str, folder: Path) -> PostgresStore:
    return open_postgres(Address(url), folder, blob_key=BLOB_KEY)


async def test_of_two_processes_one_wins_each_race(database: str, tmp_path: Path) -> None:
    stores = [opened(database, tmp_path / name) for name in ("a", "b")]
    one = stores[0]
    for n in range(RACES):
        run, tsk, apr = f"run_{n}", task(f"tsk_{n}"), approval(f"apr_{n}", run=f"run_{n}")
        await one.ledger.commit(opening(run, new_tasks=(tsk,), new_approvals=(apr,)))
        decided = moved(apr, state=ApprovalState.APPROVED)
        shared = (("tenant:acme", draft("note")), ("platform", draft("note")))
        for units, refused in (
            ([following(run, 1, others=shared) for _ in stores], StaleVersion),
            ([Unit("acme", moved_tasks=(claim(tsk, f"ses_{k}"),)) for k in range(2)], Fenced),
            ([Unit("acme", moved_approvals=(decided,)) for _ in stores], GuardFailed),
            ([opening(f"{run}_{k}", submission=submission(f"key-{n}")) for k in range(2)], GuardFailed),
        ):
            outcomes = await asyncio.gather(
                *[store.ledger.commit(unit) for store, unit in zip(stores, units, strict=True)],
                return_exceptions=True,
            )
            assert sum(outcome is None for outcome in outcomes) == 1, outcomes
            assert sum(isinstance(outcome, refused) for outcome in outcomes) == 1, outcomes
    for tenant, stream in (("acme", "tenant:acme"), ("", "platform")):
        assert [event.seq for event in await one.ledger.events(tenant, stream, 0, 9999)] == list(
            range(1, RACES + 1)
        )
    for store in stores:
        await store.end()


async def test_two_processes_continue_one_tenants_stream_in_one_chain_and_two_relays_place_all_once(
    database: str, tmp_path: Path
) -> None:
    stores = [opened(database, tmp_path / name) for name in ("a", "b")]

    async def client(store: PostgresStore, run: str) -> None:
        await store.ledger.commit(opening(run))
        for version in range(1, 10):
            await store.ledger.commit(following(run, version, others=(("tenant:acme", draft()),)))
            await store.feed.place(3)

    await asyncio.gather(*[client(stores[n % 2], f"run_{n}") for n in range(8)])
    while await stores[1].feed.place(7):
        pass
    feed = await stores[0].feed.read(0, 9999)
    assert [event.position for event in feed] == list(range(1, 8 * 19 + 1))
    for stream in {event.stream for event in feed}:
        seqs = [event.seq for event in feed if event.stream == stream]
        assert seqs == list(range(1, len(seqs) + 1))
    for store in stores:
        await store.end()


async def test_a_late_commit_is_placed_late_and_never_passed_over(database: str, tmp_path: Path) -> None:
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_late"))
    writer = await asyncpg.connect(database)
    # An older transaction than all that follow: it has its id now, and writes and commits at the end.
    await writer.execute("BEGIN; SELECT pg_current_xact_id()")
    seen: list[list[str]] = [[], [], []]

    async def look() -> None:
        while await store.feed.place(4):
            pass
        for reader in seen:
            for event in await store.feed.read(len(reader), 3):
                reader.append(f"{event.stream}.{event.seq}")

    for n in range(10):
        await store.ledger.commit(opening(f"run_{n}"))
        await look()
    await store.ledger.commit(following("run_late", 1))
    await writer.execute(
        "INSERT INTO streams (id, tenant, name, log) SELECT -1, tenant, 'run_old', log FROM streams LIMIT 1"
    )
    (first,) = await store.ledger.events("acme", "run_0", 0, 1)
    header = first.header.replace(b'"run_0"', b'"run_old"')
    await writer.execute(
        "INSERT INTO events (stream, seq, log, header, leaf) "
        "SELECT -1, 1, log, $1, $2 FROM events ORDER BY stream LIMIT 1",
        header,
        leaf_hash(header),
    )
    await look()
    await writer.execute("COMMIT")
    await writer.close()
    for _ in range(8):
        await look()
    assert [len(reader) for reader in seen] == [13, 13, 13]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][-1] == "run_old.1"
    assert seen[0].index("run_late.1") < seen[0].index("run_late.2")
    await store.end()


async def test_a_batch_costs_three_round_trips_however_many_tables_it_touches(
    database: str, tmp_path: Path
) -> None:
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_a"))

    async def work(version: int) -> None:
        new, asked = task(f"tsk_{version}"), approval(f"apr_{version}")
        await store.ledger.commit(following("run_a", version, new_tasks=(new,), new_approvals=(asked,)))
        decided = moved(asked, state=ApprovalState.REJECTED, decided_by="bob", decided_at=9)
        units = [
            following("run_a", version + 1, moved_tasks=(claim(new),), moved_approvals=(decided,)),
            *(opening(f"run_{version}_{n}", postings=(posting(f"pst_{version}_{n}"),)) for n in range(9)),
        ]
        queries.clear()
        await asyncio.gather(*map(store.ledger.commit, units))

    queries: list[str] = []
    await work(1)  # the driver asks for the types that it meets once
    store.pump._connection.add_query_logger(lambda record: queries.append(record.query.split()[0]))
    await work(3)
    assert queries == ["BEGIN", "WITH", "COMMIT"]
    assert (store.pump.writer.units, store.pump.writer.redone) == (23, 0)
    await store.end()


async def test_a_bug_in_the_middle_of_a_batch_leaves_nothing_of_it_and_hangs_nobody(
    database: str, tmp_path: Path
) -> None:
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_a"))
    connection = store.pump._connection

    async def broken(text: str, *values: object) -> str:
        if text == "COMMIT":
            raise LookupError("a bug, with the rows of the batch written")
        return str(await connection.execute(text, *values))

    store.pump._connection = Cut(connection, broken)
    units = [opening(f"run_{n}") for n in range(MAX_BATCH + 8)]
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*map(store.ledger.commit, units), return_exceptions=True)
    lost = [unit.run for unit, came in zip(units, outcomes, strict=True) if isinstance(came, LookupError)]
    assert 0 < len(lost) <= MAX_BATCH
    for unit in units:
        kept = await store.ledger.events("acme", unit.run, 0, 9)
        assert len(kept) == (0 if unit.run in lost else len(unit.drafts)), unit.run
    await store.end()


async def test_a_writer_that_stands_still_holds_up_only_its_own_run(database: str, tmp_path: Path) -> None:
    store = opened(database, tmp_path / "a")
    noted = (("tenant:acme", draft("note")),)
    for run in ("run_a", "run_b"):
        await store.ledger.commit(opening(run, others=noted))
    still = await asyncpg.connect(database)
    await still.execute("BEGIN; SELECT FROM streams WHERE name = 'run_a' FOR UPDATE")
    await asyncio.wait_for(store.ledger.commit(following("run_b", 1, others=noted)), 8)
    assert [event.seq for event in await store.ledger.events("acme", "run_b", 0, 9)] == [1, 2]
    await still.execute("ROLLBACK")
    await still.close()
    await store.end()


async def test_a_process_that_is_frozen_in_a_transaction_soon_holds_nothing(
    database: str, tmp_path: Path
) -> None:
    store = opened(database, tmp_path / "a")
    noted = (("tenant:acme", draft("note")),)
    await store.ledger.commit(opening("run_a", others=noted))
    frozen = await Lines(Address(database)).connect()  # as a process of ours connects
    await frozen.execute("BEGIN; SELECT FROM streams WHERE name = 'tenant:acme' FOR UPDATE")
    async with asyncio.timeout(8):  # sooner than the wait for a lock ends
        await store.ledger.commit(following("run_a", 1, others=noted))
    with pytest.raises(LOST):
        await frozen.execute("COMMIT")
    assert store.pump.lost == 0
    await store.end()


async def test_what_one_process_has_removed_the_others_remove_from_their_own_folders(
    database: str, tmp_path: Path
) -> None:
    stores = [opened(database, tmp_path / name) for name in ("a", "b")]
    big = draft("big", {"text": "x" * 20_000})
    for n, store in enumerate(stores):
        await store.ledger.commit(Unit("acme", f"run_{n}", 0, (big,)))
    for n in range(2):
        erased = (("tenant:acme", draft("payload.erased")),)
        await stores[0].ledger.commit(Unit("acme", f"run_{n}", 1, others=erased, erased=((f"run_{n}", 1),)))
    assert big.payload is not None
    name = digest_of(big.payload)
    for store in stores:
        assert await store.blobs.has("acme", name)
        await store.ledger.sweep()
        assert not await store.blobs.has("acme", name)
        await store.end()


async def test_a_relay_that_finds_nothing_writes_nothing(database: str, tmp_path: Path) -> None:
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_a"))
    while await store.feed.place(9):
        pass
    looks = []
    for _ in range(2):
        looks.append(cluster().sql("SELECT ctid, xmin FROM feed", database))
        assert await store.feed.place(9) == 0
    assert looks[0] == looks[1]
    await store.end()


@pytest.mark.parametrize("kept", [True, False], ids=["after it was kept", "before it arrived"])
async def test_a_commit_whose_line_was_lost_is_found_out_and_answered_truthfully(
    database: str, tmp_path: Path, kept: bool
) -> None:
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_a"))
    connection = store.pump._connection
    execute = connection.execute

    async def cut(text: str, *values: object) -> str:
        if text != "COMMIT":
            return str(await execute(text, *values))
        if kept:
            await execute(text)
        connection.terminate()
        raise ConnectionResetError

    store.pump._connection = Cut(connection, cut)
    await asyncio.gather(*[store.ledger.commit(unit) for unit in (following("run_a", 1), opening("run_b"))])
    assert (store.pump.doubts, store.pump.kept) == (1, int(kept))
    assert [event.seq for event in await store.ledger.events("acme", "run_a", 0, 9)] == [1, 2]
    assert [event.seq for event in await store.ledger.events("acme", "run_b", 0, 9)] == [1]
    await store.ledger.commit(following("run_a", 2))
    await store.end()


class Cut:
    """A connection whose `execute` is another."""

    def __init__(self, connection: object, execute: Callable[..., object]) -> None:
        self._connection = connection
        self.execute = execute

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


async def test_two_migrators_wait_for_each_other_and_a_newer_schema_is_refused() -> None:
    private = cluster()
    private.sql("CREATE DATABASE bare", "postgres")
    address = Address(private.url("bare"))
    assert set(await asyncio.gather(*[migrate_schema(address) for _ in range(4)])) == {newest()}
    private.sql("INSERT INTO schema_steps (number, name) VALUES (99, 'later')", "bare")
    with pytest.raises(SchemaTooNew):
        await migrate_schema(address)


async def test_a_migrator_waits_longer_than_a_statement_of_the_service_may() -> None:
    """What a service's statements are given in time says nothing of another program's migration."""
    private = cluster()
    private.sql("CREATE DATABASE awaited", "postgres")
    lines = Lines(Address(private.url("awaited")))
    holder, late, looker = [await lines.connect() for _ in range(3)]
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        await late.execute(f"SET {setting} = '100ms'")
    migration = holder.transaction()
    await migration.start()
    await holder.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    waiting = asyncio.create_task(migrate(late))
    stands = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND now() - query_start > '300ms')"
    while not waiting.done() and not await looker.fetchval(stands):
        await asyncio.sleep(0)
    await migration.rollback()
    assert await waiting == newest()
    await holder.execute("BEGIN")
    await holder.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    assert await migrate(late) == newest(), "there is nothing to do, so nobody is waited for"
    for line in (holder, late, looker):
        line.terminate()


def test_no_password_is_ever_shown() -> None:
    for url in ("postgres://ann:secret@db:5432/x", "postgres://db/x?user=ann&password=secret"):
        address = Address(url)
        for shown in (
            address.shown,
            repr(address),
            str(address),
            str(StoreUnreachable(address.shown, "gone")),
        ):
            assert "secret" not in shown
            assert "db" in shown


@pytest.mark.parametrize("number", ["of somebody else", "of nobody yet"])
async def test_a_commit_that_was_lost_with_its_number_is_not_taken_for_another(
    database: str, tmp_path: Path, number: str
) -> None:
    """A server that crashed may give a transaction's number anew: what was lost must not pass for committed."""
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_a"))
    others = cluster().sql("BEGIN; SELECT pg_current_xact_id(); COMMIT", database)
    connection = store.pump._connection
    execute = connection.execute

    async def cut(text: str, *values: object) -> str:
        if text != "COMMIT":
            return str(await execute(text, *values))
        connection.terminate()
        store.pump.writer._xid = others if number == "of somebody else" else str(int(others) + 1_000_000)
        raise ConnectionResetError

    store.pump._connection = Cut(connection, cut)
    await store.ledger.commit(following("run_a", 1))
    assert (store.pump.doubts, store.pump.kept) == (1, 0)
    assert [event.seq for event in await store.ledger.events("acme", "run_a", 0, 9)] == [1, 2]
    await store.end()


async def test_a_server_that_dies_at_once_under_writers_loses_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    with PrivateCluster() as private:
        store = opened(private.database(), tmp_path / "a")
        acknowledged = dict.fromkeys([f"run_{n}" for n in range(8)], 0)
        ending = asyncio.Event()
        back: list[float] = []

        async def client(run: str) -> None:
            await store.ledger.commit(opening(run))
            acknowledged[run] = 1
            while not ending.is_set():
                try:
                    await store.ledger.commit(following(run, acknowledged[run]))
                except StoreUnreachable:
                    continue
                acknowledged[run] += 1
                if len(back) % 2:
                    back.append(time.monotonic())

        async with asyncio.timeout(30 + 10 * RESTARTS), asyncio.TaskGroup() as clients:
            for run in acknowledged:
                clients.create_task(client(run))
            for restart in range(RESTARTS):
                while sum(acknowledged.values()) < 100 * (restart + 1):
                    await asyncio.sleep(0)
                await asyncio.to_thread(private.stop, ENDS[restart % len(ENDS)])
                await asyncio.to_thread(private.start)
                back.append(time.monotonic())
                while len(back) % 2:
                    await asyncio.sleep(0)
            ending.set()
        waits = [after - before for before, after in zip(back[::2], back[1::2], strict=True)]
        total = 0
        for run, version in acknowledged.items():
            events = await store.ledger.events("acme", run, 0, 100_000)
            assert [event.seq for event in events] == list(range(1, version + 1))
            total += version
        tell(
            f"{RESTARTS} restarts, {total} acknowledged, 0 lost, {store.pump.doubts} in doubt"
            f" ({store.pump.kept} kept), first commit after {max(waits):.2f} s at most"
        )
        assert max(waits) < 5.0
        await store.end()


async def test_only_exactly_this_event_shows_that_a_commit_was_kept(database: str, tmp_path: Path) -> None:
    """What is asked after a commit without an answer: another event of the stream or of the number is none."""
    store = opened(database, tmp_path / "a")
    await store.ledger.commit(opening("run_a", events=2))
    await store.ledger.commit(opening("run_b", events=1))
    await store.end()
    stranger = await asyncpg.connect(database)
    try:
        rows = await stranger.fetch("SELECT stream, seq, leaf FROM events ORDER BY stream, seq")
        first, second, other = [tuple(row) for row in rows]
        for stream, seq, leaf, kept in (
            (*first, True),
            (*other, True),
            (other[0], *first[1:], False),
            (first[0], second[1], first[2], False),
            (first[0], first[1], second[2], False),
            (other[0], second[1], second[2], False),
        ):
            assert await stranger.fetchval(SQL["select_event_is_kept"], stream, seq, leaf) is kept
    finally:
        await stranger.close()
