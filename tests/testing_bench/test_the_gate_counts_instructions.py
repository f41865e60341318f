"""What a run and a governed write cost is counted and held to the stored base: dearer work shuts the gate."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bailiwick.testing.bench import instructions
from bailiwick.testing.bench.instructions import BASE, GROWTH, WORKS, Base, gate
from bailiwick.testing.bench.programs import ProgramFailed

LONG = bool(os.environ.get("BAILIWICK_LONG"))
HERE = Base(platform.python_version(), platform.machine(), {"run": 1_000, "write": 100})


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "base.json"
    path.write_bytes(msgspec.json.encode(HERE))
    monkeypatch.setattr(instructions, "BASE", path)
    return path


def counting(**thousands: int) -> Callable[[str], int]:
    return lambda work: thousands[work] * 1_000


def test_work_that_costs_what_it_did_passes(kept: Path) -> None:
    before = kept.read_bytes()
    figures, shut = gate(keep=False, count=counting(run=1_050, write=99))
    assert shut == ""
    assert [(figure.name, figure.value, figure.met) for figure in figures] == [
        ("instructions.run", 1_050, True),
        ("instructions.write", 99, True),
    ]
    assert kept.read_bytes() == before, "only --keep changes the base"


@pytest.mark.parametrize(
    ("counted", "named"),
    [({"run": 1_051, "write": 100}, "instructions.run"), ({"run": 900, "write": 106}, "instructions.write")],
)
def test_work_that_got_dearer_shuts_the_gate(kept: Path, counted: dict[str, int], named: str) -> None:
    _, shut = gate(keep=False, count=counting(**counted))
    assert named in shut
    assert f"{GROWTH:.0%}" in shut


def test_another_interpreter_is_not_compared_and_says_what_to_do(kept: Path) -> None:
    other = msgspec.structs.replace(HERE, python="3.10.0")
    kept.write_bytes(msgspec.json.encode(other))
    _, shut = gate(keep=False, count=counting(run=1_000, write=100))
    assert "3.10.0" in shut
    assert "--keep" in shut
    assert gate(keep=True, count=counting(run=2_000, write=100))[1] == ""
    assert msgspec.json.decode(kept.read_bytes(), type=Base).thousands == {"run": 2_000, "write": 100}


def test_without_valgrind_it_says_so(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(kept.parent))
    with pytest.raises(ProgramFailed, match="valgrind is not installed"):
        gate(keep=False)


def test_the_same_work_costs_the_same_and_more_work_costs_more() -> None:
    few, again, more = (instructions.instructions(loop(times)) for times in (1_000, 1_000, 100_000))
    assert abs(few - again) < few / 100
    assert more > few + 99_000 * 10


def test_a_process_that_is_forked_off_is_not_taken_for_the_work() -> None:
    forks = "child = os.fork()\nif child == 0: os._exit(0)\nos.waitpid(child, 0)\n"
    few, more = (instructions.instructions(loop(times, first=forks)) for times in (1_000, 1_000_000))
    assert more > few + 999_000 * 10, "what comes after the fork counts"


def test_a_program_that_fails_is_not_counted() -> None:
    with pytest.raises(ProgramFailed, match="nothing was done"):
        instructions.instructions([sys.executable, "-S", "-c", "raise SystemExit('nothing was done')"])


def loop(times: int, first: str = "") -> list[str]:
    return [sys.executable, "-S", "-c", f"import os\n{first}for _ in range({times}): pass"]


def test_the_stored_base_names_every_work() -> None:
    assert msgspec.json.decode(BASE.read_bytes(), type=Base).thousands.keys() == WORKS.keys()


@pytest.mark.parametrize("work", WORKS)
def test_the_work_that_is_counted_ends_by_itself(work: str) -> None:
    words = [sys.executable, "-m", "bailiwick.testing.bench.instructions", work, str(WORKS[work].few)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("work", WORKS)
def test_no_work_got_dearer(work: str) -> None:
    """The long form counts; the short one holds the base that it is compared with."""
    base = msgspec.json.decode(BASE.read_bytes(), type=Base).thousands[work]
    assert base > 0
    if LONG:
        assert instructions.count_work(work) / 1_000 <= base * GROWTH
