"""The operator on SQL breaks each condition once, and nothing else."""

import apsw
import pytest

from bailiwick.stores import STORES, statements_of
from bailiwick.testing.mutation import mutants_of
from bailiwick.testing.mutation.equivalents import EQUIVALENT


@pytest.mark.parametrize(
    ("sql", "terms"),
    [
        ("SELECT a FROM t", []),
        ("SELECT a FROM t WHERE x = :x", ["x = :x"]),
        ("UPDATE t SET a = 1 WHERE x = :x AND y > 2", ["x = :x", "y > 2"]),
        ("SELECT a FROM t WHERE x = 'a AND b' AND (y OR z AND u) ORDER BY a", ["x = 'a AND b'", "(y OR z AND u)", "y OR", "z AND u OR"]),
        ("SELECT a FROM t WHERE x BETWEEN 1 AND 2 AND y LIMIT 3", ["x BETWEEN 1 AND 2", "y"]),
        ("SELECT a FROM t JOIN u ON u.t = t.a AND u.b WHERE c", ["u.t = t.a", "u.b", "c"]),
        ("SELECT a FROM t WHERE x = (SELECT max(y) FROM u WHERE u.x = 1 AND u.z) AND w",
         ["u.x = 1", "u.z", "x = (SELECT max(y) FROM u WHERE u.x = 1 AND u.z)", "w"]),
        ("SELECT a FROM t LEFT JOIN LATERAL (SELECT b FROM u WHERE u.t = t.a) AS v ON true", ["u.t = t.a"]),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2 WHERE t.c = 0", ["t.c = 0"]),
    ],
)  # fmt: skip
def test_the_terms_of_a_statement_are_found(sql: str, terms: list[str]) -> None:
    assert sorted(mutant.term for mutant in mutants_of("q", sql)) == sorted(terms)


def test_a_mutant_always_holds_where_its_term_did_not() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 1), (1, 2), (2, 1)")
    both = "SELECT count(*) FROM t WHERE a = :a AND b = :b"
    counts = [connection.execute(mutant.sql, (1, 1)).get for mutant in mutants_of("q", both)]
    assert (connection.execute(both, (1, 1)).get, counts) == (1, [2, 2])


@pytest.mark.parametrize("store", STORES)
def test_every_fence_of_a_store_has_its_mutants(store: str) -> None:
    for query in ("move_task", "finish_task"):
        terms = {
            mutant.term.partition(" ")[0].removeprefix("t.")
            for mutant in mutants_of(query, statements_of(store)[query])
        }
        assert {"tenant", "id", "run", "state", "epoch"} <= terms, query


def test_what_is_said_to_change_nothing_is_a_mutant_that_exists() -> None:
    known = {
        (store, one.query, one.term, one.nth)
        for store in STORES
        for query, sql in statements_of(store).items()
        for one in mutants_of(query, sql)
    }
    assert EQUIVALENT.keys() <= known
