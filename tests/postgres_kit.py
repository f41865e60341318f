"""A private PostgreSQL for the tests: one server a test process, one database a test, a clock that can be moved."""

import atexit
import functools
from pathlib import Path

from bailiwick.stores.postgres import migrate
from bailiwick.testing.postgres import PrivateCluster

SHIFTED_CLOCK = """
CREATE TABLE test_clock (ahead bigint NOT NULL);
INSERT INTO test_clock VALUES (0);
CREATE OR REPLACE FUNCTION now_us() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + (SELECT ahead FROM test_clock) $$;
"""


@functools.cache
def cluster() -> PrivateCluster:
    """The server of this test process, started when it is first asked for; a missing PostgreSQL is an error."""
    started = PrivateCluster(migrated_schema() + SHIFTED_CLOCK)
    atexit.register(started.__exit__)
    return started.__enter__()


def migrated_schema() -> str:
    steps = sorted(Path(migrate.MIGRATIONS).glob("*.sql"))
    table = "CREATE TABLE schema_steps (number bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());\n"
    rows = "".join(
        f"INSERT INTO schema_steps (number, name) VALUES ({number}, '{step.stem}');\n"
        for number, step in enumerate(steps, 1)
    )
    return "\n".join([table, *(step.read_text("utf-8") for step in steps), rows])


def shift_clock(url: str, ahead: int) -> None:
    """Move a test's database clock, in microseconds from real time."""
    cluster().sql(f"UPDATE test_clock SET ahead = {ahead}", url)
