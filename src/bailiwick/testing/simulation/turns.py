"""Turns: how many steps of other tenants were taken up while one of a tenant that was owed nothing else waited."""

from collections.abc import Iterator

from bailiwick.run import Event, Run, StepStatus

CROWD_TENANT = "tiny"
CROWD_RUNS = 16
MOST_BEFORE = 12
"""Steps of others that may be taken up while one waits: some are in hand already, crashed workers take theirs again."""


class Turns:
    """Follows the log; what waits is what is ready and was not taken up since."""

    def __init__(self) -> None:
        self._waits: dict[tuple[str, str], tuple[str, int]] = {}

    def see(self, before: Run | None, after: Run, event: Event) -> Iterator[str]:
        """See an event in its place among all; tell which steps have waited for too many of others."""
        for move in event.moves:
            old = before.steps.get(move.step) if before is not None else None
            if move.to is StepStatus.READY:
                self._waits[after.id, move.step] = (after.tenant, 0)
                continue
            self._waits.pop((after.id, move.step), None)
            if move.to is StepStatus.RUNNING and move.epoch > (old.epoch if old is not None else 0):
                yield from self._taken(after)

    def _taken(self, by: Run) -> Iterator[str]:
        for place, (tenant, count) in list(self._waits.items()):
            if tenant == by.tenant:
                continue
            self._waits[place] = (tenant, count + 1)
            if tenant == CROWD_TENANT and count + 1 > MOST_BEFORE:
                yield f"{place[0]} {place[1]} waits while others take up more than {MOST_BEFORE} steps"
