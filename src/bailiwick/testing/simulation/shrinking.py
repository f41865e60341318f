"""Shrinking: of the faults of a failing seed, those without which it does not fail."""

from bailiwick.testing.simulation.faults import Fault
from bailiwick.testing.simulation.seed import Result, simulate

MOST = 120
"""How many worlds are tried."""


def shrink(failing: Result) -> dict[int, Fault]:
    """Drop faults, many at once and then one by one, as long as the same promise is broken."""
    broken = {violation.promise for violation in failing.violations}
    plan = dict(failing.struck)
    tried = 0
    size = max(len(plan) // 2, 1)
    while size and tried < MOST:
        dropped = False
        for start in range(0, len(plan), size):
            names = sorted(plan)[start : start + size]
            fewer = {at: fault for at, fault in plan.items() if at not in names}
            tried += 1
            if names and broken & {each.promise for each in simulate(failing.seed, fewer).violations}:
                plan, dropped = fewer, True
                break
            if tried >= MOST:
                break
        if not dropped:
            size //= 2
    return plan
