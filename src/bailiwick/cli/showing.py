"""Showing: tables and JSON on standard output, refusals on standard error, colour only where it is wanted."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bailiwick.base import unmistakable
from bailiwick.cli.text import hidden_in, visible

_WIDE = 200
_LONG_FACT = 2000


class Output(StrEnum):
    """How a reading command answers."""

    TABLE = "table"
    JSON = "json"


@cache
def console(*, stderr: bool = False) -> Console:
    """Make the console; it honours NO_COLOR, and wraps nothing when it writes to a file or a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
        width=None if stream.isatty() else _WIDE,
    )


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print text of several lines, safely."""
    console(stderr=stderr).print(visible(text, lines=True), style=style or None)


def show_json(value: Any) -> None:
    """Print a value as JSON, in ASCII, so that no character of it can act on a terminal."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def show_lines(text: str, style: str = "") -> None:
    """Print text that was made safe before, as it is."""
    console().print(text, style=style or None)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headings; every cell is made safe and stays on one line."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    console().print(table, soft_wrap=False)


def show_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one pair a line; empty values are left out."""
    kept = {name: str(value) for name, value in fields.items() if value not in ("", None)}
    width = max((len(name) for name in kept), default=0)
    for name, value in kept.items():
        say(f"{name.ljust(width)}  {visible(value)}")


def show_diff(text: str) -> None:
    """Print a diff in colours so that no other diff looks the same; warn when it holds what does not show."""
    for line in unmistakable(text).split("\n"):
        show_lines(line, _diff_style(line))
    hidden = hidden_in(text)
    if hidden:
        say(
            f"careful: {hidden} character(s) above do not show by themselves; "
            "they are written as \\u{...}, the text itself holds them raw",
            "bold red",
        )


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---", "diff ")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def show_refusal(*, code: str, message: str, remedy: str, facts: Mapping[str, Any]) -> None:
    """Tell on standard error what was refused, by which code, on which facts, and the way out."""
    say(f"refused: {visible(message)}", "bold red", stderr=True)
    say(f"  code    {visible(code)}", stderr=True)
    for name, value in facts.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        say(f"  {visible(name).ljust(7)} {visible(shown[:_LONG_FACT])}", stderr=True)
    if remedy:
        say(f"  remedy  {visible(remedy)}", stderr=True)
