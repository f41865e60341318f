"""Statements: every query of this store, one a file, read once; `:name` becomes `$n` in the order of its header."""

import re
from pathlib import Path
from typing import Final

from bailiwick.stores.invariants import invariants_in

_FOLDER: Final = Path(__file__).parent / "queries"
_NAME: Final = re.compile(r"(?<![:\w]):([a-z_]+)")


def _load(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    given = next(line for line in lines if line.startswith("-- in: "))
    names = re.sub(r"\([^)]*\)", "", given.removeprefix("-- in: ").partition("    out:")[0]).split(",")
    place = {name.strip(): f"${at}" for at, name in enumerate(names, 1)}
    text = "\n".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")
    return _NAME.sub(lambda match: place[match[1]], text)


SQL: Final = {path.stem: _load(path) for path in sorted(_FOLDER.glob("*.sql"))}
"""The statements by name, without their comments. Values bind in the order in which their headers name them."""

INVARIANTS: Final = invariants_in(_FOLDER / "invariants")
"""The invariants by name; each query names (tenant, id, detail) of what violates it."""
