"""`python -m bailiwick.testing.simulation [--seeds N] [--from S] [--seed S [--plan P]] [--mutants]`: simulate, and report."""

import argparse
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from bailiwick.testing.mutants import MUTANTS, Mutant
from bailiwick.testing.simulation.faults import parse_plan, plan_text
from bailiwick.testing.simulation.report import Total, failure_lines
from bailiwick.testing.simulation.seed import Result, simulate
from bailiwick.testing.simulation.shrinking import shrink

PROCESSES = 2


def main(argv: list[str]) -> int:
    """Run what is asked for; 0 when nothing was broken and every mutant was found."""
    parser = argparse.ArgumentParser(prog="./dev sim", description="Simulate the platform deterministically.")
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="how many seeds (200)")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="S", help="the first seed (1)")
    parser.add_argument(
        "--seed", type=int, metavar="S", help="run this one, and shrink its faults if it fails"
    )
    parser.add_argument("--plan", metavar="P", help="with --seed: these faults and no others")
    parser.add_argument("--mutants", action="store_true", help="find every planted bug, too")
    parser.add_argument("--part", type=int, metavar="N", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.part is not None:
        return _part(asked.first + asked.part, asked.first + asked.seeds)
    if asked.seed is not None:
        return _one(asked.seed, asked.plan)
    began = time.monotonic()
    total = Total()
    for result in _side_by_side(asked.first, asked.seeds):
        total.add(result)
        if result.violations:
            _say(*failure_lines(result))
    lost = [mutant.name for mutant in MUTANTS if _hunt(mutant) is None] if asked.mutants else []
    _say(*total.lines())
    if asked.mutants:
        _say(f"mutants found      {len(MUTANTS) - len(lost)} of {len(MUTANTS)}")
        _say(*(f"  not found: {name}" for name in lost))
    _say(f"minutes            {(time.monotonic() - began) / 60:.1f}")
    return 1 if total.failing or lost else 0


def _one(seed: int, plan: str | None) -> int:
    result = simulate(seed, parse_plan(plan) if plan is not None else None)
    total = Total()
    total.add(result)
    _say(*total.lines(), f"digest             {result.digest}", f"plan               {result.plan}")
    if not result.violations:
        return 0
    _say(*failure_lines(result))
    if plan is None:
        _say(f"  least: ./dev sim --seed {seed} --plan {plan_text(shrink(result))}")
    return 1


def _hunt(mutant: Mutant) -> int | None:
    """Find the first seed that finds a mutant."""
    with mutant.plant():
        for seed in range(1, mutant.budget + 1):
            found = simulate(seed).violations
            if found:
                _say(f"mutant {mutant.name}: seed {seed}, {found[0].promise}")
                return seed
    return None


def _side_by_side(first: int, seeds: int) -> Iterator[Result]:
    """Share the seeds among processes."""
    command = [
        sys.executable,
        "-m",
        "bailiwick.testing.simulation",
        "--from",
        str(first),
        "--seeds",
        str(seeds),
    ]
    with selectors.DefaultSelector() as ready:
        for number in range(PROCESSES):
            part = subprocess.Popen([*command, "--part", str(number)], stdout=subprocess.PIPE, bufsize=0)
            assert part.stdout is not None, "it is piped"
            ready.register(part.stdout, selectors.EVENT_READ, part)
        while ready.get_map():
            for key, _ in ready.select():
                part = key.data
                assert part.stdout is not None, "it is piped"
                line = part.stdout.readline()
                if line:
                    yield msgspec.json.decode(line, type=Result)
                    continue
                ready.unregister(part.stdout)
                part.stdout.close()
                if part.wait():
                    raise SystemExit(f"a part of the simulation ended with {part.returncode}")


def _part(first: int, end: int) -> int:
    for seed in range(first, end, PROCESSES):
        sys.stdout.buffer.write(msgspec.json.encode(simulate(seed)) + b"\n")
        sys.stdout.buffer.flush()
    return 0


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
