"""A fuzzer that sees which branches its texts reach (atheris, libFuzzer) makes no parser raise anything but its refusal."""

import os
import re
import subprocess
import sys
from pathlib import Path

from parsers_kit import PARSERS

from figures import tell

RUNS = 300_000 if os.environ.get("BAILIWICK_LONG") else 3_000
CHILD = Path(__file__).parent / "fuzz_child.py"


def test_a_fuzzer_finds_nothing_but_refusals(tmp_path: Path) -> None:
    limits = ["-seed=1", f"-runs={RUNS}", "-max_len=2048", "-len_control=0", "-timeout=10"]
    command = [sys.executable, str(CHILD), str(tmp_path), *limits]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    reached = [int(count) for count in re.findall(r"DONE\s+cov: (\d+)", ended.stderr)]
    tell(f"{RUNS} texts for each of {len(reached)} parsers, {sum(reached)} branches reached")
    assert len(reached) == len(PARSERS), ended.stderr[-4_000:]
    assert min(reached) > 3, ended.stderr[-4_000:]
