"""Equivalents: mutants that change nothing anybody could see, each with the reason."""

from typing import Final

_EMPTY_LANE: Final = (
    "cost alone: it adds lanes that have no work, and the last step, which asks for every term again, draws"
    " nothing from them; the term keeps the hop on the index"
)
_CLAIMABLE_ON_SQLITE: Final = (
    ("state = 'queued'", 2),
    ("state = 'queued'", 3),
    ("state = 'queued'", 4),
    ("capability = holders.capability", 1),
    ("capability = holders.capability", 2),
    ("capability = lanes.capability", 1),
    ("tenant = holders.tenant", 1),
    ("tenant = lanes.tenant", 1),
    ("tenant IS NOT NULL", 2),
)
_LOG_OF_ITS_TENANT: Final = (
    "the tenant asked for is taken from the log's name, and a tenant's streams are in its log, all of them"
)
EQUIVALENT: Final[dict[tuple[str, str, str, int], str]] = {
    **{("sqlite", "select_claimable", term, nth): _EMPTY_LANE for term, nth in _CLAIMABLE_ON_SQLITE},
    ("sqlite", "select_leaf_index", "s.log = l.id", 1): _LOG_OF_ITS_TENANT,
    ("postgres", "select_leaf_index", "s.log = l.id", 1): _LOG_OF_ITS_TENANT,
}
"""By store, query, term and its number among the equal mutated terms of the query: why no test can notice."""

EQUIVALENT_IN_THE_KERNEL: Final[dict[str, str]] = {}
"""By the name that mutmut gives: why no test can notice."""
