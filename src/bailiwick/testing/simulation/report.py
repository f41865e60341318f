"""The report of many seeds: how much was simulated, what went wrong on purpose, what was refused, what was broken."""

from collections import Counter
from collections.abc import Sequence

from bailiwick.ports import ApprovalState
from bailiwick.testing.simulation.faults import Fault
from bailiwick.testing.simulation.seed import Result

GUARDS = (
    "store stale_version",
    "store guard_failed: approval",
    "port lease_lost",
    "port session_lost",
    "port store_busy",
    "port store_broken",
    "port store_full",
    "people already_decided",
    "people illegal_transition",
    "people budget_exhausted",
)
"""Refusals that a large run must have met; one that was never needed was never tested."""


_REQUESTS = (ApprovalState.CONSUMED, ApprovalState.REJECTED, ApprovalState.EXPIRED, ApprovalState.WITHDRAWN)


class Total:
    """The sum over seeds."""

    def __init__(self) -> None:
        self.seeds = 0
        self.points = 0
        self.longest = 0
        self.virtual_seconds = 0.0
        self.cpu_seconds = 0.0
        self.runs = 0
        self.claims = 0
        self.unknowns = 0
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.decided_again = 0
        self.judged_again = 0
        self.undone = 0
        self.halts = 0
        self.activations = 0
        self.joins = 0
        self.conflicts = 0
        self.approvals: Counter[str] = Counter()
        self.failing: list[Result] = []

    def add(self, result: Result) -> None:
        """Add a seed."""
        self.seeds += 1
        self.points += result.points
        self.longest = max(self.longest, result.points)
        self.virtual_seconds += result.virtual_seconds
        self.cpu_seconds += result.cpu_seconds
        self.runs += result.runs
        self.claims += result.claims
        self.unknowns += result.unknowns
        self.counts.update(result.counts)
        self.refusals.update(result.refusals)
        self.statuses.update(result.statuses)
        self.calls.update(result.calls)
        self.decided_again += result.decided_again
        self.judged_again += result.judged_again
        self.undone += result.undone
        self.halts += result.halts
        self.activations += result.activations
        self.joins += result.joins
        self.conflicts += result.conflicts
        self.approvals.update(result.approvals)
        if result.violations:
            self.failing.append(result)

    @property
    def violations(self) -> int:
        """Count what was broken."""
        return sum(len(result.violations) for result in self.failing)

    def blind(self) -> list[str]:
        """Name the guards that never refused anything, and the faults that never struck."""
        missing = [guard for guard in GUARDS if not self.refusals[guard]]
        missing += [fault for fault in Fault if not self.counts[fault]]
        acts = {
            "a rollback": self.undone,
            "a halt": self.halts,
            "other policies": self.activations,
            "a join of workspaces": self.joins,
            "a conflict": self.conflicts,
        }
        missing += [name for name, count in acts.items() if not count]
        return missing + [f"a request {state}" for state in _REQUESTS if not self.approvals[state]]

    def lines(self) -> list[str]:
        """Write the report."""
        faults = ", ".join(f"{fault} {self.counts[fault]}" for fault in Fault)
        refused = ", ".join(f"{name} {count}" for name, count in sorted(self.refusals.items()))
        per_seed = self.cpu_seconds / max(self.seeds, 1)
        return [
            f"seeds              {self.seeds} ({per_seed:.2f} core-seconds each)",
            f"virtual hours      {self.virtual_seconds / 3600:.1f}",
            f"scheduling points  {self.points} (at most {self.longest} in a seed)",
            f"runs               {self.runs} ({_listed(self.statuses)})",
            f"actions            {sum(self.calls.values())} ({_listed(self.calls)})",
            f"claims             {self.claims}, outcomes unknown on the way {self.unknowns}",
            f"requests           {sum(self.approvals.values())} ({_listed(self.approvals)})",
            f"people             undone {self.undone}, halts {self.halts}, policy changes {self.activations}",
            f"workspaces         joined {self.joins}, in conflict {self.conflicts}",
            f"again              {self.decided_again} decisions, {self.judged_again} verdicts",
            f"faults             {sum(self.counts.values())}: {faults}",
            f"refusals           {refused}",
            f"never met          {', '.join(self.blind()) or 'nothing'}",
            f"violations         {self.violations} in {len(self.failing)} seeds",
        ]


def failure_lines(result: Result) -> list[str]:
    """Say what a seed broke, and how to see it again."""
    lines = [f"seed {result.seed} (Python {result.python}, digest {result.digest}):"]
    lines += [f"  {each.at:8.1f} s  {each.promise}: {each.facts}" for each in result.violations[:5]]
    return [*lines, f"  again: ./dev sim --seed {result.seed}"]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def total_of(results: Sequence[Result]) -> Total:
    """Sum up."""
    total = Total()
    for result in results:
        total.add(result)
    return total
