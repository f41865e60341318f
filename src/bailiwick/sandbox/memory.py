"""The memory watch: what the processes of one job hold together, which no rlimit counts."""

import asyncio
import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_SECONDS = 0.1
_PROC = Path("/proc")


def resident_bytes(first: int) -> int:
    """Sum the resident memory of a process and all its descendants; shared pages count in each.

    In a pid namespace orphans fall to its first process, so from there nothing is missed.
    """
    total = 0
    waiting = [str(first)]
    while waiting:
        pid = waiting.pop()
        try:
            total += int((_PROC / pid / "statm").read_text().split()[1]) * _PAGE
            for thread in (_PROC / pid / "task").iterdir():
                waiting += (thread / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return total


async def outgrown(first: int, limit: int) -> None:
    """Return when a process and its descendants hold more than `limit` bytes; look ten times a second."""
    while resident_bytes(first) <= limit:  # noqa: ASYNC110 - nothing tells us, so we look
        await asyncio.sleep(_EVERY_SECONDS)
