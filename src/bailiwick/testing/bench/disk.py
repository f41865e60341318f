"""The disk's own speed: how long an fdatasync of a small append takes, in the folder that is measured."""

import os
import time
from pathlib import Path

from bailiwick.testing.bench.figures import percentile

_PAGE = b"\x5a" * 8192


def sync_ms(folder: Path, count: int) -> float:
    """Measure the median of `count` (at least 1) fdatasync calls, each after an append of 8 KB, in milliseconds."""
    path = folder / "sync-probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return percentile([_sync(descriptor) for _ in range(count)], 0.5)
    finally:
        os.close(descriptor)
        path.unlink()


def _sync(descriptor: int) -> float:
    os.write(descriptor, _PAGE)
    begun = time.perf_counter()
    os.fdatasync(descriptor)
    return (time.perf_counter() - begun) * 1000
