"""Equivalents: mutants that change nothing anybody could see, each with the reason."""

from typing import Final

EQUIVALENT: Final[dict[tuple[str, str, str, int], str]] = {}
"""By store, query, term and its number among the equal mutated terms of the query: why no test can notice."""
