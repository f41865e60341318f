"""Mutants of the kernel: mutmut breaks the run machine in a copy of the tree, and the kernel's tests must notice."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bailiwick.testing.mutation.equivalents import EQUIVALENT_IN_THE_KERNEL
from bailiwick.testing.mutation.quickest import MEASURED

MUTMUT: Final = """

[tool.mutmut]
source_paths = ["src/bailiwick"]
only_mutate = {files}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "quickest", "-x", "-q", "-k", "{chosen}"]
also_copy = ["tests", "docs", "pyproject.toml"]
timeout_constant = 5.0
timeout_multiplier = 5.0
"""
"""A mutant may take five times what its tests took, and 25 seconds more: only one that does not end takes longer."""
ROOMS: Final = ("base", "contract", "plan", "policy", "budget", "audit", "run")
"""The kernel's rooms; the tests of each are in the folder of its name."""
_BESIDES: Final = {"run": ("tests/docs/test_docs_states_are_the_machine.py",)}
_WITHOUT: Final = ("every_hash_seed", "makes_a_set")
"""Tests that start other interpreters, and tests of the source's text: both say nothing of what a mutant does."""
_COPIED: Final = ("src", "tests", "examples", "docs")
_BESIDE: Final = "beside"
_KILLED: Final = (
    "killed",
    "timeout",
    "segfault",
    "caught by type check",
    "check was interrupted by user",  # pytest stops so when a module cannot be imported
)
_ALIVE: Final = ("survived", "no tests")


class Score(msgspec.Struct, frozen=True):
    """How many of how many mutants were killed; those that were not, with what they changed; and those nobody could judge.

    Equivalent mutants count as neither; they are told with their reasons. A mutant whose tests did not end is killed.
    """

    judged: int
    killed: int
    alive: dict[str, str]
    equivalent: dict[str, str]
    unjudged: tuple[str, ...]


def score_kernel(files: Sequence[str], choose: Callable[[list[str]], Sequence[str]]) -> Score:
    """Judge mutants of some files by the tests of their rooms, two at a time.

    Args:
        files: Modules of the kernel's rooms, relative to the root of the tree, which is the working directory.
        choose: Takes the names of all mutants, sorted, and answers those to judge.

    Raises:
        RuntimeError: A test fails without any mutant, or none of these names is a mutant's.
    """
    rooms = sorted({Path(file).parts[2] for file in files})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in _COPIED:
            if Path(name).exists():
                shutil.copytree(name, folder / name, symlinks=True)
        tests = [test for room in rooms for test in (f"tests/{room}", *_BESIDES.get(room, ()))]
        configuration = Path("pyproject.toml").read_text("utf-8") + MUTMUT.format(
            files=json.dumps(list(files)),
            tests=json.dumps(tests),
            chosen=" and ".join(f"not {word}" for word in _WITHOUT),
        )
        (folder / "pyproject.toml").write_text(configuration, "utf-8")
        (folder / _BESIDE).mkdir()
        shutil.copy(Path(__file__).with_name("quickest.py"), folder / _BESIDE)
        begun = _mutmut(folder, "run", "no-such-mutant")  # makes mutants and measures, then has none to judge
        if not (folder / "mutants" / MEASURED).exists():
            raise _stopped(begun)
        done = _mutmut(folder, "run", "--max-children", "2", *choose(sorted(_outcomes(folder))))
        if done.returncode:
            raise _stopped(done)
        return _score(_outcomes(folder), lambda name: _change(folder, name))


def _score(outcomes: Mapping[str, str], change: Callable[[str], str]) -> Score:
    """Count what mutmut said of each mutant; those it did not check are in no count."""
    checked = {name: outcome for name, outcome in outcomes.items() if outcome != "not checked"}
    living = {name: change(name) for name in sorted(checked) if checked[name] in _ALIVE}
    reasons = {name: _reason(name, changed) for name, changed in living.items()}
    killed = sum(outcome in _KILLED for outcome in checked.values())
    return Score(
        judged=killed + sum(not reason for reason in reasons.values()),
        killed=killed,
        alive={name: changed for name, changed in living.items() if not reasons[name]},
        equivalent={name: reason for name, reason in reasons.items() if reason},
        unjudged=tuple(sorted(name for name in checked if checked[name] not in _KILLED + _ALIVE)),
    )


def _reason(name: str, change: str) -> str:
    """Say why no test can notice a mutant; empty when that is not known."""
    put = " ".join(line[1:].strip() for line in change.splitlines() if line.startswith("+"))
    return EQUIVALENT_IN_THE_KERNEL.get((name.rpartition("__mutmut_")[0], put), "")


def _stopped(done: subprocess.CompletedProcess[str]) -> RuntimeError:
    return RuntimeError(f"mutmut stopped:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def _change(folder: Path, name: str) -> str:
    """Say which lines a mutant took away and which it put there."""
    lines = _mutmut(folder, "show", name).stdout.splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---", ""})


def _mutmut(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    # Where this process found its code is no place for the copy's tests, nor for what they start, to look.
    broken = folder / "mutants" / "src"
    broken.mkdir(
        parents=True, exist_ok=True
    )  # an interpreter forgets a path that is not there when it starts
    ours = {**os.environ, "PYTHONPATH": os.pathsep.join((str(broken), str(folder / _BESIDE)))}
    return subprocess.run(command, cwd=folder, env=ours, capture_output=True, check=False, text=True)


def _outcomes(folder: Path) -> dict[str, str]:
    lines = (line.strip() for line in _mutmut(folder, "results", "--all", "true").stdout.splitlines())
    pairs = [line.rpartition(": ") for line in lines if ": " in line]
    return {name: outcome for name, _, outcome in pairs}
