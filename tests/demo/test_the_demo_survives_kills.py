"""The demo ends with one commit and a completed run, on each store, and when it is killed and started again, too."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick.cli.announce import MOMENTS
from postgres_kit import cluster, lent_database
from store_choice import POSTGRES, on_each_store

TIMEOUT_SECONDS = 150


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "bailiwick", "demo", "--dir", str(folder), "--act", "1"]


def environment(folder: Path, store: str, *, announce: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
    said = {"BAILIWICK_ANNOUNCE": "1"} if announce else {}
    return {**kept, "HOME": str(folder), "BAILIWICK_STORE": store, **said}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_each_store(metafunc, "store")


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a PostgreSQL; empty: SQLite."""
    with lent_database() if request.param == POSTGRES else contextlib.nullcontext("") as url:
        yield url


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def kill_at(moment: str, folder: Path, store: str, started: list[subprocess.Popen[str]]) -> None:
    """Run the demo and kill it while it holds still at the moment."""
    process = subprocess.Popen(
        command(folder), env=environment(folder, store, announce=True), stdout=subprocess.PIPE, text=True
    )
    started.append(process)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == f"announce {moment}":
            process.send_signal(signal.SIGKILL)
            process.wait()
            return
    pytest.fail(f"the demo ended without announcing {moment}")


def play_to_the_end(folder: Path, store: str) -> None:
    """Run the demo, and find one commit at its end."""
    played = subprocess.run(
        command(folder),
        env=environment(folder, store, announce=False),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "run completed" in played.stdout
    repository = folder / "data" / "repositories" / "orders"
    commits = subprocess.run(
        ["git", "log", "--oneline", "main..agents/health"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(commits.stdout.splitlines()) == 1


@pytest.mark.postgres_when_long
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_any_announced_moment_still_ends_in_one_commit(
    moment: str, store: str, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    kill_at(moment, tmp_path, store, started)
    play_to_the_end(tmp_path, store)


def test_on_postgres_it_ends_in_one_commit_and_nothing_of_it_is_in_sqlite(tmp_path: Path) -> None:
    with lent_database() as url:
        play_to_the_end(tmp_path, url)
        assert int(cluster().sql("SELECT count(*) FROM events", url)) > 50
    assert not list(tmp_path.rglob("ledger.db"))
