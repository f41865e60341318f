"""The stores that the conformance suite holds to one set of promises; today SQLite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance_shapes import BLOB_KEY, ShiftedClock

from bailiwick.stores import SqliteStore, open_store
from bailiwick.stores.sqlite import Writer
from bailiwick.stores.sqlite.connect import open_writer
from bailiwick.stores.sqlite.migrate import migrate


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture(params=["sqlite"])
def open_again(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ShiftedClock
) -> Iterator[Callable[[], SqliteStore]]:
    """Open the store of this test; an earlier opening of it is closed first."""
    stores: list[SqliteStore] = []

    def open_one() -> SqliteStore:
        for store in stores:
            store.close()
        match request.param:
            case "sqlite":
                stores.append(open_store(tmp_path / "data", clock=clock, blob_key=BLOB_KEY))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(open_again: Callable[[], SqliteStore]) -> SqliteStore:
    return open_again()


@pytest.fixture
def writer(tmp_path: Path, clock: ShiftedClock) -> Iterator[Writer]:
    """A writer without a thread: the test steps it, so it decides what is one batch."""
    connection = open_writer(tmp_path / "x.db", clock)
    migrate(connection)
    stepped = Writer(connection)
    yield stepped
    stepped.close()
