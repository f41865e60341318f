"""The stores that the conformance suite holds to one set of promises; SQLite and PostgreSQL."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from conformance_shapes import BLOB_KEY, ShiftedClock

from bailiwick.stores import Address, Store, open_postgres, open_store
from bailiwick.stores.sqlite import Writer
from bailiwick.stores.sqlite.connect import open_writer
from bailiwick.stores.sqlite.migrate import migrate
from postgres_kit import lent_database, shift_clock


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a PostgreSQL of this test's own, without a row."""
    with lent_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> str:
    """Say where this test's store is: the URL of a database of its own, or nothing for SQLite."""
    return str(request.getfixturevalue("database")) if request.param == "postgres" else ""


@pytest.fixture
async def open_again(place: str, tmp_path: Path, clock: ShiftedClock) -> AsyncIterator[Callable[[], Store]]:
    """Open the store of this test; an earlier opening of it is closed first."""
    stores: list[Store] = []
    if place:
        clock.followers.append(functools.partial(shift_clock, place))

    def open_one() -> Store:
        for store in stores:
            store.close()
        if place:
            stores.append(open_postgres(Address(place), tmp_path / "data", blob_key=BLOB_KEY))
        else:
            stores.append(open_store(tmp_path / "data", clock=clock, blob_key=BLOB_KEY))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.end()


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    return open_again()


@pytest.fixture
def writer(tmp_path: Path, clock: ShiftedClock) -> Iterator[Writer]:
    """A writer without a thread: the test steps it, so it decides what is one batch."""
    connection = open_writer(tmp_path / "x.db", clock)
    migrate(connection)
    stepped = Writer(connection)
    yield stepped
    stepped.close()
