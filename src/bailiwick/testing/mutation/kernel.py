"""Mutants of the kernel: mutmut breaks the run machine in a copy of the tree, and the kernel's tests must notice."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

MUTMUT: Final = """

[tool.mutmut]
source_paths = ["src/bailiwick"]
only_mutate = {files}
pytest_add_cli_args_test_selection = ["tests/run"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-x", "-q"]
also_copy = ["tests", "pyproject.toml"]
"""
_COPIED: Final = ("src", "tests", "examples")


class Score(msgspec.Struct, frozen=True):
    """How many of how many mutants were killed, and the names of those that were not."""

    judged: int
    killed: int
    alive: tuple[str, ...]


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
    judged = {name: outcome for name, outcome in outcomes.items() if outcome != "not checked"}
    counted = Counter(judged.values())
    alive = sorted(name for name, outcome in judged.items() if outcome in ("survived", "no tests"))
    return Score(len(judged), counted.total() - len(alive), tuple(alive))


def _mutmut(folder: Path, *words: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True).stdout


def _outcomes(folder: Path) -> dict[str, str]:
    lines = (line.strip() for line in _mutmut(folder, "results", "--all", "true").splitlines())
    pairs = [line.rpartition(": ") for line in lines if ": " in line]
    return {name: outcome for name, _, outcome in pairs}
