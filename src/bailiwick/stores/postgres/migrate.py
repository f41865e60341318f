"""Migrations: numbered SQL files, each applied once, in order, by one process at a time."""

from pathlib import Path
from typing import Final

import asyncpg

from bailiwick.stores.refusals import SchemaTooNew, StoreBusy

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 7_261_109_453  # any number, the same in every version of the program
_WAIT_SECONDS: Final = 600
_LONGEST_SECONDS: Final = 3600
_PATIENT: Final = f"""
SET LOCAL lock_timeout = '{_WAIT_SECONDS}s';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
"""What a migration takes the place of: times that are made for the short statements of a service."""


def newest(folder: Path = MIGRATIONS) -> int:
    """Tell the number of the newest schema that this program knows."""
    return len(_steps(folder))


async def found(connection: asyncpg.Connection) -> int:
    """Tell the number of the schema that a database has; 0 when it has none."""
    if await connection.fetchval("SELECT to_regclass('schema_steps')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_steps"))


async def migrate(connection: asyncpg.Connection, folder: Path = MIGRATIONS) -> int:
    """Bring a database to the newest schema in one transaction; running it again changes nothing.

    Several programs that start at once wait for each other, for ten minutes at most; one that finds the newest
    schema waits for nobody. A migration that fails leaves all as it was.

    Returns:
        The schema's number.

    Raises:
        SchemaTooNew: A later program wrote the database; nothing was changed.
        StoreBusy: Another program migrates it for too long; nothing was changed.
    """
    steps = _steps(folder)
    if await found(connection) == len(steps):
        return len(steps)
    try:
        async with connection.transaction():
            return await _migrated(connection, steps)
    except asyncpg.LockNotAvailableError:
        raise StoreBusy(f"another program has been migrating it for {_WAIT_SECONDS} s") from None


async def _migrated(connection: asyncpg.Connection, steps: list[Path]) -> int:
    await connection.execute(_PATIENT)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_LONGEST_SECONDS)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_steps ("
        "number bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    number = await found(connection)
    if number > len(steps):
        raise SchemaTooNew(found=number, known=len(steps))
    for at, step in enumerate(steps[number:], number + 1):
        await connection.execute(step.read_text("utf-8"), timeout=_LONGEST_SECONDS)
        await connection.execute("INSERT INTO schema_steps (number, name) VALUES ($1, $2)", at, step.stem)
    return len(steps)


def _steps(folder: Path) -> list[Path]:
    steps = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    if [int(step.name[:4]) for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"migrations are numbered from 1 without gaps, not {[step.name for step in steps]}")
    return steps
