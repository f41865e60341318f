"""Simulated worlds keep every promise: under the faults that seeds draw, and under each single fault in one world."""

import os

import pytest

from bailiwick.testing.simulation import CAN, Fault, Result, Switches, simulate
from bailiwick.testing.simulation.report import total_of
from figures import tell

LONG = bool(os.environ.get("BAILIWICK_LONG"))
SEEDS = 400 if LONG else 60
RARE = ("store guard_failed: approval",)
"""Met once in a hundred seeds."""
SOME = 6
ONE_RUN = Switches(replicas=1, workers=2, runs=1)
WORLD = 6


def said(result: Result) -> list[str]:
    return [f"seed {result.seed} {each.promise}: {each.facts}" for each in result.violations]


def test_seeds_break_no_promise_and_meet_faults() -> None:
    results = [simulate(seed) for seed in range(1, SEEDS + 1)]
    assert [line for result in results for line in said(result)] == []
    total = total_of(results)
    assert [name for name in total.blind() if LONG or name not in RARE] == []
    tell(f"{SEEDS} seeds, {total.runs} runs, {total.decided_again} decisions taken again")
    assert total.runs > SEEDS
    assert total.decided_again > 10 * total.runs
    assert total.undone > SEEDS // 2


def test_without_faults_nothing_is_unknown_lost_or_done_twice() -> None:
    for seed in range(1, SEEDS // 4 + 1):
        result = simulate(seed, {})
        assert said(result) == []
        assert result.unknowns == 0
        assert "lost" not in result.calls
        assert result.claims <= 14 * result.runs


@pytest.mark.parametrize("fault", Fault)
def test_every_single_fault_of_one_run_is_survived(fault: Fault) -> None:
    """Strike one world at each point that the fault fits, one at a time (in the short form at some of them)."""
    calm = simulate(WORLD, {}, ONE_RUN)
    where = [at for at, kind in enumerate(calm.kinds, 1) if fault in CAN[kind]]
    struck = 0
    for at in where if LONG else where[: 2 * SOME : 2]:
        result = simulate(WORLD, {at: fault}, ONE_RUN)
        struck += result.struck == {at: fault}
        assert said(result) == [], f"{fault} at point {at}"
    tell(f"{fault} alone at {struck} points of a run")
    assert struck >= (SOME if LONG else 1)
