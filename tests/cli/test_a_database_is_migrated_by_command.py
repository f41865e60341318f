"""`bailiwick db` brings a PostgreSQL up to date and says where it stands; no password is ever shown."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import Call

from bailiwick.stores import Address, StoreUnreachable
from bailiwick.stores.postgres.migrate import newest
from bailiwick.wiring import InvalidSettings, Settings, load_settings
from postgres_kit import cluster, lent_database

SECRET = "s3cret"
URLS = [
    f"postgres://ann:{SECRET}@db:5432/x",
    f"postgres://db/x?user=ann&password={SECRET}",
    f"postgres://db/x?sslpassword={SECRET}&user=a@b",
    f"postgres://ann:{SECRET}/{SECRET}@db/x",
    f"postgres://ann:a?{SECRET}@db/x",
    f"postgres://ann:#{SECRET}@db/x",
    f"postgres://ann:a@{SECRET}@db/x",
    f"postgres://ann:{SECRET}/db",
    f"postgresql://ann:{SECRET}",
]


@pytest.fixture
def bare() -> Iterator[str]:
    """A database without a schema."""
    cluster().sql("CREATE DATABASE cli_bare", "postgres")
    yield cluster().url("cli_bare")
    cluster().sql("DROP DATABASE cli_bare WITH (FORCE)", "postgres")


def test_a_bare_database_is_behind_then_migrated_and_again_changes_nothing(call: Call, bare: str) -> None:
    before = call("db", "status", "--store", bare)
    assert (before.code, "schema 0, behind" in before.out) == (0, True)
    for _ in range(2):
        done = call("db", "migrate", "--store", bare)
        assert done.code == 0
        assert done.out.rstrip().endswith(f"schema {newest()}")
    assert f"schema {newest()}, up to date" in call("db", "status", "--store", bare).out
    steps = cluster().sql("SELECT number FROM schema_steps ORDER BY number", bare).split()
    assert steps == [str(number) for number in range(1, newest() + 1)]


def test_the_database_is_named_by_the_environment_too(
    call: Call, bare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_STORE", bare)
    assert call("db", "migrate").code == 0
    assert "up to date" in call("db", "status").out


def test_a_schema_of_a_later_program_is_refused_and_left_alone(call: Call, bare: str) -> None:
    call("db", "migrate", "--store", bare)
    cluster().sql("INSERT INTO schema_steps (number, name) VALUES (99, 'later')", bare)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    before = cluster().sql(tables, bare)
    for words in (("db", "status"), ("db", "migrate"), ("audit", "invariants")):
        refused = call(*words, "--store", bare)
        assert refused.code != 0
        assert "schema 99" in refused.err
    assert cluster().sql(tables, bare) == before


def test_sqlite_is_not_migrated_by_command(call: Call, tmp_path: Path) -> None:
    for words in (("db", "status"), ("db", "migrate"), ("db", "migrate", "--store", str(tmp_path / "x.db"))):
        refused = call(*words)
        assert refused.code == 2
        assert "SQLite migrates itself" in refused.err
    assert not list(tmp_path.rglob("*.db"))


def test_a_wrong_url_is_refused_without_its_password(call: Call) -> None:
    folder = cluster().folder
    for url in (
        f"postgres://ann:{SECRET}@127.0.0.1:1/x",
        f"postgres://ann:{SECRET}/x",
        f"postgres://ann:{SECRET}@127.0.0.1:{SECRET}/x",
        f"postgres://ann:{SECRET}@/x?host={folder}&port=1",
        f"postgres://bailiwick:{SECRET}@/nowhere?host={folder}",
        f"postgres://nobody:{SECRET}@/postgres?host={folder}",
    ):
        for words in (("db", "status"), ("db", "migrate"), ("audit", "invariants")):
            refused = call(*words, "--store", url)
            assert refused.code != 0
            assert refused.err.startswith("refused: the database postgres://"), refused
            assert SECRET not in refused.out + refused.err, url


def test_invariants_are_asked_of_a_database_by_command(call: Call, bare: str) -> None:
    assert "there is no ledger" in call("audit", "invariants", "--store", bare).err
    with lent_database() as url:
        asked = call("audit", "invariants", "--store", url)
        assert (asked.code, "invariants hold" in asked.out) == (0, True)
        cluster().sql("UPDATE feed SET placed = 7", url)
        assert call("audit", "invariants", "--store", url).code == 1


@pytest.mark.parametrize("url", URLS)
def test_no_password_is_ever_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    address, settings = Address(url), Settings(store=url)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("bailiwick").info("%s %r", settings, address)
    for shown in (
        address.shown,
        repr(address),
        str(address),
        f"{settings}",
        repr(settings),
        str(settings.__rich_repr__()),
        str(StoreUnreachable(address.shown, "gone")),
        caplog.text,
    ):
        assert SECRET not in shown
    assert settings.store == url


def test_a_settings_file_with_a_wrong_store_does_not_show_it(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f'store = ["postgres://ann:{SECRET}@db/x"]\n')
    with pytest.raises(InvalidSettings) as refusal:
        load_settings(tmp_path / "x.toml")
    assert SECRET not in str(refusal.value)
