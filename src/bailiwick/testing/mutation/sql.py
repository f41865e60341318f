"""Mutants of SQL: every term of every statement is weakened in turn, and the conformance suite must notice."""

import random
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from bailiwick.stores import statements_of
from bailiwick.testing.mutation.equivalents import EQUIVALENT
from bailiwick.testing.mutation.forks import Forks
from bailiwick.testing.mutation.terms import Mutant, mutants_of

_SUITE: Final = "tests/conformance"
_RIVAL: Final = {"sqlite": "postgres", "postgres": "sqlite"}
_OF_TEXT: Final = ("a_statement_says", "no_statement_reads")
"""Tests of what a statement says and how it is carried out: a broken one would fail them without doing anything."""
_Any = TypeVar("_Any")
_FAILED: Final = 1
_PASSED: Final = 0


class Verdict(msgspec.Struct, frozen=True):
    """What became of a mutant: `killed`, `survived`, `equivalent` with the reason, or `broken` if nothing could judge it."""

    mutant: Mutant
    outcome: str
    reason: str = ""


def sql_mutants(store: str) -> list[Mutant]:
    """List a store's mutants."""
    return [mutant for query, sql in statements_of(store).items() for mutant in mutants_of(query, sql)]


def judge(store: str, mutants: Sequence[Mutant], suite: str = _SUITE) -> Iterator[Verdict]:
    """Judge mutants of a store, two at a time: each by the tests that use its statement, the quickest first.

    Raises:
        RuntimeError: A test fails without any mutant, so its failure would tell nothing.
    """
    equal = {mutant: EQUIVALENT.get((store, mutant.query, mutant.term, mutant.nth)) for mutant in mutants}
    for mutant, reason in equal.items():
        if reason is not None:
            yield Verdict(mutant, "equivalent", reason)
    asked = [mutant for mutant, reason in equal.items() if reason is None]
    with Forks(suite, store, without=(_RIVAL[store], *_OF_TEXT)) as forks:
        users = forks.survey(statements_of(store))
        works = [(mutant, users[mutant.query]) for mutant in asked if mutant.query in users]
        for mutant in asked:
            if mutant.query not in users:
                yield Verdict(mutant, "survived", "no test uses the statement")
        for mutant, code in forks.each(works, lambda mutant: put(store, mutant)):
            # No code: a suite that no longer ends has noticed.
            known = {None: "killed", _FAILED: "killed", _PASSED: "survived"}
            yield Verdict(mutant, known.get(code, "broken"))


def put(store: str, mutant: Mutant) -> None:
    """Put a mutant in the place of its statement, in this process."""
    statements_of(store)[mutant.query] = mutant.sql


def sampled(mutants: Sequence[_Any], sample: int, seed: int) -> Sequence[_Any]:
    """Draw some of the mutants by a seed; 0 takes them all."""
    if not sample or sample >= len(mutants):
        return mutants
    return random.Random(seed).sample(mutants, sample)  # noqa: S311
