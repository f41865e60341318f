"""Every query stands in both stores under one name, with the same parameters; what differs is listed with its reason."""

import re
from collections.abc import Mapping
from pathlib import Path

STORES = Path(__file__).resolve().parent.parent / "src" / "bailiwick" / "stores"
OF_ONE = {
    "sqlite": {
        "select_counters": "one writer counts on from the last numbers; PostgreSQL takes them from a sequence",
        "select_log": "one at a time, for it costs no round trip; PostgreSQL reads `select_logs` for a batch",
        "select_stream_head": "one at a time, as above; PostgreSQL reads `select_stream_heads`",
    },
    "postgres": {
        "select_logs": "for a whole batch in one round trip",
        "select_stream_heads": "for a whole batch in one round trip",
        "take_numbers": "several processes number streams, so each takes a block",
        "lock_streams": "several processes continue one stream, one after the other",
        "lock_feed": "several relays, one after the other",
        "lock_log": "several sequencers, one after the other",
        "end_sessions_of": "a process ends its own workers' sessions, not those of others",
        "notify": "other processes are woken",
        "select_now": "processes measure the one clock; SQLite's is in the process",
        "select_transaction": "a commit may be in doubt where a line can be lost",
        "select_fate": "and is asked for",
        "select_event_is_kept": "and by what it wrote",
        "invariants/the_feed_passes_nothing_over": "only there has the relay a mark below which it never looks",
    },
}
OTHER_PARAMETERS = {
    "insert_event": "SQLite numbers events across streams, PostgreSQL by (stream, seq)",
    "insert_payload": "as its event is numbered",
    "delete_removal": "beside PostgreSQL another process may hold the blob in its own folder, and has some days to see the note",
    "insert_leaf": "SQLite's `pos` is the position; PostgreSQL keeps positions apart",
}
_GIVEN = re.compile(r"^-- (?:over: \w+ +)?in: (.*?)(?: {4}out:|$)", re.MULTILINE)
_USED = re.compile(r"(?<![:\w]):([a-z_]+)")


def parameters(text: str) -> list[str]:
    """Read the parameters off a query's header, without what it says of them in brackets."""
    given = _GIVEN.search(text)
    names = re.sub(r"\([^)]*\)", "", given[1] if given else "").split(",")
    return [name.strip() for name in names if name.strip() not in ("", "nothing")]


def header_faults(text: str) -> list[str]:
    """Say where the header and the statement of a query name other parameters."""
    statement = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", text)
    return sorted(set(parameters(text)) ^ set(_USED.findall(statement)))


def twin_faults(sqlite: Mapping[str, str], postgres: Mapping[str, str]) -> list[str]:
    """Say which queries have no twin, or one with other parameters, for no reason that is listed."""
    alone = [f"{name}: only in sqlite" for name in sqlite.keys() - postgres.keys() - OF_ONE["sqlite"].keys()]
    alone += [
        f"{name}: only in postgres" for name in postgres.keys() - sqlite.keys() - OF_ONE["postgres"].keys()
    ]
    other = [
        f"{name}: {parameters(sqlite[name])}, and {parameters(postgres[name])} in postgres"
        for name in (sqlite.keys() & postgres.keys()) - OTHER_PARAMETERS.keys()
        if parameters(sqlite[name]) != parameters(postgres[name])
    ]
    return sorted(alone + other)


def queries(store: str) -> dict[str, str]:
    folder = STORES / store / "queries"
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_text("utf-8")
        for path in folder.glob("**/*.sql")
    }


def test_a_query_without_its_twin_is_found() -> None:
    one = "-- Add.\n-- in: a, b (JSON)    out: nothing\nSELECT :a, :b;\n"
    other = "-- Add.\n-- in: b, a (an array of each)    out: nothing\nSELECT :a::text[], :b;\n"
    assert twin_faults({"add": one}, {"add": one}) == []
    assert len(twin_faults({"add": one}, {})) == len(twin_faults({}, {"add": one})) == 1
    assert len(twin_faults({"add": one}, {"add": other})) == 1
    assert header_faults(one) == header_faults(other) == []
    assert header_faults(one.replace(":b", ":c")) == ["b", "c"]


def test_every_query_has_its_twin() -> None:
    assert twin_faults(queries("sqlite"), queries("postgres")) == []


def test_a_header_names_the_parameters_of_its_statement() -> None:
    found = {
        f"{store}/{name}": header_faults(text) for store in OF_ONE for name, text in queries(store).items()
    }
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_what_is_excepted_is_there() -> None:
    for store, names in OF_ONE.items():
        assert names.keys() <= queries(store).keys()
    assert OTHER_PARAMETERS.keys() <= queries("sqlite").keys() & queries("postgres").keys()
