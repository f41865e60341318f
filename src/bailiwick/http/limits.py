"""Limits of the door: how much, how long and how many."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of the API. Bytes and seconds.

    A stream's client is slow when one send takes longer than `slow_seconds`: it is told where to resume and
    let go. One that does not read at all is let go after `stall_seconds`: what lies ready for it ends with the same
    hint, and is thrown away after `linger_seconds` more. A head (request line and headers, or whatever surrounds a
    chunked body) has `head_bytes` and `head_seconds`; `connections` counts all that are open. `store_seconds` is how
    long a request waits for a database that does not answer; `send_bytes` what
    the kernel may keep for one client.
    """

    body_bytes: int = 1_048_576
    body_seconds: float = 30.0
    ping_seconds: float = 15.0
    slow_seconds: float = 5.0
    stall_seconds: float = 20.0
    streams: int = 1024
    head_bytes: int = 65_536
    head_seconds: float = 10.0
    linger_seconds: float = 30.0
    connections: int = 4096
    send_bytes: int = 131_072
    store_seconds: float = 5.0
