"""`up` and `run` as processes: what they print, what they leave, how they end, and who gets in their way."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cli_kit import ended, run, start

from bailiwick.cli.apps import load_app
from bailiwick.wiring import Settings
from bailiwick.wiring.serving import AddressTaken, ServingThread


def first_lines(process: "subprocess.Popen[str]", until: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or until not in lines[-1]:
        line = process.stdout.readline()
        assert line, "the process ended early"
        lines.append(line)
    return lines


def serving_on(data: Path, app_file: Path, port: int = 0) -> ServingThread:
    data.mkdir(exist_ok=True)
    return ServingThread(Settings(data_dir=str(data), port=port), [load_app(app_file)])


def test_up_announces_itself_serves_and_ends_clean(home: Path, app_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = start(home, "up", str(app_file), "--data-dir", str(data), "--port", "0")
    said = "".join(first_lines(process, "app post"))
    assert str(data / "cli.key") in said
    announced = json.loads((data / "server.json").read_bytes())
    assert announced["url"] in said
    assert announced["pid"] == process.pid
    listed = run(home, "runs", "list", "-o", "json", BAILIWICK_DATA_DIR=str(data))
    assert listed.json() == {"runs": [], "next_cursor": ""}
    second = run(home, "up", str(app_file), "--data-dir", str(data), "--port", "0")
    assert second.code == 2
    assert "data_dir_in_use" in second.err
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 0
    assert not (data / "server.json").exists()
    gone = run(home, "runs", "list", BAILIWICK_DATA_DIR=str(data))
    assert gone.code == 1
    assert "bailiwick up" in gone.err


def test_a_watch_ends_when_its_server_does(home: Path, app_file: Path, tmp_path: Path) -> None:
    with serving_on(tmp_path / "data", app_file) as served:
        given = ("--app", "post", "--workflow", "send", "--input", '{"text": "x"}')
        door = ("--data-dir", str(tmp_path / "data"))
        submitted = run(home, "runs", "submit", *given, *door, "-o", "json").json()
        watching = start(home, "runs", "watch", submitted["id"], *door)
        first_lines(watching, "decide it")
        assert served.url
    watched = ended(watching)
    assert watched.code == 1
    assert "unreachable" in watched.err
    assert "Traceback" not in watched.err


def test_a_taken_port_is_refused_and_leaves_the_directory_free(app_file: Path, tmp_path: Path) -> None:
    with serving_on(tmp_path / "one", app_file) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(AddressTaken, match=str(port)):
            serving_on(tmp_path / "two", app_file, port).__enter__()
        assert not (tmp_path / "two" / "server.json").exists()
    with serving_on(tmp_path / "two", app_file, port) as again:
        assert again.url == first.url


def test_run_watches_an_app_to_its_end_in_a_directory_of_its_own(home: Path, app_file: Path) -> None:
    done = run(home, "run", str(app_file))
    assert done.code == 0, done.err
    assert "run completed" in done.out
    assert '"text": "hello world"' in done.out
    assert "scripted model" in done.out


@pytest.fixture
def sending(app_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "sending.py"
    shutil.copy(app_file, path)
    path.write_text(path.read_text() + 'app.on_run("send", "Send", input={"text": "world"})\n')
    return path


def test_run_shows_what_is_held_and_approves_as_the_second_identity(home: Path, sending: Path) -> None:
    done = run(home, "run", str(sending), "--approve")
    assert done.code == 0, done.err
    assert "held by test.hold-send (senders): sending needs a second person" in done.out
    assert "approved as the second identity 'reviewer'" in done.out
    assert "was approved; by reviewer" in done.out


def test_run_leaves_with_three_when_it_may_not_wait_and_a_server_goes_on_from_there(
    home: Path, sending: Path, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    left = run(home, "run", str(sending), "--no-wait", "--data-dir", data)
    assert left.code == 3
    command = next(line for line in left.out.splitlines() if "decide it" in line)
    words = command.partition("bailiwick ")[2].partition("  (")[0].split()
    with serving_on(tmp_path / "data", sending):
        assert run(home, *words).code == 0
        listed = run(home, "runs", "list", "--data-dir", data, "-o", "json").json()["runs"]
        assert run(home, "runs", "watch", listed[0]["id"], "--data-dir", data).code == 0


def test_an_interrupted_run_is_kept_and_says_how_to_go_on(home: Path, sending: Path) -> None:
    process = start(home, "run", str(sending))
    first_lines(process, "decide it")
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.code == 130
    assert "go on with: bailiwick up" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import nothing_here\n", 2, "app_not_loaded"),
        ('from bailiwick.app import App\napp = App("a")\n', 2, "nothing_to_run"),
    ],
)
def test_run_refuses_a_file_it_cannot_run(
    home: Path, tmp_path: Path, text: str, code: int, said: str
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    done = run(home, "run", str(path))
    assert (done.code, "Traceback" in done.err) == (code, False)
    assert said in done.err
