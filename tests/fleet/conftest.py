"""A fleet for each test, gone at its end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet_kit import Fleet


@pytest.fixture
def fleet_of(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    fleets: list[Fleet] = []

    def make(count: int, *, delay: float = 0.0, clocks: tuple[float, ...] = ()) -> Fleet:
        fleet = Fleet(tmp_path, delay=delay)
        fleets.append(fleet)
        fleet.start(count, clocks)
        return fleet

    yield make
    for fleet in fleets:
        fleet.end()
