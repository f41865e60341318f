"""A pytest plugin that puts one mutant in the place of its statement, before any test opens a store."""

import os
from typing import Final

from bailiwick.stores import statements_of
from bailiwick.testing.mutation.terms import mutants_of

MUTANT: Final = "BAILIWICK_SQL_MUTANT"
"""`store/query/number`: which mutant of which statement of which store."""


def pytest_configure() -> None:
    """Break the statement that the environment names."""
    store, query, number = os.environ[MUTANT].split("/")
    statements = statements_of(store)
    statements[query] = mutants_of(query, statements[query])[int(number)].sql
