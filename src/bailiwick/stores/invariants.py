"""Invariants: what must hold of a store's tables, one query a file, each naming what violates it."""

from pathlib import Path
from typing import NamedTuple


class Invariant(NamedTuple):
    """What must hold of the tables: its sentence, the table that it is asked over, the query for what violates it."""

    says: str
    over: str
    sql: str


def invariants_in(folder: Path) -> dict[str, Invariant]:
    """Read the invariants of a store by name; each query names (tenant, id, detail) of what violates it."""
    return {path.stem: _invariant(path) for path in sorted(folder.glob("*.sql"))}


def _invariant(path: Path) -> Invariant:
    lines = path.read_text("utf-8").splitlines()
    over = lines[1].removeprefix("-- over: ").partition(" ")[0]
    sql = "\n".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")
    return Invariant(lines[0].removeprefix("-- "), over, sql)
