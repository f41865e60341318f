"""Planted bugs are found: each mutant by the seed that is known to find it, and none of them outlives its `with`."""

import pytest

from bailiwick.testing.mutants import MUTANTS, Mutant
from bailiwick.testing.simulation import simulate

WANTED = {
    "fence", "intent order", "key", "grant", "budget", "outbox", "artifact order", "reaper", "timer", "resume", "cancel",
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found_by_its_seed(mutant: Mutant) -> None:
    with mutant.plant():
        found = simulate(mutant.seed).violations
    assert found, f"seed {mutant.seed} no longer finds {mutant.name}; ./dev sim --mutants looks for another"
    assert simulate(mutant.seed).violations == []


def test_there_are_planted_bugs_of_every_kind() -> None:
    assert len(MUTANTS) >= 15
    assert {mutant.breaks for mutant in MUTANTS} >= WANTED
    assert all(mutant.seed <= mutant.budget for mutant in MUTANTS)
