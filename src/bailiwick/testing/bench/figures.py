"""Figures: what was measured, what was aimed at, and whether it was reached."""

from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One measured value.

    `target` says the aim in words (`<= 150`), in the same unit; it and `met` are None where there is none.
    """

    name: str
    value: float
    unit: str
    target: str | None = None
    met: bool | None = None


def plain(name: str, value: float, unit: str) -> Figure:
    """Report a value that has no target of its own."""
    return Figure(name, value, unit)


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """Report a value that should not be higher than `limit`."""
    return Figure(name, value, unit, f"<= {_short(limit)}", value <= limit)


def at_least(name: str, value: float, unit: str, floor: float) -> Figure:
    """Report a value that should not be lower than `floor`."""
    return Figure(name, value, unit, f">= {_short(floor)}", value >= floor)


def percentile(values: Sequence[float], share: float) -> float:
    """Find the value that the given share (0..1) of a non-empty sequence does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Lay figures out for people, one a line."""
    rows = [("name", "value", "unit", "target", "met"), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(_line(row, widths) for row in rows)


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    met = {None: "", True: "yes", False: "NO"}[figure.met]
    return figure.name, _short(figure.value), figure.unit, figure.target or "", met


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if at == 1 else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _short(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
