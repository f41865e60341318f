"""A bench's place: the folder on the measured disk that is its own, the scale, and the disk's speed right now."""

from pathlib import Path

from bailiwick.testing.bench.disk import sync_ms
from bailiwick.testing.bench.figures import Figure, plain
from bailiwick.testing.bench.scale import Scale

FAST_DISK_MS = 0.5


class Place:
    """Where a bench works; `sync_ms` was probed just before it began, since disks change their mood."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.scale = scale
        self.sync_ms = sync_ms(folder, scale.syncs)

    @property
    def is_fast(self) -> bool:
        """Whether the disk counts as a fast one."""
        return self.sync_ms <= FAST_DISK_MS

    def disk(self, bench: str) -> list[Figure]:
        """Report the disk beside what was measured on it."""
        return [
            plain(f"{bench}.disk-sync-p50", self.sync_ms, "ms"),
            plain(f"{bench}.disk-syncs", 1000 / self.sync_ms, "1/s"),
        ]
