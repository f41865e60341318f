"""Restart: runs in flight, SIGKILL, a new process over the same data directory, and the time until all are done."""

import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bailiwick.testing.bench.figures import Figure, at_most, plain
from bailiwick.testing.bench.place import Place
from bailiwick.testing.bench.programs import ProgramFailed
from bailiwick.testing.bench.survivors import Finished


def restart(place: Place) -> list[Figure]:
    """Kill a system with runs in flight, start it again, and wait for them.

    Raises:
        ProgramFailed: The runs did not come to where they were to be killed, or the new process failed.
    """
    count = place.scale.in_flight
    folder = place.folder / "data"
    with _process("hold", folder, count) as first:
        said = _line(first)
        first.kill()
    runs = msgspec.json.decode(said, type=list[str])
    begun = time.perf_counter()
    with _process("finish", folder, count) as second:
        _tell(second, runs)
        found = msgspec.json.decode(_line(second), type=Finished)
        whole = time.perf_counter() - begun
    return [
        at_most("restart.all-finished", found.seconds, "s", 1.5),
        plain("restart.all-finished-since-exec", whole, "s"),
        plain("restart.in-flight", count, "runs"),
        at_most("restart.lost", count - found.completed, "runs", 0),
        at_most("restart.recorded-steps-repeated", found.repeated, "steps", 0),
        *place.disk("restart"),
    ]


def _process(what: str, folder: Path, count: int) -> "subprocess.Popen[bytes]":
    code = "import sys; from bailiwick.testing.bench import survivors; survivors.main(*sys.argv[1:])"
    argv = [sys.executable, "-c", code, what, str(folder), str(count)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None, "it was opened with a pipe"
    line = process.stdout.readline()
    if not line:
        raise ProgramFailed(f"a process of the restart bench ended with {process.wait()} and said nothing")
    return line


def _tell(process: "subprocess.Popen[bytes]", runs: list[str]) -> None:
    assert process.stdin is not None, "it was opened with a pipe"
    process.stdin.write(msgspec.json.encode(runs) + b"\n")
    process.stdin.flush()
