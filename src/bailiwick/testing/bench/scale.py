"""Scale: how long and how large the benches are; tests run the same code at a tiny one."""

import msgspec


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How much each bench does.

    Attributes:
        warm_seconds: Load before the clock starts.
        seconds: Load while it runs.
        syncs: fdatasync calls of the disk's probe.
        calls: Governed tool calls of each class.
        in_flight: Runs that are killed on their way.
        runs: Short runs of the growth bench; there is a tenth as many long ones.
        short_steps: Steps of a short run.
        long_steps: Steps of a long run.
        starts: Starts of a process whose median is reported.
        flood: Runs of another tenant, behind which one of a tenant of its own is timed.
        floods: How often.
        settle_seconds: What an idle server is given before its memory is read.
    """

    warm_seconds: float = 1.0
    seconds: float = 5.0
    syncs: int = 200
    calls: int = 400
    in_flight: int = 50
    runs: int = 30
    short_steps: int = 20
    long_steps: int = 200
    starts: int = 5
    flood: int = 160
    floods: int = 5
    settle_seconds: float = 3.0


FULL = Scale()
