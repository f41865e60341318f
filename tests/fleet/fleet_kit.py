"""A fleet: real `bailiwick server start` processes on one PostgreSQL, and the file in which their effects land."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx2

from postgres_kit import cluster

T = TypeVar("T")
HERE = Path(__file__).parent
LEASE_SECONDS = 1.5
PATIENCE = 60.0
SLOTS = 4
START = [
    sys.executable,
    str(HERE / "fleet_child.py"),
    "server",
    "start",
    str(HERE / "fleet_app.py"),
    "--port",
    "0",
]


class Landed(NamedTuple):
    """One arrival outside."""

    tool: str
    key: str
    name: str
    pid: int
    at: float


def wait_for(look: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Look again and again until there is an answer."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        found = look()
        if found:
            return found
        signal.sigtimedwait([], 0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


class Member:
    """One process of the fleet; it can be stopped, continued, killed and started again."""

    def __init__(self, fleet: "Fleet", number: int, url: str, clock: float = 0.0) -> None:
        self._fleet = fleet
        self.clock = clock
        """By how many seconds the clocks of its machine are wrong."""
        self.folder = fleet.folder / f"member-{number}"
        self.folder.mkdir()
        self.hold = self.folder / "hold"
        """As long as this file is there, no effect that this process brings about is answered."""
        self.deaf = self.folder / "deaf"
        """Once this file is there, a process that is hard of hearing renews its leases no more."""
        self._url = url
        self.process: subprocess.Popen[bytes]
        self.client: httpx2.Client

    def start(self, **more: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
        settings = {
            "BAILIWICK_DATA_DIR": str(self.folder),
            "BAILIWICK_STORE": self._url,
            "BAILIWICK_SHARED_DIR": str(self._fleet.folder / "shared"),
            "BAILIWICK_LEASE_SECONDS": str(LEASE_SECONDS),
            "BAILIWICK_SLOTS": str(SLOTS),
            "FLEET_LANDED": str(self._fleet.landed_in),
            "FLEET_DELAY": str(self._fleet.delay),
            "FLEET_HOLD": str(self.hold),
            "FLEET_DEAF": str(self.deaf),
            "FLEET_CLOCK": str(self.clock),
        }
        (self.folder / "server.json").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(START, env=kept | settings | more, stdout=log, stderr=log)

    def ready(self) -> None:
        """Wait until it serves."""
        announced = self.folder / "server.json"
        wait_for(lambda: announced.is_file() or self._fallen(), "a process that serves")
        url = json.loads(announced.read_text())["url"]
        self.client = httpx2.Client(base_url=url, timeout=30.0)
        self.client.headers["authorization"] = f"Bearer {self._fleet.key()}"

    def _fallen(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        return False

    def signal(self, number: signal.Signals) -> float:
        """Send a signal; answer when, in seconds since the epoch."""
        self.process.send_signal(number)
        return time.time()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        if hasattr(self, "client"):
            self.client.close()

    @property
    def node(self) -> str:
        return (self.folder / "node").read_text()

    def holds(self) -> list[tuple[str, int]]:
        """Name the tasks in this process's hands, with their epochs."""
        rows = self._fleet.sql(
            "SELECT t.id || ' ' || t.epoch FROM tasks t JOIN sessions s ON s.id = t.session "
            f"WHERE t.state = 'leased' AND s.worker LIKE '%@{self.node}'"
        )
        return [(row.split()[0], int(row.split()[1])) for row in rows]

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.client.post(f"/v1/{path}", json=body, headers={"idempotency-key": os.urandom(8).hex()})
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def submit(self, workflow: str) -> str:
        return str(self.post("runs", app="fleet", workflow=workflow)["id"])

    def get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/{path}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def status(self, run: str) -> str:
        return str(self.get(f"runs/{run}")["run"]["status"])

    def open_runs(self) -> int:
        return self._fleet.open_runs()

    def fenced(self) -> int:
        """Count what this process was refused because its lease had gone to another."""
        lines = self.client.get("/metrics").text.splitlines()
        name = "bailiwick_fenced_writes_total{"
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith(name))


class Fleet:
    """Several members on one database, and what landed outside."""

    def __init__(self, folder: Path, *, delay: float = 0.0) -> None:
        self.folder = folder
        self.delay = delay
        self.landed_in = folder / "landed"
        self.url = cluster().database()
        self.members: list[Member] = []
        self._lines: list[subprocess.Popen[str]] = []
        self._slowest = 0.0

    def end(self) -> None:
        for member in self.members:
            member.end()
        for line in self._lines:
            line.send_signal(signal.SIGCONT)
            line.kill()
            line.communicate()

    def start(self, count: int, clocks: tuple[float, ...] = ()) -> list[Member]:
        """Start members; the first one alone, for it makes the admin key."""
        wrong = (*clocks, *(0.0,) * count)
        made = [Member(self, len(self.members) + at, self.url, wrong[at]) for at in range(count)]
        self.members += made
        made[0].start()
        made[0].ready()
        for member in made[1:]:
            member.start()
        for member in made[1:]:
            member.ready()
        return made

    def start_behind_a_line(self) -> tuple[Member, subprocess.Popen[str]]:
        """Start a member whose way to the database is a process of its own."""
        socket = next(cluster().folder.glob(".s.PGSQL.*[0-9]"))
        line = subprocess.Popen(
            [sys.executable, str(HERE / "fleet_proxy.py"), str(socket)], stdout=subprocess.PIPE, text=True
        )
        self._lines.append(line)
        assert line.stdout is not None
        port = int(line.stdout.readline())
        parts = urlsplit(self.url)
        member = Member(
            self, len(self.members), f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        )
        self.members.append(member)
        member.start()
        member.ready()
        return member, line

    def key(self) -> str:
        return (self.members[0].folder / "cli.key").read_text().strip()

    def sql(self, text: str) -> list[str]:
        begun = time.monotonic()
        lines = cluster().sql(text, self.url).splitlines()
        self._slowest = max(self._slowest, time.monotonic() - begun)
        return lines

    def slack(self) -> float:
        """Tell what a busy machine is forgiven, in seconds: several times what a trivial query took at worst."""
        return 5 * self._slowest

    def landed(self) -> list[Landed]:
        if not self.landed_in.is_file():
            return []
        parts = [line.split() for line in self.landed_in.read_text().splitlines()]
        return [Landed(tool, key, name, int(pid), float(at)) for tool, key, name, pid, at in parts]

    def open_runs(self) -> int:
        closed = "('completed', 'failed', 'canceled')"
        return int(self.sql(f"SELECT count(*) FROM runs WHERE status NOT IN {closed}")[0])

    def ended(self, seconds: float = PATIENCE) -> None:
        """Wait until no run is open; say what is when that takes too long."""
        wait_for(lambda: self.open_runs() == 0, "all runs to end", seconds)

    def events(self, member: Member, run: str) -> Iterator[dict[str, Any]]:
        after = 0
        while page := member.get(f"runs/{run}/events?after={after}&limit=200")["events"]:
            yield from page
            after = page[-1]["seq"]
