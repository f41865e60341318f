"""Mutants of SQL: every term of every statement is dropped in turn, and the conformance suite must notice."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from bailiwick.stores import statements_of
from bailiwick.testing.mutation.plugin import MUTANT
from bailiwick.testing.mutation.terms import Mutant, mutants_of

SUITES: Final = ("tests/conformance",)
_SECONDS: Final = 300
_FAILED: Final = 1
_PASSED: Final = 0


class Verdict(msgspec.Struct, frozen=True):
    """What became of a mutant: `killed`, `survived`, or `broken` when it could not be judged."""

    mutant: Mutant
    outcome: str


def sql_mutants(store: str) -> list[tuple[str, Mutant]]:
    """List a store's mutants, each with the name that the plugin knows it by."""
    found = []
    for query, sql in statements_of(store).items():
        found += [(f"{store}/{query}/{at}", mutant) for at, mutant in enumerate(mutants_of(query, sql))]
    return found


def judge(store: str, sample: int, seed: int) -> Iterator[Verdict]:
    """Judge a store's mutants, two at a time; all of them, or a sample drawn by the seed."""
    chosen = sql_mutants(store)
    if sample:
        chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))  # noqa: S311
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda pair: _judge(store, *pair), chosen)


def _judge(store: str, name: str, mutant: Mutant) -> Verdict:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *_only(store)]
    environment = {**os.environ, MUTANT: name}
    try:
        done = subprocess.run(
            [*command, "-p", "bailiwick.testing.mutation.plugin", *SUITES],
            env=environment,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Verdict(mutant, "killed")  # a suite that no longer ends has noticed
    return Verdict(mutant, {_FAILED: "killed", _PASSED: "survived"}.get(done.returncode, "broken"))


def _only(store: str) -> Sequence[str]:
    return ("-k", store)
