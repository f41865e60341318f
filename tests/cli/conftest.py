"""A served system for the module, and the command line called in this process."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import APP, Call, Place, Result

from bailiwick.cli import main
from bailiwick.cli.apps import load_app
from bailiwick.cli.reviewer import second_identity
from bailiwick.telemetry import configure_logging
from bailiwick.wiring import Settings
from bailiwick.wiring.serving import ServingThread


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def app_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("apps") / "post.py"
    path.write_text(APP)
    return path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, app_file: Path) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("served")
    configure_logging(json=True, level="warning", stream=io.StringIO())
    with ServingThread(
        Settings(data_dir=str(folder), port=0, profile="first-steps"), [load_app(app_file)]
    ) as served:
        served.ask(second_identity(served.system))
        yield Place(served, folder)


@pytest.fixture
def call(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Call a command as its user would, against the served system."""
    for name in ("BAILIWICK_URL", "BAILIWICK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BAILIWICK_DATA_DIR", str(place.folder))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["bailiwick", *args])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else 0, out, err)

    return invoke
