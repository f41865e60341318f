"""The server of crashes, and where their folders lie."""

from collections.abc import Iterator

import pytest
from crash_kit import CrashServer


@pytest.fixture(scope="module")
def server() -> Iterator[CrashServer]:
    server = CrashServer()
    yield server
    server.close()
