"""Statements: every query of this store, one a file, read once."""

from pathlib import Path
from typing import Final, NamedTuple

_FOLDER: Final = Path(__file__).parent / "queries"


def _load(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")


class Invariant(NamedTuple):
    """What must hold of the tables: its sentence, the table that it is asked over, the query for what violates it."""

    says: str
    over: str
    sql: str


def _invariant(path: Path) -> Invariant:
    first, second = path.read_text("utf-8").splitlines()[:2]
    over = second.removeprefix("-- over: ").partition(" ")[0]
    return Invariant(first.removeprefix("-- "), over, _load(path))


SQL: Final = {path.stem: _load(path) for path in sorted(_FOLDER.glob("*.sql"))}
"""The statements by name, without their comments. Values bind in the order in which their names first stand."""

INVARIANTS: Final = {path.stem: _invariant(path) for path in sorted((_FOLDER / "invariants").glob("*.sql"))}
"""The invariants by name; each query names (tenant, id, detail) of what violates it."""
