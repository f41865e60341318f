"""On which stores a test runs: on SQLite and on PostgreSQL, unless it says otherwise.

`sqlite_only(reason)` is about SQLite, or about files that PostgreSQL does not have. `postgres_when_long` runs on
PostgreSQL in the long form alone: what it promises does not lean on the store, or a quicker test holds the same there.
"""

import os

import pytest

SQLITE = "sqlite"
POSTGRES = "postgres"


def on_each_store(metafunc: pytest.Metafunc, fixture: str) -> None:
    """Hand a fixture the store's name, once for each store; called from a conftest's `pytest_generate_tests`."""
    if fixture not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    alone = "sqlite_only" in marks or ("postgres_when_long" in marks and not os.environ.get("BAILIWICK_LONG"))
    metafunc.parametrize(fixture, [SQLITE] if alone else [SQLITE, POSTGRES], indirect=True)
