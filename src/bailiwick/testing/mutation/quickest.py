"""A pytest plugin for mutmut's processes: the tests that were quickest when nothing was broken go first.

It is read from a path of its own, so that it judges a tree without being of it, and imports nothing of ours.
"""

import json
from pathlib import Path
from typing import Final

import pytest

MEASURED: Final = "mutmut-stats.json"
"""Where mutmut leaves what it measured of the unbroken tree: in the folder where it runs the tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the quickest first; before mutmut has measured, and for a test it did not see, the order stays."""
    if Path(MEASURED).exists():
        seconds = json.loads(Path(MEASURED).read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
