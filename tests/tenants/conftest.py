"""Two tenants of one deployment, each with an app of its own, and an operator above them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tenants_kit import Estate, estate


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Estate]:
    async with estate(tmp_path) as opened:
        yield opened
