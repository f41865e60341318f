"""Floor 6: the loops that look after what nobody holds: reap, timers, sequence, relay."""

from bailiwick.keeper.duties import LONE, PERIODS, SHARED, duties_of, periods_for
from bailiwick.keeper.loops import Act, Duty, Pulse, keep

__all__ = ["LONE", "PERIODS", "SHARED", "Act", "Duty", "Pulse", "duties_of", "keep", "periods_for"]
