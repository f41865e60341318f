"""Nothing that the platform writes is open to anybody but its owner, whatever the umask and whatever lay there before."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_kit import ended, environment, run, start

from bailiwick.stores import tighten


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let whatever is made be open to everybody, unless whoever makes it says otherwise; children inherit it."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(top: Path) -> list[str]:
    found = [path for path in [top, *top.rglob("*")] if not path.is_symlink()]
    assert len(found) > 5
    return [f"{path} {stat.S_IMODE(path.stat().st_mode):o}" for path in found if path.stat().st_mode & 0o077]


@contextmanager
def served(home: Path, *command: str, data: Path) -> Iterator[list[str]]:
    """Serve for the length of a `with`; yields what it said until it was up, and adds what it said until its end."""
    process = start(home, *command, "--data-dir", str(data), "--port", "0")
    assert process.stdout is not None
    said = []
    try:
        while not said or not said[-1].startswith("app "):
            said.append(process.stdout.readline())
            assert said[-1], "it ended early"
        yield said
    finally:
        process.send_signal(signal.SIGTERM)
        result = ended(process)
        said += [result.out, result.err]
    assert result.code == 0


@pytest.mark.parametrize("command", [("server", "start"), ("up",)], ids=["server-start", "up"])
def test_a_served_data_directory_is_closed_while_it_runs_and_after(
    home: Path, app_file: Path, tmp_path: Path, open_umask: None, command: tuple[str, ...]
) -> None:
    data = tmp_path / "somewhere" / "data"
    door = ("--data-dir", str(data))
    given = ("--app", "post", "--workflow", "greet", "--input", '{"text": "x"}')
    saved = tmp_path / "saved"
    with served(home, *command, str(app_file), data=data):
        submitted = run(home, "runs", "submit", *given, *door, "--watch")
        assert submitted.code == 0, submitted.err
        assert (data / "ledger.db-wal").exists()
        assert open_to_others(tmp_path / "somewhere") == []
        (listed,) = run(home, "runs", "list", "-o", "json", *door).json()["runs"]
        assert run(home, "audit", "export", str(tmp_path / "out"), *door).code == 0
        assert run(home, "runs", "replay", listed["id"], "--save", str(saved), *door).code == 0
    assert open_to_others(tmp_path / "out") == []
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert open_to_others(tmp_path / "somewhere") == []


@pytest.mark.parametrize("command", [("server", "start"), ("up",)], ids=["server-start", "up"])
def test_the_first_key_goes_into_a_file_and_its_path_is_told(
    home: Path, app_file: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    with served(home, *command, str(app_file), data=data) as said:
        pass
    key = (data / "cli.key").read_text().strip()
    assert key.startswith("bwk_")
    assert f"the admin key lies in {data / 'cli.key'}, readable by you alone\n" in said
    assert key not in "".join(said)
    logged = data / "bailiwick.log"
    assert not logged.exists() or key not in logged.read_text()


def test_the_demo_leaves_nothing_open(home: Path, tmp_path: Path, open_umask: None) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "bailiwick", "demo", "--dir", str(tmp_path / "demo"), "--act", "1"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    assert (tmp_path / "demo" / "audit" / "entries.jsonl").is_file()
    assert list((tmp_path / "demo" / "data" / "work" / "checkouts").iterdir())
    assert open_to_others(tmp_path / "demo") == []
    secrets = [path.read_text().strip() for path in (tmp_path / "demo" / "data").glob("*.key")]
    assert secrets
    assert not any(secret in played.stdout + played.stderr for secret in secrets)


def test_what_was_left_open_is_closed_at_the_next_start(home: Path, app_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(home, "server", "start", str(app_file), data=data):
        pass
    for path in [data, *data.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    with served(home, "server", "start", str(app_file), data=data):
        pass
    assert open_to_others(data) == []


def test_only_what_belongs_to_a_data_directory_is_touched(tmp_path: Path) -> None:
    """A data directory may be somebody's own folder, and links may lead anywhere."""
    outside = tmp_path / "outside"
    data = tmp_path / "data"
    (data / "work").mkdir(parents=True)
    (data / "keys").mkdir()
    for path in (outside, data / "app.py", data / "keys" / "signing.key", data / "work" / "file"):
        path.write_text("x")
        path.chmod(0o644)
    (data / "work" / "link").symlink_to(outside)
    (data / "work" / "around").symlink_to(data)
    (data / "keys").chmod(0o700)
    assert tighten(data) == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert stat.S_IMODE((data / "app.py").stat().st_mode) == 0o644
    closed = (data, data / "work", data / "keys", data / "keys" / "signing.key", data / "work" / "file")
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in closed] == [0] * 5


def test_a_folder_that_everybody_shares_stays_shared(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "cli.key").write_text("bwk_x")
    (tmp_path / "cli.key").chmod(0o644)
    assert tighten(tmp_path) == []
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "cli.key").stat().st_mode) == 0o600
