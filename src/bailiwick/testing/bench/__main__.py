"""`python -m bailiwick.testing.bench [NAME ...] [--json PATH] [--disk FOLDER]`, or `--gate`: measure, and say what is met."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bailiwick.telemetry import configure_logging
from bailiwick.testing.bench.benches import BENCHES, measure
from bailiwick.testing.bench.figures import Figure, table
from bailiwick.testing.bench.instructions import gate
from bailiwick.testing.bench.peers import compare
from bailiwick.testing.bench.programs import ProgramFailed
from bailiwick.testing.bench.scale import FULL
from bailiwick.testing.bench.system import RunSpoiled

PEERS_ENVIRONMENT = Path(".venv-peers")


def main(argv: list[str]) -> int:
    """Run the named benches, or all; 0 when all of them ran, whether or not the targets are met."""
    parser = argparse.ArgumentParser(
        prog="./dev bench", description="Measure, and say which targets are met."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)}; all when none is given"
    )
    parser.add_argument(
        "--json", type=Path, metavar="PATH", help="also write the figures there, as a JSON list"
    )
    parser.add_argument("--disk", type=Path, metavar="FOLDER", help="measure on the disk of this folder")
    parser.add_argument(
        "--gate",
        action="store_true",
        help="count instructions, and fail if a run or a write costs more than kept",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="run the chain of W1 beside LangGraph's and DBOS's, and report ratios",
    )
    parser.add_argument("--keep", action="store_true", help="with --gate: keep what is counted as the base")
    asked = parser.parse_args(argv)
    if asked.gate:
        return _gated(keep=asked.keep)
    if asked.peers:
        return _beside_peers()
    unknown = [name for name in asked.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no bench {unknown[0]!r}; there are {', '.join(BENCHES)}")
    names = asked.names or tuple(BENCHES)
    with tempfile.TemporaryFile("w", dir=asked.disk) as log:
        configure_logging("info", log)
        figures, failed = _measured(names, asked.disk)
        configure_logging()
    sys.stdout.write(f"{table(figures)}\n")
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    return 1 if failed else 0


def _gated(*, keep: bool) -> int:
    """Count, and say whether the gate is open: 0, or 1 with the reason."""
    try:
        figures, shut = gate(keep=keep)
    except ProgramFailed as failure:
        sys.stderr.write(f"bench: {failure}\n")
        return 1
    sys.stdout.write(f"{table(figures)}\n")
    if shut:
        sys.stderr.write(f"bench: {shut}\n")
    return 1 if shut else 0


def _beside_peers() -> int:
    """Measure beside the peers; nothing is gated by it."""
    try:
        with tempfile.TemporaryFile("w") as log:
            configure_logging("info", log)
            figures = compare(PEERS_ENVIRONMENT)
            configure_logging()
    except ProgramFailed as failure:
        sys.stderr.write(f"bench: {failure}\n")
        return 1
    sys.stdout.write(f"{table(figures)}\n")
    return 0


def _measured(names: Sequence[str], disk: Path | None) -> tuple[list[Figure], int]:
    """Run benches one after the other; answer their figures, and how many of them failed."""
    figures: list[Figure] = []
    failed = 0
    for name in names:
        sys.stderr.write(f"bench: {name}\n")
        try:
            figures += measure(name, FULL, disk)
        except (ProgramFailed, RunSpoiled) as failure:
            failed += 1
            sys.stderr.write(f"bench: {name} failed: {failure}\n")
    return figures, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
