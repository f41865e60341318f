"""A number among the settings that could make a process useless or endless stops the start, however it was given."""

import math
from pathlib import Path

import pytest

from bailiwick.wiring import InvalidSettings, Settings, load_settings

BOUNDS = {
    "port": (0, 65_535),
    "slots": (1, 10_000),
    "lease_seconds": (1, 86_400),
    "drain_seconds": (0, 86_400),
}
BEYOND = [(name, value) for name, (least, most) in BOUNDS.items() for value in (least - 1, most + 1)]
NO_NUMBERS = [
    (name, value)
    for name in ("lease_seconds", "drain_seconds", "four_eyes_hours")
    for value in (math.nan, math.inf, -math.inf, 1e300)
]


@pytest.mark.parametrize(("name", "value"), BEYOND + NO_NUMBERS)
def test_a_number_out_of_its_bounds_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: float
) -> None:
    file = tmp_path / "bailiwick.toml"
    file.write_text(f"{name} = {value}\n")
    with pytest.raises(InvalidSettings, match=name):
        load_settings(file)
    with pytest.raises(InvalidSettings, match=name):
        load_settings(**{name: value})
    monkeypatch.setenv(f"BAILIWICK_{name.upper()}", str(value))
    with pytest.raises(InvalidSettings, match=name):
        load_settings()
    if name in BOUNDS:
        with pytest.raises(ValueError, match=name):
            Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_themselves_are_taken(name: str) -> None:
    assert [getattr(load_settings(**{name: value}), name) for value in BOUNDS[name]] == list(BOUNDS[name])
