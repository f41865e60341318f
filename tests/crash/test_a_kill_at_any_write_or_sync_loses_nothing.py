"""Killed before or after any write, sync or rename, the program loses nothing that it said, and goes on (P1, P6, P7)."""

from pathlib import Path
from typing import Any

from crash_kit import LONG, CrashServer, Point, spread

from figures import tell

EACH = 4


def test_a_kill_before_or_after_any_write_or_sync_loses_nothing(server: CrashServer, tmp_path: Path) -> None:
    points = server.points(tmp_path / "counted")
    assert {"pwrite64", "fdatasync", "fsync", "write"} <= {point.call for point in points}
    assert len(points) >= 700, "the workload got smaller: fewer points than there were"
    chosen = spread(points, EACH)
    kills = twice = acknowledged = unknown = 0
    faults: list[str] = []
    for number, point in enumerate(chosen):
        folder = tmp_path / f"{point.call}-{point.n}-{'after' if point.after else 'before'}"
        left = server.killed(folder, point)
        said = left["said"]
        kills += left["killed"]
        if LONG or number % 4 == 0:
            again = server.killed(folder, point)
            said += again["said"]
            kills += again["killed"]
            twice += again["killed"]
        found = server.checked(folder, said)
        acknowledged += _commits(said)
        unknown += found["unknown"]
        faults += [f"{point}: {fault}" for fault in found["faults"]]
    tell(
        f"{len(points)} points, {len(chosen)} tried, {kills} kills ({twice} of them in the recovery), "
        f"{acknowledged} acknowledged commits, {unknown} outcomes unknown, {len(faults)} faults"
    )
    assert faults == []
    assert kills >= (1_000 if LONG else len(chosen) * 2 // 3)
    assert acknowledged > kills
    assert unknown > 0, "no kill came between an intent and its outcome"


def _commits(said: list[dict[str, Any]]) -> int:
    return sum("stream" in line for line in said)


def test_a_lost_commit_would_be_found(server: CrashServer, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    said = server.killed(folder, Point("fdatasync", 20, after=True))["said"]
    run = next(line["stream"] for line in said if "stream" in line)
    found = server.checked(folder, [*said, {"stream": run, "version": 99}])
    assert any("lost" in fault for fault in found["faults"])
