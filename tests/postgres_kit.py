"""A private PostgreSQL for the tests: one server a test process, databases lent to tests, a clock that can be moved."""

import atexit
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

from bailiwick.stores.postgres import migrate
from bailiwick.testing.postgres import PrivateCluster

SHIFTED_CLOCK = """
CREATE TABLE test_clock (ahead bigint NOT NULL, stopped_at bigint NOT NULL);
INSERT INTO test_clock VALUES (0, 0);
CREATE OR REPLACE FUNCTION now_us() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT ahead + CASE stopped_at WHEN 0 THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
                                     ELSE stopped_at END FROM test_clock $$;
"""

# Deleting a few rows costs a millisecond; a new copy of a database, or a new file for each truncated table, a
# thousand times that. Whoever is still connected goes first, so that nothing is written afterwards.
EMPTIED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() \\g /dev/null
DO $$
DECLARE each name;
BEGIN
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        IF each NOT IN ('schema_steps', 'feed', 'test_clock') THEN EXECUTE format('DELETE FROM %I', each); END IF;
    END LOOP;
    UPDATE feed SET placed = 0, settled = '0';
    UPDATE test_clock SET ahead = 0, stopped_at = 0;
END $$;
"""
_FREE: list[str] = []


@functools.cache
def cluster() -> PrivateCluster:
    """The server of this test process, started when it is first asked for; a missing PostgreSQL is an error."""
    started = PrivateCluster(migrated_schema() + SHIFTED_CLOCK)
    atexit.register(started.__exit__)
    return started.__enter__()


@contextlib.contextmanager
def lent_database() -> Iterator[str]:
    """Lend a database with the newest schema and no rows; answers its URL. The next test gets it again."""
    if _FREE:
        url = _FREE.pop()
        cluster().sql(EMPTIED, url)
    else:
        url = cluster().database()
    try:
        yield url
    finally:
        _FREE.append(url)


def migrated_schema() -> str:
    steps = sorted(Path(migrate.MIGRATIONS).glob("*.sql"))
    table = "CREATE TABLE schema_steps (number bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());\n"
    rows = "".join(
        f"INSERT INTO schema_steps (number, name) VALUES ({number}, '{step.stem}');\n"
        for number, step in enumerate(steps, 1)
    )
    return "\n".join([table, *(step.read_text("utf-8") for step in steps), rows])


def shift_clock(url: str, ahead: int, stopped_at: int = 0) -> None:
    """Move a test's database clock, in microseconds from real time, or from an instant that it stands at."""
    cluster().sql(f"UPDATE test_clock SET ahead = {ahead}, stopped_at = {stopped_at}", url)


def wait_until_alone(url: str) -> None:
    """Wait until no process is connected any more: what a killed one had sent is committed, or never will be."""
    cluster().sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        url,
    )
