"""What the documentation's commands run against: a folder as a reader's, and the served quickstart application."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_pages import ROOT

_KEPT = ("LANG", "TMPDIR", "SSL_CERT_FILE")


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, str]:
    """Make a reader's environment: a HOME of its own, and the commands of this working copy on the path."""
    home = tmp_path / "reader"
    home.mkdir()
    tools = home / "bin"
    tools.mkdir()
    _stand_in_for_curl(tools)
    (home / "examples").symlink_to(ROOT / "examples")
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # The system's own curl comes first; the stand-in is for where there is none.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}:{tools}"
    return {
        **found,
        "HOME": str(home),
        "PATH": path,
        "COLUMNS": "200",
        "BAILIWICK_DATA_DIR": str(home / "data"),
    }


def _stand_in_for_curl(tools: Path) -> None:
    curl = tools / "curl"
    curl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("docs_curl.py")}" "$@"\n')
    curl.chmod(0o755)


@pytest.fixture
def served(reader: dict[str, str]) -> Iterator[dict[str, str]]:
    """Serve the quickstart application, and tell the reader's environment with its address in it."""
    command = [
        str(Path(sys.executable).parent / "bailiwick"),
        "up",
        "--first-steps",
        "examples/quickstart.py",
        "--port",
        "0",
    ]
    server = subprocess.Popen(
        command, cwd=reader["HOME"], env=reader, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert server.stdout is not None, "it is a pipe"
    said = ""
    try:
        for line in server.stdout:
            said += line
            if " listens on " in line:
                break
        assert " listens on " in said, said
        url = said.rpartition(" listens on ")[2].strip()
        yield {**reader, "BAILIWICK_URL": url}
    finally:
        server.terminate()
        server.communicate(timeout=30)
