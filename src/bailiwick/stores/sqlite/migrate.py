"""Migrations: numbered SQL files, each applied once, in order, under the write lock."""

from pathlib import Path
from typing import Final

import apsw

from bailiwick.stores.refusals import SchemaTooNew

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(connection: apsw.Connection, folder: Path = MIGRATIONS) -> int:
    """Bring a database to the newest schema; running it again changes nothing.

    A migration that fails leaves the schema, and the number recorded in it, as it was before.

    Returns:
        The schema's number, recorded in the database as its `user_version`.

    Raises:
        SchemaTooNew: A later program wrote the database; nothing was changed.
    """
    steps = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    if [int(step.name[:4]) for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"migrations are numbered from 1 without gaps, not {[step.name for step in steps]}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection, steps)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return len(steps)


def _apply(connection: apsw.Connection, steps: list[Path]) -> None:
    found = int(connection.execute("PRAGMA user_version").get)
    if found > len(steps):
        raise SchemaTooNew(found=found, known=len(steps))
    for step in steps[found:]:
        connection.execute(step.read_text("utf-8"))
    connection.execute(f"PRAGMA user_version = {len(steps)}")
