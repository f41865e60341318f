"""Every bench runs, at a tiny size, and says of each value what it is, what was aimed at, and whether it was met."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bailiwick.app import App, Context
from bailiwick.testing.bench import BENCHES, Figure, Scale, at_least, at_most, measure, plain, table
from bailiwick.testing.bench.system import RunSpoiled, client_of

TINY = Scale(
    warm_seconds=0.0,
    seconds=0.0,
    syncs=2,
    calls=1,
    in_flight=2,
    runs=1,
    short_steps=2,
    long_steps=4,
    starts=1,
    flood=3,
    floods=1,
    settle_seconds=0.0,
)


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_yields_figures_of_its_own_name(name: str, tmp_path: Path) -> None:
    figures = measure(name, TINY, tmp_path)
    assert figures
    for figure in figures:
        assert figure.name.startswith(f"{name}.")
        assert figure.value >= 0
        assert (figure.target is None) is (figure.met is None)
    assert any(figure.target is not None for figure in figures), "a bench without a target is only a number"
    assert not list(tmp_path.iterdir()), "a bench leaves nothing behind"


def test_a_target_is_met_up_to_its_limit_and_not_beyond() -> None:
    assert at_most("memory", 150, "MB", 150) == Figure("memory", 150, "MB", "<= 150", met=True)
    assert at_most("memory", 150.1, "MB", 150).met is False
    assert at_least("rate", 2000, "runs/s", 2000) == Figure("rate", 2000, "runs/s", ">= 2,000", met=True)
    assert at_least("rate", 1999.9, "runs/s", 2000).met is False


def test_the_table_shows_what_is_missed() -> None:
    shown = table(
        [at_most("memory", 200, "MB", 150), at_most("start", 0.25, "s", 0.5), plain("disk", 1.5, "ms")]
    )
    lines = [line.split() for line in shown.splitlines()]
    assert lines == [
        ["name", "value", "unit", "target", "met"],
        ["memory", "200", "MB", "<=", "150", "NO"],
        ["start", "0.25", "s", "<=", "0.5", "yes"],
        ["disk", "1.5", "ms"],
    ]


def test_the_command_writes_the_same_figures_as_json(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    argv = [
        sys.executable,
        "-m",
        "bailiwick.testing.bench",
        "help",
        "--json",
        str(out),
        "--disk",
        str(tmp_path),
    ]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    (figure,) = json.loads(out.read_text())
    assert set(figure) == {"name", "value", "unit", "target", "met"}
    assert figure["name"] == "help.wall"
    assert figure["name"] in shown


def test_an_unknown_bench_is_named_and_nothing_is_measured() -> None:
    argv = [sys.executable, "-m", "bailiwick.testing.bench", "w1-2"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "w1-2" in done.stderr
    assert "w1-64" in done.stderr
    assert not done.stdout


async def test_a_run_that_fails_spoils_the_bench(tmp_path: Path) -> None:
    app = App("bench")

    @app.code_agent("bench.wrong", output={"number": int})
    async def wrong(_ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        return {"number": "one"}

    app.workflow(
        "wrong",
        steps=[
            {"id": "only", "uses": "bench.wrong", "input": {}, "retry": {"on": ["transient"], "attempts": 1}}
        ],
    )
    async with client_of(tmp_path / "data", app) as client:
        with pytest.raises(RunSpoiled, match="failed"):
            await client.run("wrong")
