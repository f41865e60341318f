"""Limits of the door: how much, how long and how many."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of the API. Bytes and seconds.

    A stream's client is slow when one send takes longer than `slow_seconds`: it is told where to resume and
    let go. One that does not read at all is cut off after `stall_seconds`.
    """

    body_bytes: int = 1_048_576
    body_seconds: float = 30.0
    ping_seconds: float = 15.0
    slow_seconds: float = 5.0
    stall_seconds: float = 20.0
    streams: int = 1024
