"""Terms: a statement's conditions, each of which can be made to hold always, and each branch of an OR never.

Fences and guards live in WHERE clauses, which mutation tools for Python do not see. A term keeps its parameters
(`(term) OR TRUE`), so that a mutant fails by what it does and not by how many values it takes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\w+|::|.", re.DOTALL)
_BEGIN: Final = ("WHERE", "ON")
_END: Final = (
    "ORDER",
    "LIMIT",
    "GROUP",
    "UNION",
    "RETURNING",
    "WHERE",
    "JOIN",
    "LEFT",
    "INNER",
    "FOR",
    "DO",
    "SET",
    "HAVING",
)


class Mutant(msgspec.Struct, frozen=True):
    """A statement with one weakened term, which is the nth that reads so."""

    query: str
    term: str
    nth: int
    sql: str


class _Clause:
    """A condition that is being read: where its current term began, at which depth of parentheses."""

    def __init__(self, start: int, depth: int) -> None:
        self.start = start
        self.depth = depth
        self.between = False


def mutants_of(query: str, sql: str) -> list[Mutant]:
    """Make a mutant for each term of each WHERE and ON, subqueries included, and one for each branch of an OR in it.

    What says no more than TRUE has none.     A mutant of a term always holds; in a mutant of a branch, named `... OR`, that branch never holds.
    """
    places = list(_terms(sql))
    found = [(start, end, "{} OR TRUE", "") for start, end in places]
    found += [
        (start, end, "{} AND FALSE", " OR") for place in places for start, end in _branches(sql, *place)
    ]
    seen: Counter[str] = Counter()
    mutants = []
    for start, end, weaker, mark in found:
        term = " ".join(sql[start:end].split()) + mark
        seen[term] += 1
        broken = weaker.format(f"({sql[start:end]})")
        mutants.append(Mutant(query, term, seen[term], f"{sql[:start]}({broken}){sql[end:]}"))
    return mutants


def _branches(sql: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find what a term joins by OR, in its own parentheses or without any; nothing in a term without an OR."""
    inside = 1 if sql[start] == "(" else 0
    depth, begin = 0, start + inside
    found = []
    for match in _TOKEN.finditer(sql, start, end):
        word = match.group().upper()
        depth += (word == "(") - (word == ")")
        if depth < inside and match.end() < end:
            return  # the first parenthesis does not hold the whole term
        if word == "OR" and depth == inside:
            found += list(_trimmed(sql, begin, match.start()))
            begin = match.end()
    if found:
        yield from found
        yield from _trimmed(sql, begin, end - inside)


def _terms(sql: str) -> Iterator[tuple[int, int]]:
    """Find the terms, as places of their first character and behind their last."""
    open_clauses: list[_Clause] = []
    depth = 0
    for match in _TOKEN.finditer(sql):
        word, at = match.group().upper(), match.start()
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        here = open_clauses[-1] if open_clauses else None
        if here is not None and (depth < here.depth or (depth == here.depth and word in _END)):
            yield from _trimmed(sql, here.start, at)
            open_clauses.pop()
        elif here is not None and depth == here.depth and word == "BETWEEN":
            here.between = True
        elif here is not None and depth == here.depth and word == "AND":
            if not here.between:
                yield from _trimmed(sql, here.start, at)
                here.start = match.end()
            here.between = False
        if word in _BEGIN and not _is_conflict(sql, match.end()):
            open_clauses.append(_Clause(match.end(), depth))
    for clause in open_clauses:
        yield from _trimmed(sql, clause.start, len(sql))


def _is_conflict(sql: str, at: int) -> bool:
    """Whether an ON begins ON CONFLICT, which is no condition."""
    return sql[at:].lstrip()[:8].upper() == "CONFLICT"


def _trimmed(sql: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    text = sql[start:end]
    begin = start + len(text) - len(text.lstrip())
    if text.strip() and text.strip().upper() != "TRUE":
        yield begin, begin + len(text.strip())
