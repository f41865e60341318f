"""A house with its door open, on each store."""

import contextlib
import io

import pytest
from http_house import House

from bailiwick.telemetry import configure_logging
from postgres_kit import lent_database
from store_choice import POSTGRES, on_each_store


@pytest.fixture
def log():
    """What the process logs, line by line as JSON."""
    stream = io.StringIO()
    configure_logging("info", stream)
    return stream


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_each_store(metafunc, "house")


@pytest.fixture
async def house(request, tmp_path, log):
    with contextlib.ExitStack() as lent:
        store = lent.enter_context(lent_database()) if request.param == POSTGRES else ""
        async with House(tmp_path, store).open() as opened:
            yield opened
