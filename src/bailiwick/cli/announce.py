"""Announced moments: with BAILIWICK_ANNOUNCE=1 the demo names the moments at which a kill is worth trying.

At each it prints `announce NAME` and holds the whole process for two seconds, once per process.
"""

import os
import sys
import time

from bailiwick.run import CallMoved, CallState, Event, Run

HOLD_SECONDS = 2.0
STREAMING = "model-streaming"
_MOMENTS = {
    CallState.HELD: "parked",
    CallState.GRANTED: "approved",
    CallState.INTENDED: "apply-intended",
    CallState.DONE: "apply-done",
}
MOMENTS = (STREAMING, *_MOMENTS.values())


class Announcer:
    """Watches commits and frames; silent unless the environment asks."""

    def __init__(self) -> None:
        self._on = os.environ.get("BAILIWICK_ANNOUNCE") == "1"
        self._said: list[str] = []

    def observe(self, before: Run | None, after: Run, events: tuple[Event, ...]) -> None:
        """See a committed change: what is announced here is on disk already."""
        for event in events:
            if isinstance(event, CallMoved) and event.call.capability.startswith("git.apply@"):
                moment = _MOMENTS.get(event.call.state)
                if moment is not None:
                    self.say(moment)

    def say(self, moment: str) -> None:
        """Announce a moment and hold still."""
        if not self._on or moment in self._said:
            return
        self._said.append(moment)
        sys.stdout.write(f"announce {moment}\n")
        sys.stdout.flush()
        time.sleep(HOLD_SECONDS)
