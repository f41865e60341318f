"""Growth: whether a step costs more, in time and in bytes, when its run is long."""

from pathlib import Path

from bailiwick.base import canonical
from bailiwick.testing.bench.chain import OUTPUT, chain_app, name_of
from bailiwick.testing.bench.figures import Figure, at_most, percentile, plain
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.system import client_of, on_the_fast_loop

_FLAT = 1.2
_STORED = ("ledger.db*", "blobs/**/*")


def growth(place: Place) -> list[Figure]:
    """Measure steps of short and of long runs, one run at a time."""
    scale = place.scale
    lengths = (scale.short_steps, scale.long_steps)
    counts = (scale.runs, max(scale.runs * scale.short_steps // scale.long_steps, 1))
    times: list[float] = []
    sizes: list[float] = []
    empty = on_the_fast_loop(_runs(place.folder / "empty", lengths, lengths[0], 0))[1]
    for length, count in zip(lengths, counts, strict=True):
        seconds, stored = on_the_fast_loop(_runs(place.folder / f"{length}", lengths, length, count))
        times.append(percentile(seconds, 0.5) * 1000 / length)
        sizes.append((stored - empty) / (length * count))
    limit = 2 * len(canonical({"output": OUTPUT})) + 1024
    short, long = (f"at-{length}-steps" for length in lengths)
    return [
        plain(f"growth.step-time-{short}", times[0], "ms"),
        plain(f"growth.step-time-{long}", times[1], "ms"),
        at_most("growth.step-time-ratio", times[1] / times[0], "", _FLAT),
        at_most(f"growth.step-bytes-{short}", sizes[0], "B", limit),
        at_most(f"growth.step-bytes-{long}", sizes[1], "B", limit),
        at_most("growth.step-bytes-ratio", sizes[1] / sizes[0], "", _FLAT),
        *place.disk("growth"),
    ]


async def _runs(folder: Path, lengths: tuple[int, int], length: int, count: int) -> tuple[list[float], int]:
    """Do so many runs in a new data directory; answer their seconds, and the bytes that are stored in the end."""
    async with client_of(folder, chain_app(*lengths)) as client:
        seconds = [await client.run(name_of(length)) for _ in range(count)]
        await client.system.platform.sequencing.catch_up()
    return seconds, _stored_bytes(folder)


def _stored_bytes(folder: Path) -> int:
    paths = [path for stored in _STORED for path in folder.glob(stored)]
    return sum(path.stat().st_size for path in paths if path.is_file())
