"""Only SQLite: the gates at its start, its migrations, and what its statements say and read."""

import re
import shutil
from pathlib import Path

import apsw
import pytest
from conformance_shapes import (
    BLOB_KEY,
)

from bailiwick.stores import (
    LibraryTooOld,
    SchemaTooNew,
    open_store,
)
from bailiwick.stores.sqlite import Writer, require_library
from bailiwick.stores.sqlite.connect import open_writer
from bailiwick.stores.sqlite.migrate import MIGRATIONS, migrate
from bailiwick.stores.sqlite.statements import SQL

QUERIES = MIGRATIONS.parent / "queries"


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
    raw = apsw.Connection(str(tmp_path / "ledger.db"))
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
    "identities",
    "keys",
    "tenants",
    "json_each",
    "fingerprints",
    "asked",
    "holders",
    "lines",
    "lanes",
    "drawn",
    "unfinished",
}
# Of the queue it takes the first row in an order that an index has.
FIRST_ROWS = {
    "select_waiting": {"tasks"},
    "select_claimable": {"tasks"},
    "select_wanted": {"tasks"},
    "select_approvals_of_all": {"approvals"},
}


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_statement_reads_a_whole_growing_table(writer: Writer, name: str) -> None:
    values = tuple(None for _ in set(re.findall(r"(?<!:):([a-z_]+)", SQL[name])))
    plan = [row[3] for row in writer._connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values)]
    scans = {line.split()[1] for line in plan if line.startswith("SCAN ") and "tasks_leased" not in line}
    allowed = SMALL_TABLES | {"CONSTANT"} | FIRST_ROWS.get(name, set())
    assert scans <= allowed
