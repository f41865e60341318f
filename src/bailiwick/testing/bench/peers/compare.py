"""Comparing: our chain and the peers', one after the other, round after round, so that a busy machine is busy for all."""

import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bailiwick.testing.bench.chain import chain_app, name_of
from bailiwick.testing.bench.figures import Figure, plain
from bailiwick.testing.bench.load import put_load
from bailiwick.testing.bench.programs import ProgramFailed
from bailiwick.testing.bench.system import client_of, on_the_fast_loop

PEERS = ("langgraph", "dbos")
OURS = "bailiwick"
ROUNDS = 3
SECONDS = 4.0
CLIENTS = (1, 64)
STEPS = 5
_HERE = Path(__file__).parent
_WANTED = _HERE / "requirements.txt"
_STAMP = "peers-of"


class Round(msgspec.Struct, frozen=True):
    """One round of one side: runs, and in seconds the wall time, the processor's time and a run's median."""

    runs: int
    seconds: float
    cpu: float
    p50: float


Rounds = Mapping[str, Sequence[Round]]
"""By side, its rounds."""


def compare(environment: Path) -> list[Figure]:
    """Measure both peers beside us, in an environment of their own that is made where it is missing.

    Raises:
        ProgramFailed: They cannot be installed, or one of them failed.
    """
    python = _installed(environment)

    def of_peer(peer: str, clients: int) -> Round:
        with tempfile.TemporaryDirectory() as folder:
            words = [str(python), str(_HERE / "chains.py"), peer, folder, str(clients), str(SECONDS)]
            return msgspec.json.decode(_said(words).splitlines()[-1], type=Round)

    figures: list[Figure] = []
    for clients in CLIENTS:
        figures += compared(clients, _rounds(clients, of_peer))
    return figures


def compared(clients: int, rounds: Rounds) -> list[Figure]:
    """Write the medians of the rounds, and how many times as fast and as cheap we are as each peer."""
    ours = rounds[OURS]
    figures = []
    for side, told in rounds.items():
        name = f"peers-{clients}.{side}"
        figures += [
            plain(f"{name}.rate", _rate(told), "runs/s"),
            plain(f"{name}.cpu", _cpu_ms(told), "ms/run"),
            plain(f"{name}.p50", statistics.median(each.p50 for each in told) * 1000, "ms"),
        ]
        if side != OURS:
            figures += [
                plain(f"{name}.our-rate-to-theirs", _rate(ours) / _rate(told), ""),
                plain(f"{name}.our-cpu-to-theirs", _cpu_ms(ours) / _cpu_ms(told), ""),
            ]
    return figures


def _rate(told: Sequence[Round]) -> float:
    return statistics.median(each.runs / each.seconds for each in told)


def _cpu_ms(told: Sequence[Round]) -> float:
    return statistics.median(each.cpu / each.runs for each in told) * 1000


def _rounds(clients: int, of_peer: Callable[[str, int], Round]) -> Rounds:
    rounds: dict[str, list[Round]] = {side: [] for side in (OURS, *PEERS)}
    for _ in range(ROUNDS):
        rounds[OURS].append(_own(clients))
        for peer in PEERS:
            rounds[peer].append(of_peer(peer, clients))
    return rounds


def _own(clients: int) -> Round:
    with tempfile.TemporaryDirectory() as folder:
        return on_the_fast_loop(_loaded(Path(folder), clients))


async def _loaded(folder: Path, clients: int) -> Round:
    async with client_of(folder / "data", chain_app(STEPS), clients) as client:
        await put_load(client, name_of(STEPS), clients, 1.0)
        load = await put_load(client, name_of(STEPS), clients, SECONDS)
        return Round(load.runs, load.seconds, load.cpu_seconds, load.latency_ms(0.5) / 1000)


def _installed(environment: Path) -> Path:
    """Make the peers' environment, unless it was made from this very list; answer its interpreter."""
    python, stamp = environment / "bin" / "python", environment / _STAMP
    wanted = f"{sys.version.split()[0]}\n{_WANTED.read_text('utf-8')}"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        sys.stderr.write(f"bench: installing the peers into {environment}\n")
        venv.create(environment, clear=True, with_pip=True)
        _said([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(_WANTED)])
        stamp.write_text(wanted, "utf-8")
    return python


def _said(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProgramFailed(f"{' '.join(words[:4])} ...: {done.stderr[-500:]}")
    return done.stdout
