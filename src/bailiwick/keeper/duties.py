"""Duties: all that the keeper looks after, each named once; how often is an argument."""

from collections.abc import Mapping
from types import MappingProxyType

from bailiwick.keeper.loops import Act, Duty
from bailiwick.service import Platform

LONE: Mapping[str, float] = MappingProxyType({"stranded": 2.0})
"""What only a process that shares its store with no other can know."""

SHARED: Mapping[str, float] = MappingProxyType(
    {"halts": 0.2, "keys": 1.0, "neighbours": 0.5, "watchers": 2.0}
)
"""What must be looked at because others change the store too; most is heard at once, this is the net."""

PERIODS: Mapping[str, float] = MappingProxyType(
    {
        "clock": 2.0,
        "reap": 2.0,
        "time-out": 1.0,
        "deadlines": 1.0,
        "approvals": 2.0,
        "escalate": 2.0,
        "lifted": 5.0,
        "policies": 2.0,
        "re-decide": 2.0,
        "compare": 4.0,
        "relay": 0.2,
        "sequence": 0.5,
        "room": 2.0,
        "storage": 60.0,
        "scrutiny": 1.0,
        "erase": 30.0,
        "witness": 30.0,
    }
)
"""How often each duty of every process is done, in seconds."""


def periods_for(*, shared: bool) -> Mapping[str, float]:
    """Tell what a process looks after, and how often, in seconds; `shared`: other processes use its store too."""
    return {**PERIODS, **(SHARED if shared else LONE)}


def duties_of(platform: Platform, own: Mapping[str, Act], periods: Mapping[str, float]) -> tuple[Duty, ...]:
    """Make the duties that have a period.

    Args:
        platform: What most of them are done on.
        own: What the process itself looks after, by name: its clock, its disk, what it has read.
        periods: How often, in seconds, by name.

    Raises:
        KeyError: There is no such duty, or the process does not know how it is done.
    """
    acts = {**_of(platform), **own}
    return tuple(Duty(name, acts[name], seconds) for name, seconds in periods.items())


def _of(platform: Platform) -> dict[str, Act]:
    recovering, sequencing = platform.recovering, platform.sequencing
    return {
        "reap": recovering.reap,
        "time-out": recovering.time_out,
        "deadlines": recovering.pass_deadlines,
        "approvals": recovering.expire_approvals,
        "escalate": recovering.escalate_approvals,
        "stranded": recovering.take_up_stranded,
        "lifted": platform.lifting.catch_up,
        "policies": platform.activating.follow,
        "re-decide": platform.redeciding.redecide,
        "compare": platform.comparing.compare,
        "relay": sequencing.place,
        "sequence": sequencing.integrate,
        "scrutiny": sequencing.scrutiny.look,
        "storage": platform.storage.count,
        "erase": platform.erasing.sweep,
        "witness": platform.witnessing.show,
        "halts": platform.halts.refresh,
        "neighbours": platform.sessions.catch_up,
    }
