"""Programs: the command's start, and a server's: how soon it is ready, and what it holds when nothing happens."""

import os
import subprocess
import sysconfig
import time
from pathlib import Path

import httpx2
import msgspec

from bailiwick.testing.bench.figures import Figure, at_most, percentile, plain
from bailiwick.testing.bench.place import Place

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.01
_MB = 1_000_000


class ProgramFailed(Exception):
    """A program that was to be measured did not come up, or ended with an error."""


class _Announced(msgspec.Struct):
    url: str


def help_time(place: Place) -> list[Figure]:
    """Measure `bailiwick --help`, from exec to exit."""
    seconds = [_help(place.folder) for _ in range(place.scale.starts)]
    return [at_most("help.wall", percentile(seconds, 0.5), "s", 0.5)]


def idle_memory(place: Place) -> list[Figure]:
    """Start `bailiwick server start` again and again, and read the last one's memory once it idles."""
    folder = place.folder / "data"
    first, _ = _server(folder, 0.0)
    starts = place.scale.starts
    later = [_server(folder, place.scale.settle_seconds if at == starts - 1 else 0.0) for at in range(starts)]
    return [
        at_most("idle-memory.rss", later[-1][1] / _MB, "MB", 150),
        at_most("idle-memory.ready", percentile([seconds for seconds, _ in later], 0.5), "s", 1.5),
        plain("idle-memory.first-ready", first, "s"),
    ]


def _help(folder: Path) -> float:
    begun = time.perf_counter()
    done = subprocess.run([_command(), "--help"], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise ProgramFailed(f"bailiwick --help: {done.stderr.decode(errors='replace')[-500:]}")
    return time.perf_counter() - begun


def _server(folder: Path, settle_seconds: float) -> tuple[float, int]:
    """Start a server, wait until it is ready and has settled, stop it; answer seconds and resident bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    announcement = folder / "server.json"
    announcement.unlink(missing_ok=True)
    settings = {**os.environ, "BAILIWICK_DATA_DIR": str(folder), "BAILIWICK_PORT": "0"}
    begun = time.perf_counter()
    with (
        (folder / "server.log").open("ab") as log,
        subprocess.Popen(
            [_command(), "server", "start"], cwd=folder, env=settings, stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait_until_ready(process, announcement, begun)
            ready = time.perf_counter() - begun
            time.sleep(settle_seconds)
            return ready, _resident_bytes(process.pid)
        finally:
            process.terminate()


def _wait_until_ready(process: "subprocess.Popen[bytes]", announcement: Path, begun: float) -> None:
    with httpx2.Client() as client:
        while time.perf_counter() - begun < _PATIENCE_SECONDS:
            if process.poll() is not None:
                log = announcement.with_name("server.log").read_text(errors="replace")
                raise ProgramFailed(f"bailiwick server start ended with {process.returncode}: {log[-500:]}")
            if announcement.is_file() and _is_ready(client, announcement):
                return
            time.sleep(_POLL_SECONDS)
    raise ProgramFailed(f"bailiwick server start was not ready within {_PATIENCE_SECONDS:.0f} s")


def _is_ready(client: httpx2.Client, announcement: Path) -> bool:
    url = msgspec.json.decode(announcement.read_bytes(), type=_Announced).url
    try:
        return client.get(f"{url.rstrip('/')}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _command() -> str:
    """Find the installed `bailiwick` of this interpreter."""
    return str(Path(sysconfig.get_path("scripts")) / "bailiwick")
