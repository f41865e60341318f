"""A disk that is full is refused clearly and used again by itself; after a failed write or sync nothing is said (P14)."""

from pathlib import Path
from typing import Any

import pytest
from crash_kit import LONG, CrashServer, tell
from crash_shop import RUNS

FULL_FOR = 3
STEP = 1 if LONG else 8


def failing(
    server: CrashServer, folder: Path, call: str, error: str, when: str, **more: Any
) -> dict[str, Any]:
    """Let one kind of call fail in a child's threads; what was said after the first failure is told apart."""
    log = folder.with_suffix(".trace")
    options = ("-o", str(log), "-e", f"trace={call},sendto", "-s", "200")
    answer = server.work(folder, *options, "-e", f"inject={call}:error={error}:when={when}", **more)
    _, hit, after = log.read_text().partition("(INJECTED)")
    return answer | {"hit": bool(hit), "said_after": after.count('stream\\"')}


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_after_a_failed_write_or_sync_nothing_is_acknowledged(
    server: CrashServer, tmp_path: Path, call: str
) -> None:
    counted = server.points(tmp_path / "counted")
    last = max(point.n for point in counted if point.call == call)
    hits = refused = 0
    for n in range(1, last + 1, STEP * (6 if call == "pwrite64" else 1)):
        folder = tmp_path / f"{call}-{n}"
        left = failing(server, folder, call, "EIO", str(n))
        hits += left["hit"]
        refused += any(line.get("refused") == "store_broken" for line in left["said"])
        assert left["said_after"] == 0, n
        assert not any(line.get("after") for line in left["said"]), n
        assert server.checked(folder, left["said"])["faults"] == [], n
    tell(f"{call}: EIO at {hits} calls, {refused} surfaced as a refusal")
    assert refused >= 2


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
        assert [
            fault for fault in faults if "store_full" not in fault and "store_broken" not in fault
        ] == [], n
