"""Stories: what the events of a run say of who held which step when, and how work got into other hands."""

import time
from typing import Any

from fleet_kit import Fleet, wait_for


class Story:
    """What the events of a run say: who held which step when, and what was taken from whom."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.holder = ""
        self.held: dict[tuple[str, int], str] = {}
        self.stale: list[str] = []
        self.releases = 0
        self.backwards: list[str] = []
        self._at = ""
        for event in events:
            self._read(event)
        self.status = events[-1].get("status", "")

    def _read(self, event: dict[str, Any]) -> None:
        taken = [move for move in event.get("moves", []) if move.get("to") == "running" and "epoch" in move]
        actor = event["actor"]
        if event["at"] < self._at:
            self.backwards.append(f"{event['id']} at {event['at']}, after {self._at}")
        self._at = event["at"]
        self.releases += actor == "timer:reaper"
        if actor.startswith("worker:") and not taken and actor != f"worker:{self.holder}":
            self.stale.append(f"{event['id']} by {actor}, held by {self.holder}")
        for move in taken:
            known = [epoch for step, epoch in self.held if step == move["step"]]
            if known and move["epoch"] <= max(known):
                self.stale.append(f"{event['id']} takes {move['step']} under epoch {move['epoch']} again")
            self.held[move["step"], move["epoch"]] = event["at"]
            self.holder = move["session"]


def taken_over(fleet: Fleet, tasks: list[tuple[str, int]], since: float) -> float:
    """Wait until none of these tasks is held under its old epoch; answer how long that took."""
    named = ", ".join(f"('{task}', {epoch})" for task, epoch in tasks)
    left = f"SELECT id FROM tasks WHERE (id, epoch) IN ({named}) AND state IN ('leased', 'queued')"
    wait_for(lambda: not fleet.sql(left), "work to be taken over")
    return time.time() - since
