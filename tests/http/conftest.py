"""A house with its door open."""

import io

import pytest
from http_house import House

from bailiwick.telemetry import configure_logging


@pytest.fixture
def log():
    """What the process logs, line by line as JSON."""
    stream = io.StringIO()
    configure_logging("info", stream)
    return stream


@pytest.fixture
async def house(tmp_path, log):
    async with House(tmp_path).open() as opened:
        yield opened
