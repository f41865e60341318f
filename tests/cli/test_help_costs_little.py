"""Help is quick: it names every command and loads none of them; and every command explains itself."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from bailiwick.cli.entry import root
from bailiwick.cli.lazy import COMMANDS, load_command

HEAVY = ("fastapi", "openai", "pydantic_ai", "apsw", "cedarpy", "httpx2", "uvicorn", "bailiwick.service")
PROBE = f"""
import sys
from bailiwick.cli import main
sys.argv = ["bailiwick", "--help"]
try:
    main()
except SystemExit:
    pass
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules])
"""


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        found.append((name,))
        found += [(name, inner) for inner in getattr(load_command(name), "commands", {})]
    return found


def test_help_imports_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert "approvals" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(root, [*command, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"{' '.join(command)} [OPTIONS]" in shown.output


def test_an_unknown_command_is_a_usage_error() -> None:
    shown = CliRunner().invoke(root, ["frobnicate"])
    assert shown.exit_code == 2
    assert "No such command 'frobnicate'" in shown.output


def test_a_missing_argument_is_a_usage_error() -> None:
    assert CliRunner().invoke(root, ["runs", "get"]).exit_code == 2
