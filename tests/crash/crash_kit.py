"""The harness of crash tests: forks processes to be killed by a server, traces them, counts points."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

CHILD = Path(__file__).with_name("crash_child.py")
LONG = bool(os.environ.get("BAILIWICK_LONG"))
CALLS = (
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
)
"""All calls by which files, folders and their names change or become durable."""

_HELD_MICROSECONDS = 300_000
"""How long a call that has returned is held by the tracer, so that its process dies before it can go on."""

_OPTIONAL = ",".join(f"?{name}" for name in CALLS)
_LINE = re.compile(r"^(\d+) +(\w+)\(")


class Point(NamedTuple):
    """One moment of a process: before or after the nth such call of one of its threads."""

    call: str
    n: int
    after: bool


class CrashServer:
    """Forks children; see `crash_child.py`."""

    def __init__(self) -> None:
        if shutil.which("strace") is None:
            raise RuntimeError("strace is missing: ./dev test installs it")
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server of crashes ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request, default=str) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def work(self, folder: Path, *strace: str, **more: Any) -> dict[str, Any]:
        """Let a child do its work under strace, to its end or to its death."""
        folder.mkdir(exist_ok=True)
        return self.ask(do="work", folder=folder, strace=list(strace), **more)

    def killed(self, folder: Path, point: Point) -> dict[str, Any]:
        """Let a child work until it is killed at a point, if it gets there."""
        log = folder.with_suffix(".trace")
        how = f"delay_exit={_HELD_MICROSECONDS}" if point.after else "signal=KILL"
        options = ("-o", str(log), "-e", f"trace={point.call}", "-s", "0")
        inject = ("-e", f"inject={point.call}:{how}:when={point.n}")
        return self.work(folder, *options, *inject, **({"kill_after": log} if point.after else {}))

    def checked(self, folder: Path, said: list[dict[str, Any]]) -> dict[str, Any]:
        """Look at what a child left; answer the faults and how many outcomes were unknown."""
        answer = self.ask(do="check", folder=folder, acknowledged=said)
        if answer["code"]:
            log = (folder / "child.log").read_text()[-3000:]
            return {"faults": [f"the check ended with {answer['code']}: {log}"], "unknown": 0}
        found: dict[str, Any] = answer["said"][-1]
        return found

    def points(self, folder: Path) -> list[Point]:
        """Count, in a run without faults, how often one thread calls what; each is a point before and after."""
        log = folder.with_suffix(".trace")
        answer = self.work(folder, "-o", str(log), "-e", f"trace={_OPTIONAL}", "-s", "0")
        assert answer["said"][-1] == {"done": True}, (answer, (folder / "child.log").read_text())
        return list(_points(log.read_text()))


def spread(points: list[Point], each: int) -> list[Point]:
    """Choose up to `each` points of every kind of call, evenly; all of them in the long form."""
    if LONG:
        return points
    chosen: list[Point] = []
    for call in CALLS:
        own = [point for point in points if point.call == call]
        step = max(len(own) / each, 1.0)
        chosen += [own[int(at * step)] for at in range(min(each, len(own)))]
    return chosen


def _points(log: str) -> Iterator[Point]:
    by_thread: Counter[tuple[str, str]] = Counter()
    for line in log.splitlines():
        if (found := _LINE.match(line)) is not None:
            by_thread[found[1], found[2]] += 1
    most: dict[str, int] = {}
    for (_, call), count in sorted(by_thread.items()):
        most[call] = max(most.get(call, 0), count)
    for call, count in sorted(most.items()):
        for n in range(1, count + 1):
            yield Point(call, n, after=False)
            yield Point(call, n, after=True)
