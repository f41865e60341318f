"""Statements: every query of this store, one a file, read once."""

from pathlib import Path
from typing import Final

from bailiwick.stores.invariants import invariants_in

_FOLDER: Final = Path(__file__).parent / "queries"


def _load(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")


SQL: Final = {path.stem: _load(path) for path in sorted(_FOLDER.glob("*.sql"))}
"""The statements by name, without their comments. Values bind in the order in which their names first stand."""

INVARIANTS: Final = invariants_in(_FOLDER / "invariants")
"""The invariants by name; each query names (tenant, id, detail) of what violates it."""
