"""Equivalents: mutants that change nothing anybody could see, each with the reason."""

from typing import Final

_EMPTY_LANE: Final = (
    "cost alone: it adds lanes that have no work, and the last step, which asks for every term again, draws"
    " nothing from them; the term keeps the hop on the index"
)
_HOPS: Final = (
    *(("state = 'queued'", nth) for nth in range(1, 7)),
    ("{}capability = asked.capability", 1),
    ("{}capability = holders.capability", 1),
    ("{}capability = holders.capability", 2),
    ("{}capability = lines.capability", 1),
    ("{}capability = lines.capability", 2),
    ("{}capability = lanes.capability", 1),
    ("{}tenant = holders.tenant", 1),
    ("{}tenant = lines.tenant", 1),
    ("{}tenant = lines.tenant", 2),
    ("{}tenant = lanes.tenant", 1),
    ("{}app = lines.app", 1),
    ("{}app = lanes.app", 1),
    ("tenant IS NOT NULL", 2),
    ("app IS NOT NULL", 2),
    ("priority IS NOT NULL", 2),
)
_WAITING: Final = (
    *_HOPS,
    ("state = 'queued'", 7),
    ("state = 'queued'", 8),
    ("capability IS NOT NULL", 2),
)
_MORE_THAN_ASKED: Final = "cost alone: each number comes with its log's name"
_LOG_OF_ITS_TENANT: Final = (
    "the tenant asked for is taken from the log's name, and a tenant's streams are in its log, all of them"
)
_FOR_THE_INDEX: Final = "cost alone: a log holds the streams of one tenant; the term is for the index"
_UNIQUE: Final = "cost alone: the streams that several runs continue have their tenant's name in their own"
_TOLD_APART: Final = "cost alone: each row says whose stream it is, and only those asked for are looked up"
_BELOW_THE_MARK: Final = (
    "cost alone: what lies below the mark has its place, and the next term leaves out what has one"
)
_MARK_LAGS: Final = (
    "cost alone: the mark stays below what was placed just now, which the next look leaves out as placed"
)
EQUIVALENT: Final[dict[tuple[str, str, str, int], str]] = {
    **{("sqlite", "select_claimable", term.format(""), nth): _EMPTY_LANE for term, nth in _HOPS},
    **{("postgres", "select_claimable", term.format("tasks."), nth): _EMPTY_LANE for term, nth in _HOPS},
    **{
        (store, "select_waiting", term.format("tasks."), nth): _EMPTY_LANE
        for store in ("sqlite", "postgres")
        for term, nth in _WAITING
    },
    ("postgres", "select_logs", "name = ANY ($1::text[])", 1): _MORE_THAN_ASKED,
    ("sqlite", "select_leaf_index", "s.log = l.id", 1): _LOG_OF_ITS_TENANT,
    ("postgres", "select_leaf_index", "s.log = l.id", 1): _LOG_OF_ITS_TENANT,
    ("sqlite", "select_leaf_index", "s.tenant = :tenant", 1): _FOR_THE_INDEX,
    ("postgres", "select_leaf_index", "s.tenant = $2", 1): _FOR_THE_INDEX,
    ("postgres", "select_stream_heads", "s.tenant = given.tenant", 1): _TOLD_APART,
    ("postgres", "select_stream_heads", "s.name = given.name", 1): _TOLD_APART,
    ("postgres", "lock_streams", "s.tenant = given.tenant", 1): _UNIQUE,
    ("postgres", "place_feed", "e.xid >= (SELECT settled FROM mark)", 1): _BELOW_THE_MARK,
    (
        "postgres",
        "place_feed",
        "NOT EXISTS (SELECT 1 FROM chosen AS c WHERE c.stream = w.stream AND c.seq = w.seq)",
        1,
    ): _MARK_LAGS,
}
"""By store, query, term and its number among the equal mutated terms of the query: why no test can notice."""

_NAMELESS: Final = "the table of states shows no tenant, no person and no reason"
EQUIVALENT_IN_THE_KERNEL: Final[dict[tuple[str, str], str]] = {
    ("bailiwick.budget.money.x_format_usd", """decimals = f"{rest:06d}".rstrip("XX0XX").ljust(2, "0")"""): (
        "digits alone are stripped, and there is no X among them"
    ),
    ("bailiwick.run.evolve.x__given_back", "overspent = left <= 0 and fund.budget not in budgets[:at]"): (
        "where nothing is left, nothing goes back either way"
    ),
    (
        "bailiwick.run.table.x__explore",
        'opening = Created("run", "T", "a", "w", "", "ann", _NOBODY, "", 1, Instant(0), Instant(0))',
    ): _NAMELESS,
    (
        "bailiwick.run.table.x__commands",
        'yield from (Cancel("ann"), PassDeadline(), Resume("ann"), Quarantine("DIVERGENCE"), Rollback("ann"))',
    ): _NAMELESS,
    (
        "bailiwick.run.table.x__commands",
        'yield from (Cancel("ann"), PassDeadline(), Resume("ann"), Quarantine("divergence"), Rollback(None))',
    ): _NAMELESS,
    ("bailiwick.run.table.x__of_action", 'yield Resolve("key", "ANN", state, despite=True)'): _NAMELESS,
}
"""By the function, as mutmut names it, and the line that the mutant puts there: why no test can notice.

Not by the mutant's number, which another mutant of the function has tomorrow.
"""
