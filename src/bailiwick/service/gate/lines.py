"""Queues of lines: within a line one call that changes the workspace is on its way at a time; others wait their turn."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from bailiwick.contract import Contract, WorkspaceUse
from bailiwick.run import CallState, Run, Step, line_of, tree_of


class Place:
    """A proposal's place in its line's queue; `called` is set when it should look whether its turn has come."""

    def __init__(self, run: str, step: str) -> None:
        self.run = run
        self.step = step
        self.line = ""
        self.called = asyncio.Event()


class Lines:
    """The queues of all lines, in memory: who waits in one asks again after a restart."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], list[Place]] = {}
        self._doubted: dict[tuple[str, str], set[str]] = {}

    @contextmanager
    def place(self, run: str, step: str) -> Iterator[Place]:
        """Keep a place for one proposal; the next in the queue is called when it is given up."""
        place = Place(run, step)
        try:
            yield place
        finally:
            queue = self._queues.get((run, place.line), [])
            if place in queue:
                queue.remove(place)
                self._call_next(run, place.line)

    def must_wait(self, place: Place, run: Run, step: Step, key: str, free: dict[str, str]) -> bool:
        """Whether a call that changes the workspace must wait; it has its place in the queue from then on.

        Args:
            place: The proposal's.
            run: The state.
            step: The step that asks.
            key: The call's; what was dispatched under it before is no other call.
            free: The calls on their way that stand in no journal, with their steps.
        """
        place.line = line_of(run, step)
        queue = self._queues.setdefault((run.id, place.line), [])
        if place not in queue:
            queue.append(place)
        place.called.clear()
        return queue[0] is not place or self._busy(run, place.line, key, free)

    def _busy(self, run: Run, line: str, key: str, free: dict[str, str]) -> bool:
        for other in run.tally.open_calls:
            call = run.calls[other]
            step = run.steps[call.step]
            going = call.state is CallState.INTENDED and call.base is not None and call.epoch == step.epoch
            if going and other != key and line_of(run, step) == line and not self._doubts(run, step, other):
                return True
        return any(
            other != key
            and line_of(run, run.steps[name]) == line
            and not self._doubts(run, run.steps[name], other)
            for other, name in free.items()
        )

    def _doubts(self, run: Run, step: Step, key: str) -> bool:
        return key in self._doubted.get((run.id, step.name), ())

    def doubt(self, run: str, step: str, key: str) -> None:
        """A call is lost or its report could not be recorded: nobody waits for it, and its base decides if it comes."""
        self._doubted.setdefault((run, step), set()).add(key)
        self.freed(run)

    def sent(self, run: str, step: str, key: str) -> None:
        """A call is dispatched, perhaps once more: others wait for it."""
        self._doubted.get((run, step), set()).discard(key)

    def freed(self, run: str) -> None:
        """A call of the run is over: whoever is first in a queue looks again."""
        for name, line in [*self._queues]:
            if name == run:
                self._call_next(run, line)

    def left(self, run: str, step: str) -> None:
        """A step has left its worker's hands: its proposals must hear it, and nothing of it is on its way."""
        self._doubted.pop((run, step), None)
        self.stir(run, step)
        self.freed(run)

    def stir(self, run: str, step: str = "") -> None:
        """Let all that wait in a run, or those of a step, look again: it is ending."""
        for (name, _), queue in self._queues.items():
            for place in queue if name == run else ():
                if step in ("", place.step):
                    place.called.set()

    def _call_next(self, run: str, line: str) -> None:
        queue = self._queues.get((run, line))
        if queue:
            queue[0].called.set()
        else:
            self._queues.pop((run, line), None)


def base_of(run: Run, step: Step, contract: Contract) -> str | None:
    """Name the tree that a call on a step's line changes; None for a call that changes no workspace."""
    return tree_of(run, step) if contract.workspace is WorkspaceUse.WRITES else None
