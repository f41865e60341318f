"""Floor 6: the loops that look after what nobody holds: reap, timers, sequence, relay."""

from bailiwick.keeper.loops import Duty, Pulse, keep

__all__ = ["Duty", "Pulse", "keep"]
