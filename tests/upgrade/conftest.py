"""What was kept of earlier releases, opened by this one on each store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from upgrade_kit import KEPT, Kept, laid_out

from bailiwick.policy import Bundle
from platform_fixtures import bundle
from store_choice import POSTGRES, SQLITE

__all__ = ["bundle"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kept" in metafunc.fixturenames:
        releases = sorted(path.name for path in KEPT.iterdir())
        pairs = [(release, store) for release in releases for store in (SQLITE, POSTGRES)]
        metafunc.parametrize("kept", pairs, indirect=True, ids=["-".join(pair) for pair in pairs])


@pytest.fixture
async def kept(request: pytest.FixtureRequest, tmp_path: Path, bundle: Bundle) -> AsyncIterator[Kept]:
    """One release's ledger; at the test's end its invariants hold and each decision is reached again."""
    release, store = request.param
    opened = await laid_out(release, store, tmp_path / "system", bundle)
    yield opened
    await opened.system.close()
