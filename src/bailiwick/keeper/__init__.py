"""Floor 6: the loops that look after what nobody holds: reap, timers, sequence, relay."""

from bailiwick.keeper.loops import Duty, keep

__all__ = ["Duty", "keep"]
