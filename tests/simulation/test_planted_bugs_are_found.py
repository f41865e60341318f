"""Planted bugs are found: each mutant by the seed that is known to find it, and none of them outlives its `with`."""

import os

import pytest

from bailiwick.testing.mutants import MUTANTS, Mutant
from bailiwick.testing.simulation import simulate
from figures import tell

WANTED = {
    "fence", "intent order", "key", "grant", "budget", "outbox", "artifact order", "reaper", "timer", "resume", "cancel",
}  # fmt: skip


LOOKED_FOR = [mutant for mutant in MUTANTS if os.environ.get("BAILIWICK_LONG") or not mutant.slow]


@pytest.mark.parametrize("mutant", LOOKED_FOR, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found_within_its_budget(mutant: Mutant) -> None:
    """First by the seed that found it last; a change of the product shifts every world, so others follow."""
    with mutant.plant():
        seeds = (mutant.seed, *range(1, mutant.budget + 1))
        found = next((seed for seed in seeds if simulate(seed).violations), None)
    assert found is not None, f"{mutant.budget} seeds do not find {mutant.name}"
    tell(f"{mutant.name} is found by seed {found}, the budget is {mutant.budget}")
    assert simulate(found).violations == [], "the bug outlived its planting"


def test_there_are_planted_bugs_of_every_kind() -> None:
    assert len(MUTANTS) >= 15
    assert len(LOOKED_FOR) >= 15
    assert {mutant.breaks for mutant in LOOKED_FOR} >= WANTED
    assert all(mutant.seed <= mutant.budget for mutant in MUTANTS)
