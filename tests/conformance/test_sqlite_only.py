"""What only the embedded store promises: its gates, its counters, its batches, and that edits are found."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from conformance_shapes import (
    BLOB_KEY,
    ShiftedClock,
    claim,
    draft,
    finish,
    following,
    head,
    opening,
    posting,
    submission,
    task,
)

from bailiwick.ports import Draft, Fenced, MoveTask, StaleVersion, TaskState, Unit
from bailiwick.stores import (
    EventDamaged,
    LibraryTooOld,
    PayloadDamaged,
    SchemaTooNew,
    SqliteStore,
    StoreBroken,
    StoreFull,
    open_store,
)
from bailiwick.stores.sqlite import Writer, require_library
from bailiwick.stores.sqlite.connect import open_writer
from bailiwick.stores.sqlite.migrate import MIGRATIONS, migrate
from bailiwick.stores.sqlite.sealing import Job
from bailiwick.stores.sqlite.statements import SQL

QUERIES = MIGRATIONS.parent / "queries"


@pytest.fixture
def writer(tmp_path: Path, clock: ShiftedClock) -> Iterator[Writer]:
    """A writer without a thread: the test steps it, so it decides what is one batch."""
    connection = open_writer(tmp_path / "x.db", clock)
    migrate(connection)
    stepped = Writer(connection)
    yield stepped
    stepped.close()


def count(writer: Writer, table: str) -> int:
    return int(writer._connection.execute(f"SELECT count(*) FROM {table}").get)


# --- gates ---


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0", "2.8.17"])
def test_an_unsafe_library_is_refused(version: str) -> None:
    with pytest.raises(LibraryTooOld) as refusal:
        require_library(version)
    assert refusal.value.facts == {"found": version, "needed": "3.51.3"}


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.100.0", "4.0.0"])
def test_a_safe_library_is_taken(version: str) -> None:
    assert require_library(version) is None


def test_the_database_is_opened_as_durably_as_promised(writer: Writer) -> None:
    settings = {
        name: writer._connection.execute(f"PRAGMA {name}").get
        for name in ("journal_mode", "synchronous", "page_size", "wal_autocheckpoint")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "page_size": 8192, "wal_autocheckpoint": 0}


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_store(tmp_path, blob_key=BLOB_KEY).close()
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    for _ in range(2):
        with pytest.raises(SchemaTooNew) as refusal:
            open_store(tmp_path, blob_key=BLOB_KEY)
        assert refusal.value.facts["found"] == 99


def test_migrations_run_once_and_again_change_nothing(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "x.db", lambda: 0)
    assert migrate(connection) == len(list(MIGRATIONS.glob("*.sql")))
    schema = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.execute("UPDATE feed SET placed = 7")
    migrate(connection)
    assert connection.execute("SELECT placed FROM feed").get == 7
    assert connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall() == schema
    connection.close()


def test_a_migration_that_fails_midway_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    connection = open_writer(tmp_path / "x.db", lambda: 0)
    number = migrate(connection, folder)
    (folder / f"{number + 1:04d}_broken.sql").write_text("CREATE TABLE half (a); CREATE TABLE half (b);")
    with pytest.raises(apsw.SQLError):
        migrate(connection, folder)
    assert connection.execute("PRAGMA user_version").get == number
    assert not connection.table_exists("main", "half")
    (folder / f"{number + 1:04d}_broken.sql").rename(folder / f"{number + 2:04d}_gap.sql")
    with pytest.raises(ValueError, match="without gaps"):
        migrate(connection, folder)
    connection.close()


@pytest.mark.parametrize("name", sorted(SQL))
def test_a_statement_says_what_it_takes_in_the_order_in_which_it_binds(name: str) -> None:
    text = (QUERIES / f"{name}.sql").read_text("utf-8")
    said = re.search(r"^-- in: (.*?)    out: ", text, re.MULTILINE)
    assert said is not None
    assert re.search(r"^-- locks: \S", text, re.MULTILINE)
    taken = re.sub(r"\s*\([^)]*\)", "", said[1]).split(", ")
    found = list(dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", SQL[name])))
    assert found == ([] if taken == ["nothing"] else taken)
    assert ";" not in SQL[name]


SMALL_TABLES = {
    "feed",
    "logs",
    "sessions",
    "halts",
    "keys",
    "json_each",
    "asked",
    "holders",
    "lanes",
    "drawn",
}


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_statement_reads_a_whole_growing_table(writer: Writer, name: str) -> None:
    values = tuple(None for _ in set(re.findall(r"(?<!:):([a-z_]+)", SQL[name])))
    plan = [row[3] for row in writer._connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values)]
    scans = {line.split()[1] for line in plan if line.startswith("SCAN ") and "tasks_leased" not in line}
    allowed = SMALL_TABLES | {"CONSTANT"} | ({"approvals"} if name == "select_approvals_of_all" else set())
    assert scans <= allowed


# --- batches ---


def test_a_batch_is_one_commit_and_its_rows_are_counted(writer: Writer) -> None:
    writer.step(
        [Job(opening(f"run_{n}", head=head(f"run_{n}"), new_tasks=(task(f"tsk_{n}"),))) for n in range(3)]
    )
    assert (writer.commits, writer.units) == (1, 3)
    before = writer.rows
    leased = claim(task("tsk_0"))
    writer.step([Job(Unit("acme", moved_tasks=(leased,)))])
    assert (writer.commits, writer.rows - before) == (2, 1)
    step = Unit(
        "acme",
        "run_0",
        1,
        (draft("step-succeeded", {"out": 1}),),
        head=head("run_0", version=2),
        moved_tasks=(finish(leased.task),),
        postings=(posting("pst_1", run="run_0"),),
    )
    before = writer.rows
    assert writer.step([Job(step)]) == [None]
    assert (writer.commits, writer.rows - before) == (3, 5)


def test_refusals_and_chores_count_neither_commits_nor_rows(writer: Writer) -> None:
    outcomes = writer.step(
        [Job(following("run_none", 3)), Job(Unit("acme", moved_tasks=(claim(task("x")),)))]
    )
    assert [type(outcome) for outcome in outcomes] == [StaleVersion, Fenced]
    assert writer.step([lambda connection: connection.changes()]) == [0]
    assert (writer.commits, writer.rows, writer.units, writer.fenced) == (0, 0, 0, 1)


def test_a_fenced_unit_in_a_batch_fails_alone_and_later_units_of_its_run_see_it(writer: Writer) -> None:
    batch = [
        Job(opening("run_a")),
        Job(following("run_b", 0, moved_tasks=(claim(task("none")),))),
        Job(following("run_b", 1)),
        Job(following("run_a", 1)),
        Job(opening("run_b", submission=submission("k"))),
        Job(opening("run_c", submission=submission("k"))),
        Job(following("run_b", 1)),
    ]
    outcomes = writer.step(batch)
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == ["NoneType", "Fenced", "StaleVersion", "NoneType", "NoneType", "GuardFailed", "NoneType"]
    assert writer.redone == 1
    assert count(writer, "events") == 4
    assert writer._connection.execute("SELECT min(pos), max(pos) FROM events").get == (1, 4)
    assert writer.step([Job(following("run_b", 2)), Job(following("run_a", 2))]) == [None, None]
    assert count(writer, "streams") == 2


def test_of_an_end_and_a_move_in_one_batch_the_first_one_wins(writer: Writer) -> None:
    leased = claim(task("tsk_1"))
    same_hold = MoveTask(TaskState.LEASED, 1, msgspec.structs.replace(leased.task, timeout_at=9))
    writer.step([Job(Unit("acme", new_tasks=(task("tsk_1"),), moved_tasks=(leased,)))])
    ending, moving = Unit("acme", moved_tasks=(finish(leased.task),)), Unit("acme", moved_tasks=(same_hold,))
    outcomes = writer.step([Job(ending), Job(moving)])
    assert [type(outcome) for outcome in outcomes] == [type(None), Fenced]
    assert count(writer, "tasks") == 0


def test_a_chore_that_refuses_undoes_itself_alone(writer: Writer) -> None:
    def refuse(connection: apsw.Connection) -> None:
        connection.execute(SQL["insert_session"], ("ses_1", "w", 1))
        raise StaleVersion(run="x", expected=1, actual=2)

    outcomes = writer.step([Job(opening("run_a")), refuse, Job(opening("run_b"))])
    assert [type(outcome) for outcome in outcomes] == [type(None), StaleVersion, type(None)]
    assert (count(writer, "sessions"), count(writer, "events")) == (0, 2)


def test_forgotten_heads_are_found_again(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "small.db", lambda: 0)
    migrate(connection)
    writer = Writer(connection)
    writer._sealer._heads_kept = 2
    assert writer.step([Job(opening(f"run_{n}")) for n in range(20)]) == [None] * 20
    assert len(writer._sealer._heads) == 2
    assert writer.step([Job(following(f"run_{n}", 1)) for n in range(20)]) == [None] * 20
    assert type(writer.step([Job(following("run_3", 1))])[0]) is StaleVersion
    writer.close()


def test_the_log_is_folded_into_the_database_between_batches(writer: Writer, tmp_path: Path) -> None:
    size = (tmp_path / "x.db").stat().st_size
    for n in range(40):
        writer.step([Job(opening(f"run_{n}_{k}", events=3)) for k in range(200)])
        writer.tend()
    assert (tmp_path / "x.db").stat().st_size > size * 10
    assert (tmp_path / "x.db-wal").stat().st_size < 2_200 * 8_192


# --- a disk that fails ---


def test_a_full_disk_refuses_writes_and_is_written_again_once_there_is_room(writer: Writer) -> None:
    writer.step([Job(opening("run_a"))])
    pages = writer._connection.execute("PRAGMA page_count").get
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Draft({"kind": "big"}, b"1" * 16_000, bytes(16))
    refused = writer.step([Job(Unit("acme", f"run_{n}", 0, (big,) * 9)) for n in range(9)])
    assert {type(outcome) for outcome in refused} == {StoreFull}
    writer._connection.execute("PRAGMA max_page_count = 1000000")
    assert writer.step([Job(Unit("acme", "run_1", 0, (big,))), Job(following("run_a", 1))]) == [None, None]
    assert count(writer, "events") == 3


class FailingDisk(apsw.VFS):
    """A disk whose syncs begin to fail when told so."""

    def __init__(self) -> None:
        self.failing = False
        super().__init__("failing", "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.disk.failing:
            raise apsw.IOError("injected")
        super().xSync(flags)


def test_after_a_failed_sync_nothing_is_acknowledged_any_more(tmp_path: Path) -> None:
    disk = FailingDisk()
    connection = apsw.Connection(str(tmp_path / "x.db"), vfs="failing")
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    connection.create_scalar_function("now_us", lambda *_: 0, 0)
    migrate(connection)
    writer = Writer(connection)
    assert writer.step([Job(opening("run_a"))]) == [None]
    disk.failing = True
    outcomes = writer.step([Job(following("run_a", 1)), Job(opening("run_b"))])
    disk.failing = False
    outcomes += writer.step([Job(opening("run_c"))])
    assert [type(outcome) for outcome in outcomes] == [StoreBroken] * 3
    writer.close()
    disk.unregister()


# --- edits by hand ---


async def edited(open_again: Callable[[], SqliteStore], tmp_path: Path, sql: str) -> SqliteStore:
    store = open_again()
    unit = Unit("acme", "run_a", 0, (draft("one", {"n": 1}), draft("two", {"n": 2}), draft("three")))
    await store.ledger.commit(unit)
    await store.feed.place(10)
    store.close()
    raw = sqlite3.connect(tmp_path / "data" / "ledger.db")
    assert raw.execute(sql).rowcount == 1
    raw.commit()
    raw.close()
    return open_again()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE payloads SET body = CAST('{\"n\":7}' AS BLOB) WHERE pos = 2",
        "UPDATE payloads SET salt = zeroblob(16) WHERE pos = 2",
        "UPDATE payloads SET body = NULL, blob = 'none' WHERE pos = 2",
        "INSERT INTO payloads (pos, salt, body) VALUES (3, zeroblob(16), x'7b7d')",
        "UPDATE payloads SET salt = x'01' WHERE pos = 2",
    ],
    ids=["body", "salt", "blob lost", "added", "short salt"],
)
async def test_an_edited_payload_is_found_when_it_is_read(
    open_again: Callable[[], SqliteStore], tmp_path: Path, sql: str
) -> None:
    store = await edited(open_again, tmp_path, sql)
    for read in (
        store.ledger.events("acme", "run_a", 0, 9),
        store.ledger.payloads("acme", "run_a", [2, 3]),
        store.feed.read(0, 9),
    ):
        with pytest.raises(PayloadDamaged) as refusal:
            await read
        assert refusal.value.facts["stream"] == "run_a"
    assert await store.ledger.payloads("acme", "run_a", [1]) == {1: b'{"n":1}'}


async def test_an_erased_payload_is_absent_not_damaged(
    open_again: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    store = await edited(open_again, tmp_path, "DELETE FROM payloads WHERE pos = 2")
    assert [event.payload for event in await store.ledger.events("acme", "run_a", 0, 9)] == [
        b'{"n":1}',
        None,
        None,
    ]


async def test_an_edited_header_is_found_when_it_is_read(
    open_again: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    edit = "UPDATE events SET header = replace(CAST(header AS TEXT), 'two', 'owt') WHERE pos = 2"
    store = await edited(
        open_again, tmp_path, edit.replace("replace(", "CAST(replace(").replace(" WHERE", " AS BLOB) WHERE")
    )
    for read in (store.ledger.events("acme", "run_a", 0, 9), store.feed.read(0, 9)):
        with pytest.raises(EventDamaged) as refusal:
            await read
        assert refusal.value.facts == {"stream": "run_a", "seq": 2}


async def test_a_damaged_large_payload_is_found(
    open_again: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    store = open_again()
    await store.ledger.commit(Unit("acme", "run_a", 0, (Draft({"kind": "big"}, b"5" * 50_000, bytes(16)),)))
    blobs = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 1
    blobs[0].write_bytes(b"6" * 50_000)
    with pytest.raises(PayloadDamaged):
        await store.ledger.payloads("acme", "run_a", [1])


async def test_a_large_payload_of_a_refused_unit_leaves_no_row(store: SqliteStore) -> None:
    big = Draft({"kind": "big"}, b"5" * 50_000, bytes(16))
    outcomes = await asyncio.gather(
        *[store.ledger.commit(Unit("acme", "run_a", 0, (big,))) for _ in range(8)], return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert len(await store.ledger.events("acme", "run_a", 0, 99)) == 1
