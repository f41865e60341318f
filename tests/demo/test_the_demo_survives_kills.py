"""Killed at any announced moment and started again, the demo ends with one commit and a completed run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick.cli.announce import MOMENTS

TIMEOUT_SECONDS = 150


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "bailiwick", "demo", "--dir", str(folder), "--act", "1"]


def environment(folder: Path, *, announce: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
    return {**kept, "HOME": str(folder), **({"BAILIWICK_ANNOUNCE": "1"} if announce else {})}


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def kill_at(moment: str, folder: Path, started: list[subprocess.Popen[str]]) -> None:
    """Run the demo and kill it while it holds still at the moment."""
    process = subprocess.Popen(
        command(folder), env=environment(folder, announce=True), stdout=subprocess.PIPE, text=True
    )
    started.append(process)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == f"announce {moment}":
            process.send_signal(signal.SIGKILL)
            process.wait()
            return
    pytest.fail(f"the demo ended without announcing {moment}")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_any_announced_moment_still_ends_in_one_commit(
    moment: str, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    kill_at(moment, tmp_path, started)
    again = subprocess.run(
        command(tmp_path),
        env=environment(tmp_path, announce=False),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert "run completed" in again.stdout
    repository = tmp_path / "data" / "repositories" / "orders"
    commits = subprocess.run(
        ["git", "log", "--oneline", "main..agents/health"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(commits.stdout.splitlines()) == 1
