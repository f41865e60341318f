"""`python -m bailiwick.testing.mutation [sql|kernel] [--store S] [--room R] ...`: break, and see who notices."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bailiwick.stores import STORES
from bailiwick.testing.mutation.kernel import ROOMS, Score, score_kernel
from bailiwick.testing.mutation.sql import judge, sampled, sql_mutants
from bailiwick.testing.mutation.terms import Mutant


def main(argv: list[str]) -> int:
    """Judge mutants and say which survived; 0 when none did."""
    parser = argparse.ArgumentParser(
        prog="./dev mutate", description="Break one place at a time; a test must notice."
    )
    parser.add_argument("what", nargs="?", choices=("all", "sql", "kernel"), default="all")
    parser.add_argument("--store", choices=STORES, default="sqlite", help="whose statements")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="judge N of each kind; 0: all of them"
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the sample")
    parser.add_argument("--room", choices=ROOMS, default="run", help="of the kernel, which room")
    parser.add_argument(
        "--file", action="append", metavar="PATH", help="of the kernel, only this file; may be repeated"
    )
    parser.add_argument(
        "--mutant", action="append", metavar="NAME", help="of the kernel, only this mutant; may be repeated"
    )
    parser.add_argument("--query", action="append", metavar="NAME", help="of the SQL, only this statement")
    asked = parser.parse_args(argv)
    alive = 0
    if asked.what != "kernel":
        mutants = [one for one in sql_mutants(asked.store) if not asked.query or one.query in asked.query]
        alive += _sql(asked.store, sampled(mutants, asked.sample, asked.seed))
    if asked.what != "sql":
        files = asked.file or [str(path) for path in sorted(Path("src/bailiwick", asked.room).glob("*.py"))]

        def choose(names: list[str]) -> Sequence[str]:
            return asked.mutant or sampled(names, asked.sample, asked.seed)

        alive += _kernel(score_kernel(files, choose))
    return 1 if alive else 0


def _sql(store: str, mutants: Sequence[Mutant]) -> int:
    counted: Counter[str] = Counter()
    for verdict in judge(store, mutants):
        counted[verdict.outcome] += 1
        if verdict.outcome != "killed":
            term = f"{verdict.mutant.query}: {verdict.mutant.term} ({verdict.mutant.nth})"
            sys.stdout.write(f"  {verdict.outcome}: {term}{verdict.reason and ': '}{verdict.reason}\n")
            sys.stdout.flush()
    judged = counted.total() - counted["equivalent"]
    same = f", {counted['equivalent']} more are equivalent" if counted["equivalent"] else ""
    sys.stdout.write(f"sql of {store}: {counted['killed']} of {judged} mutants killed{same}\n")
    return judged - counted["killed"]


def _kernel(score: Score) -> int:
    for name, change in score.alive.items():
        sys.stdout.write(f"  survived: {name}\n{change}\n")
    for name in score.unjudged:
        sys.stdout.write(f"  broken: {name}\n")
    for name, reason in score.equivalent.items():
        sys.stdout.write(f"  equivalent: {name}: {reason}\n")
    sys.stdout.write(f"kernel: {score.killed} of {score.judged} mutants killed\n")
    return len(score.alive) + len(score.unjudged)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
