"""`python -m bailiwick.testing.bench [NAME ...] [--json PATH] [--disk FOLDER]`: measure, and say what is met."""

import argparse
import sys
from pathlib import Path

import msgspec

from bailiwick.testing.bench.benches import BENCHES, measure
from bailiwick.testing.bench.figures import Figure, table
from bailiwick.testing.bench.scale import FULL


def main(argv: list[str]) -> int:
    """Run the named benches, or all; 0 when they ran, whether or not the targets are met."""
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
    asked = parser.parse_args(argv)
    unknown = [name for name in asked.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no bench {unknown[0]!r}; there are {', '.join(BENCHES)}")
    figures: list[Figure] = []
    for name in asked.names or BENCHES:
        sys.stderr.write(f"bench: {name}\n")
        figures += measure(name, FULL, asked.disk)
    sys.stdout.write(f"{table(figures)}\n")
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
