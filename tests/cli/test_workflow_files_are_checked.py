"""A workflow file with an error points to the place: line and column."""

from pathlib import Path

import pytest
from cli_kit import Call

GOOD = '{\n  "name": "w",\n  "steps": [\n    {"id": "a", "uses": "greet"}\n  ]\n}\n'


def test_a_good_file_is_said_to_be_good(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text(GOOD)
    assert "w@1.0.0 is well formed, 1 step(s)" in call("workflows", "check", str(path)).out
    assert call("workflows", "check", str(path), "-o", "json").json()["steps"] == ["a"]


@pytest.mark.parametrize(
    ("old", "new", "spot"),
    [
        ('"uses": "greet"', '"uses": "greet", "colour": 1', "4:34"),
        ('"id": "a"', '"id": "NOT AN ID"', "4:6"),
        ('"name": "w",', '"name": "w"', "3:3"),
        ('"name": "w",', '"name": "w", "name": "v",', ""),
        ('"uses": "greet"', '"run": {"app": "x"}', "4:17"),
    ],
    ids=["unknown field", "bad id", "no JSON", "twice", "not yet"],
)
def test_a_fault_is_named_with_its_place(call: Call, tmp_path: Path, old: str, new: str, spot: str) -> None:
    path = tmp_path / "w.json"
    path.write_text(GOOD.replace(old, new))
    told = call("workflows", "check", str(path))
    assert told.code == 2
    assert f"{path}:{spot}" in told.err if spot else str(path) in told.err
    assert "Traceback" not in told.err


def test_a_file_that_is_not_there_is_refused(call: Call, tmp_path: Path) -> None:
    told = call("workflows", "check", str(tmp_path / "absent.json"))
    assert told.code == 2
    assert "invalid_file" in told.err
