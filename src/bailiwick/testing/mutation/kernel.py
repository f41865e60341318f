"""Mutants of the kernel: mutmut breaks the run machine in a copy of the tree, and the kernel's tests must notice."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bailiwick.testing.mutation.equivalents import EQUIVALENT_IN_THE_KERNEL

MUTMUT: Final = """

[tool.mutmut]
source_paths = ["src/bailiwick"]
only_mutate = {files}
pytest_add_cli_args_test_selection = ["tests/run"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-x", "-q", "-k", "not every_hash_seed"]
also_copy = ["tests", "pyproject.toml"]
"""
_COPIED: Final = ("src", "tests", "examples")


_KILLED: Final = (
    "killed",
    "timeout",
    "segfault",
    "caught by type check",
    "check was interrupted by user",  # pytest stops so when a module cannot be imported
)
_ALIVE: Final = ("survived", "no tests")


class Score(msgspec.Struct, frozen=True):
    """How many of how many mutants were killed, the names of those that were not, and of those nobody could judge.

    Equivalent mutants count as neither; they are told with their reasons.
    """

    judged: int
    killed: int
    alive: tuple[str, ...]
    equivalent: dict[str, str]
    unjudged: tuple[str, ...]


def score_kernel(files: Sequence[str], sample: int, seed: int) -> Score:
    """Judge a sample of the mutants of some files (relative to the tree's root), two at a time; 0 judges all."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in _COPIED:
            shutil.copytree(name, folder / name, symlinks=True)
        configuration = Path("pyproject.toml").read_text("utf-8") + MUTMUT.format(
            files=json.dumps(list(files))
        )
        (folder / "pyproject.toml").write_text(configuration, "utf-8")
        if sample:
            _mutmut(folder, "run", "no-such-mutant")  # generates, and finds nothing to run
            names = sorted(_outcomes(folder))
            chosen = random.Random(seed).sample(names, min(sample, len(names)))  # noqa: S311
        else:
            chosen = []
        _mutmut(folder, "run", "--max-children", "2", *chosen)
        outcomes = _outcomes(folder)
    return score_of(outcomes)


def score_of(outcomes: Mapping[str, str]) -> Score:
    """Count what mutmut said of each mutant; those it did not check are in no count."""
    checked = {name: outcome for name, outcome in outcomes.items() if outcome != "not checked"}
    living = sorted(name for name, outcome in checked.items() if outcome in _ALIVE)
    alive = tuple(name for name in living if name not in EQUIVALENT_IN_THE_KERNEL)
    killed = sum(outcome in _KILLED for outcome in checked.values())
    return Score(
        judged=killed + len(alive),
        killed=killed,
        alive=alive,
        equivalent={
            name: EQUIVALENT_IN_THE_KERNEL[name] for name in living if name in EQUIVALENT_IN_THE_KERNEL
        },
        unjudged=tuple(sorted(name for name in checked if checked[name] not in _KILLED + _ALIVE)),
    )


def _mutmut(folder: Path, *words: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    ours = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }  # it would win over the copy
    done = subprocess.run(command, cwd=folder, env=ours, capture_output=True, check=False, text=True)
    return done.stdout


def _outcomes(folder: Path) -> dict[str, str]:
    lines = (line.strip() for line in _mutmut(folder, "results", "--all", "true").splitlines())
    pairs = [line.rpartition(": ") for line in lines if ": " in line]
    return {name: outcome for name, _, outcome in pairs}
