"""A disk that is full is refused clearly and used again by itself; after a failed write or sync nothing is said (P14)."""

import re
from pathlib import Path
from typing import Any

import pytest
from crash_kit import LONG, CrashServer
from crash_shop import RUNS

from figures import tell

FULL_FOR = 3
# What may come of it: refusals that a run ended with, and a write outside that this disk failed as well.
OF_THE_DISK = ("store_full", "store_broken", "the outcome of write is unknown")
STEP = 1 if LONG else 8


def failing(
    server: CrashServer, folder: Path, call: str, error: str, when: str, **more: Any
) -> dict[str, Any]:
    """Let one kind of call fail in a child's threads; tell which commits were asked for after it, and acknowledged.

    What was asked for before may have been synced before, while its answer was still on its way.
    """
    log = folder.with_suffix(".trace")
    options = ("-y", "-o", str(log), "-e", f"trace={call},sendto", "-s", "200")
    answer = server.work(folder, *options, "-e", f"inject={call}:error={error}:when={when}", **more)
    # SQLite takes no notice of a folder that cannot be synced; whoever opens it syncs it once more.
    lines = log.read_text().splitlines(keepends=True)
    trace = "".join(line for line in lines if f"<{folder}/system/data>" not in line)
    before, hit, after = trace.partition("(INJECTED)")
    late = set(_told("stream", after)) - set(_told("asked", before))
    return answer | {"hit": bool(hit), "late": late, "told": len(_told("stream", before))}


def _told(what: str, trace: str) -> list[tuple[str, ...]]:
    """Read what a child said out of its trace."""
    return re.findall(what + r'\\": \\"(run_\w+)\\", \\"version\\": (\d+)', trace)


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_after_a_failed_write_or_sync_nothing_is_acknowledged(
    server: CrashServer, tmp_path: Path, call: str
) -> None:
    counted = server.points(tmp_path / "counted")
    last = max(point.n for point in counted if point.call == call)
    hits = refused = told = 0
    for n in range(1, last + 1, STEP * (6 if call == "pwrite64" else 1)):
        folder = tmp_path / f"{call}-{n}"
        left = failing(server, folder, call, "EIO", str(n))
        hits += left["hit"]
        told += left["told"]
        refused += any(line.get("refused") == "store_broken" for line in left["said"])
        assert left["late"] == set(), n
        assert not any(line.get("after") for line in left["said"]), n
        assert server.checked(folder, left["said"])["faults"] == [], n
    tell(f"{call}: EIO at {hits} calls, {refused} surfaced as a refusal, {told} commits acknowledged before")
    assert refused >= 2
    assert told > 0


def test_a_full_disk_is_refused_and_used_again_by_itself(server: CrashServer, tmp_path: Path) -> None:
    hits = refused = 0
    for n in range(1, 120, 1 if LONG else 9):
        folder = tmp_path / f"full-{n}"
        server.work(folder)
        left = failing(server, folder, "pwrite64", "ENOSPC", f"{n}..{n + FULL_FOR}", first=RUNS)
        hits += left["hit"]
        said = left["said"]
        refused += any(line.get("refused") == "store_full" for line in said)
        log = (folder / "child.log").read_text()
        opening = not said and ("StoreFull:" in log or "StoreBroken:" in log)
        assert opening or said[-1:] == [{"done": True}], (n, said[-1:], log[-2000:])
        assert server.checked(folder, said)["faults"] == [], n
    tell(f"ENOSPC from {hits} calls on, {refused} told to the client, all resumed")
    assert hits >= 3
    assert refused >= 1


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_blob_that_cannot_be_stored_is_refused_and_nothing_names_it(
    server: CrashServer, tmp_path: Path, call: str, error: str
) -> None:
    for n in range(1, 40, 2 if LONG else 9):
        folder = tmp_path / f"{call}-{n}"
        left = failing(server, folder, call, error, f"{n}..{n + 1}")
        assert left["code"] in (0, 1), n
        faults = server.checked(folder, left["said"])["faults"]
        assert [fault for fault in faults if not any(word in fault for word in OF_THE_DISK)] == [], n


def test_a_data_directory_whose_names_cannot_be_made_durable_is_not_opened(
    server: CrashServer, tmp_path: Path
) -> None:
    refused = 0
    for n in range(12, 19):  # the keys are synced before, each with its folder
        folder = tmp_path / f"fsync-{n}"
        log = folder.with_suffix(".trace")
        left = server.work(
            folder, "-y", "-o", str(log), "-e", "trace=fsync", "-e", f"inject=fsync:error=EIO:when={n}"
        )
        if f"<{folder}/system/data>) = -1 EIO" in log.read_text():
            refused += 1
            assert (left["code"], left["said"]) == (1, []), n
    assert refused >= 1
