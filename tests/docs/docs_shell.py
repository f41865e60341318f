"""Runs the commands of a page in one shell, in the order in which a reader would type them."""

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from docs_pages import Block, blocks

TIMEOUT_SECONDS = 90
NO_RUN = "no-run"
_ANY = "…"
_PROLOGUE = """\
set -u -o pipefail
begin() { echo "$1" > "$OUT/current"; exec > "$OUT/$1" 2>&1; }
"""


class Command(NamedTuple):
    """What is run as one: a block of `sh`, or one command of a `console`; and what it should print, if told."""

    text: str
    expected: str | None


def commands(block: Block) -> list[Command]:
    """List what a block asks to be run."""
    if block.language == "sh":
        return [] if block.mark == NO_RUN else [Command(block.text, None)]
    if block.language != "console":
        return []
    found = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        text, _, expected = part.partition("\n")
        found.append(Command(text, expected))
    return found


def run_page(page: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Run all that a page says, and list what was not as it says.

    Blocks that are files are written first. Variables and functions of one block are there in the next.
    """
    asked: list[Command] = []
    for block in blocks(page):
        asked += commands(block)
        if block.file and block.language not in ("python", "sh", "console"):
            (folder / block.file).write_text(block.text, encoding="utf-8")
    with tempfile.TemporaryDirectory() as out:
        code = _run(_script(asked), folder, {**environment, "OUT": out})
        last = Path(out, "current")
        reached = int(last.read_text()) if last.exists() else 0
        outputs = [_output(Path(out, str(at))) for at in range(reached + 1)]
    if code != 0:
        return [f"{page}: exit code {code}:\n{asked[reached].text}\n{outputs[reached]}"]
    return [
        f"{page}: {command.text}\nprinted\n{output}\nnot\n{command.expected}"
        for command, output in zip(asked, outputs, strict=True)
        if command.expected is not None and not matches(command.expected, output)
    ]


def matches(expected: str, output: str) -> bool:
    """Whether an output is as told; `…` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split(_ANY))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def _script(asked: list[Command]) -> str:
    parts = [_PROLOGUE]
    for at, command in enumerate(asked):
        careful = ("set -e", "set +e") if command.expected is None else ("", "[ $? -eq 0 ] || exit 1")
        parts.append(f"begin {at}\n{careful[0]}\n{command.text}\n{careful[1]}\n")
    return "".join(parts)


def _run(script: str, folder: Path, environment: Mapping[str, str]) -> int:
    """Run a script to its end, and end what it left behind."""
    words = shlex.split("bash --noprofile --norc -s")
    shell = subprocess.Popen(
        words, stdin=subprocess.PIPE, cwd=folder, env=dict(environment), start_new_session=True
    )
    try:
        shell.communicate(script.encode(), timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return -signal.SIGALRM
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    return shell.returncode


def _output(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
