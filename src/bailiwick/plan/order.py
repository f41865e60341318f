"""Which step comes before which: cycles, what lies behind them, and how many steps may run at once."""

from collections.abc import Mapping, Sequence

from bailiwick.plan.source import Step


class Order:
    """The order of all steps of a workflow, blocks included, as bit masks over their positions.

    Args:
        steps: All steps in document order, each block before its inside.
        parents: Step position -> position of the block around it, or -1.
        after: Step position -> positions of the siblings it waits for.
    """

    def __init__(
        self, steps: Sequence[Step], parents: Sequence[int], after: Mapping[int, Sequence[int]]
    ) -> None:
        self.steps = steps
        self.parents = parents
        self.after = after
        self.subtree = self._subtrees()
        self.cycles: list[tuple[int, ...]] = []
        self.stuck: list[int] = []
        self.before = [0] * len(steps)
        self._settle()

    def _subtrees(self) -> list[int]:
        masks = [1 << at for at in range(len(self.steps))]
        for at in range(len(self.steps) - 1, -1, -1):
            if self.parents[at] >= 0:
                masks[self.parents[at]] |= masks[at]
        return masks

    def _settle(self) -> None:
        """Compute what is surely over before each step begins; find cycles and what waits for them."""
        children: dict[int, list[int]] = {}
        for at, parent in enumerate(self.parents):
            children.setdefault(parent, []).append(at)
        for parent in range(-1, len(self.steps)):
            siblings = children.get(parent, [])
            outer = self.before[parent] if parent >= 0 else 0
            waiting = {at: len(self.after[at]) for at in siblings}
            ready = [at for at in siblings if not waiting[at]]
            for at in ready:
                self.before[at] = outer
                for earlier in self.after[at]:
                    self.before[at] |= self.subtree[earlier] | self.before[earlier]
                for later in siblings:
                    waits = self.after[later].count(at)
                    waiting[later] -= waits
                    if waits and not waiting[later]:
                        ready.append(later)
            self._note_stuck([at for at in siblings if waiting[at] > 0])

    def _note_stuck(self, left: list[int]) -> None:
        """Split what never becomes ready into cycles and steps behind them."""
        in_cycle: list[int] = []
        for start in left:
            if start in in_cycle:
                continue
            path = self._way_back(start, left)
            if path:
                self.cycles.append(path)
                in_cycle.extend(path)
        self.stuck.extend(at for at in left if at not in in_cycle)

    def _way_back(self, start: int, left: list[int]) -> tuple[int, ...]:
        """Find the shortest cycle through a step, or ()."""
        paths: list[tuple[int, ...]] = [(start,)]
        seen = [start]
        for path in paths:
            for earlier in self.after[path[-1]]:
                if earlier == start:
                    return path
                if earlier in left and earlier not in seen:
                    seen.append(earlier)
                    paths.append((*path, earlier))
        return ()

    def precedes(self, first: int, second: int) -> bool:
        """Say whether one step is surely over before another begins."""
        return bool(self.before[second] >> first & 1)

    def parallel_siblings(self) -> dict[int, list[int]]:
        """List, for each step, the siblings that may run at the same time; only steps that have any."""
        found: dict[int, list[int]] = {}
        for at, parent in enumerate(self.parents):
            for other in range(at + 1, len(self.steps)):
                ordered = self.precedes(at, other) or self.precedes(other, at)
                if self.parents[other] == parent and not ordered:
                    found.setdefault(at, []).append(other)
                    found.setdefault(other, []).append(at)
        return found

    def width(self) -> int:
        """Count how many steps (blocks not counted, only what is inside) may run at the same time.

        By Dilworth: the largest set of steps that do not wait for one another is as large as the fewest
        chains that cover all of them, and a maximum matching gives those.
        """
        leaves = [at for at, step in enumerate(self.steps) if not step.do]
        matched: dict[int, int] = {}
        return len(leaves) - sum(self._match(at, leaves, matched) for at in leaves)

    def _match(self, start: int, leaves: list[int], matched: dict[int, int]) -> bool:
        """Give one step a predecessor of its own, moving others aside along an augmenting path."""
        came_from: dict[int, int] = {}
        open_ends = [start]
        for at in open_ends:
            for earlier in leaves:
                if earlier in came_from or not self.precedes(earlier, at):
                    continue
                came_from[earlier] = at
                if earlier not in matched:
                    self._flip(earlier, came_from, matched)
                    return True
                open_ends.append(matched[earlier])
        return False

    @staticmethod
    def _flip(free: int, came_from: dict[int, int], matched: dict[int, int]) -> None:
        """Walk an augmenting path back: each step on it takes the predecessor it reached last."""
        owner = {later: earlier for earlier, later in matched.items()}
        taken: int | None = free
        while taken is not None:
            later = came_from[taken]
            released = owner.get(later)
            matched[taken] = later
            taken = released
