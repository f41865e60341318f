"""Figures: what a proof counted, said at the end of the whole run, whether or not somebody watched."""

import sys
from typing import Any

MARK = "figure: "


def tell(text: str) -> None:
    """Say the figures of a proof, with their denominators."""
    sys.stdout.write(f"\n{MARK}{text}\n")


def told(reports: list[Any]) -> list[str]:
    """Find the figures in what passed tests have said."""
    return [
        f"{report.nodeid.partition('::')[0]}: {line.removeprefix(MARK)}"
        for report in reports
        for line in report.capstdout.splitlines()
        if line.startswith(MARK)
    ]
