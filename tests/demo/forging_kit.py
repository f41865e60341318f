"""Forging by SQL on either store: whoever writes to the database, but does not have the signing key."""

from collections.abc import Callable
from pathlib import Path

import apsw

from bailiwick.audit import Frontier, leaf_hash
from bailiwick.base import canonical, parse_canonical
from keys_kit import Deployment
from postgres_kit import cluster

LOG = "tenant:default"


class Writer:
    """Writes to a deployment's tables, while it runs and while it does not."""

    def __init__(self, deployment: Deployment) -> None:
        self._store = deployment.store
        self._path: Path = deployment.folder / "ledger.db"
        self.run = deployment.run
        self.position = "position" if self._store else "pos"

    def sql(self, text: str) -> list[tuple[str, ...]]:
        if self._store:
            return [tuple(line.split("|")) for line in cluster().sql(text, self._store).splitlines()]
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(5000)
        rows = [tuple(str(cell) for cell in row) for row in connection.execute(text)]
        connection.close()
        return rows

    def literal(self, body: bytes) -> str:
        return f"'\\x{body.hex()}'::bytea" if self._store else f"x'{body.hex()}'"

    def hex(self, column: str) -> str:
        return f"encode({column}, 'hex')" if self._store else f"lower(hex({column}))"

    @property
    def stream(self) -> str:
        return f"(SELECT id FROM streams WHERE name = '{self.run}')"

    def headers(self) -> dict[int, dict]:
        """Read the run's events."""
        rows = self.sql(
            f"SELECT seq, {self.hex('header')} FROM events WHERE stream = {self.stream} ORDER BY seq"
        )
        return {int(seq): parse_canonical(bytes.fromhex(header)) for seq, header in rows}

    def write(self, seq: int, header: dict) -> bytes:
        """Write an event's header with the leaf that fits it; answer the leaf."""
        body = canonical(header)
        leaf = leaf_hash(body)
        values = f"header = {self.literal(body)}, leaf = {self.literal(leaf)}"
        self.sql(f"UPDATE events SET {values} WHERE stream = {self.stream} AND seq = {seq}")
        return leaf

    def rechain(self) -> None:
        """Make the run's stream consistent again."""
        prev = ""
        for seq, header in self.headers().items():
            prev = self.write(seq, header | {"prev": prev, "seq": seq}).hex()

    def leaves(self) -> list[bytes]:
        events = (
            "JOIN places f ON f.position = v.position JOIN events e ON e.stream = f.stream AND e.seq = f.seq"
            if self._store
            else "JOIN events e ON e.pos = v.pos"
        )
        text = f"SELECT {self.hex('e.leaf')} FROM leaves v {events} WHERE v.log = {self.log} ORDER BY v.idx"
        return [bytes.fromhex(row[0]) for row in self.sql(text)]

    @property
    def log(self) -> str:
        return f"(SELECT id FROM logs WHERE name = '{LOG}')"

    def set_frontier(self) -> None:
        """Let the stored tree be that of the leaves as they are now."""
        frontier = Frontier().extend(self.leaves())
        values = f"size = {frontier.size}, frontier = {self.literal(b''.join(frontier.subtrees))}"
        self.sql(f"UPDATE logs SET {values} WHERE name = '{LOG}'")

    def cut(self, keep: int) -> None:
        """Take all events away that have an index from `keep` on."""
        rows = self.sql(f"SELECT {self.position} FROM leaves WHERE log = {self.log} AND idx >= {keep}")
        for (at,) in rows:
            if self._store:
                place = f"(stream, seq) IN (SELECT stream, seq FROM places WHERE position = {at})"
                self.sql(f"DELETE FROM payloads WHERE {place}; DELETE FROM events WHERE {place}")
                self.sql(f"DELETE FROM places WHERE position = {at}")
            else:
                self.sql(f"DELETE FROM payloads WHERE pos = {at}")
                self.sql(f"DELETE FROM events WHERE pos = {at}")
            self.sql(f"DELETE FROM leaves WHERE {self.position} = {at}")
        last = f"(SELECT {self.position} FROM leaves WHERE log = {self.log} ORDER BY idx DESC LIMIT 1)"
        self.sql(f"UPDATE logs SET through = {last} WHERE name = '{LOG}'")

    def head(self) -> str:
        """Read the stored head as assignments."""
        text = f"SELECT size, {self.hex('frontier')}, {self.hex(self.note)} FROM logs WHERE name = '{LOG}'"
        ((size, frontier, note),) = self.sql(text)
        said = bytes.fromhex(note).decode().replace("'", "''")
        return f"size = {size}, frontier = {self.literal(bytes.fromhex(frontier))}, note = '{said}'"

    @property
    def note(self) -> str:
        return "convert_to(note, 'UTF8')" if self._store else "note"

    def set_head(self, assignments: str) -> None:
        self.sql(f"UPDATE logs SET {assignments} WHERE name = '{LOG}'")

    def insert(self) -> str:
        """Push an event into the middle of the run, and everything behind it one further."""
        headers = self.headers()
        self.sql(f"UPDATE events SET seq = -seq - 1 WHERE stream = {self.stream} AND seq > 1")
        self.sql(f"UPDATE events SET seq = -seq WHERE stream = {self.stream} AND seq < 0")
        if self._store:
            for table in ("payloads", "places"):
                self.sql(f"UPDATE {table} SET seq = -seq - 1 WHERE stream = {self.stream} AND seq > 1")
                self.sql(f"UPDATE {table} SET seq = -seq WHERE stream = {self.stream} AND seq < 0")
        body = canonical(headers[2] | {"at": 1})
        row = f"{self.stream}, 2, {self.log}, {self.literal(body)}, {self.literal(leaf_hash(body))}"
        if self._store:
            self.sql(f"INSERT INTO events (stream, seq, log, header, leaf) VALUES ({row})")
        else:
            pos = "(SELECT max(pos) + 1 FROM events)"
            self.sql(f"INSERT INTO events (pos, stream, seq, log, header, leaf) VALUES ({pos}, {row})")
        self.rechain()
        return f"{self.run}.2"


Forgery = Callable[[Writer], str]
"""Edits the tables; answers the event that must be named, or "" when the log as a whole is accused."""


def the_tail_rewritten_with_its_tree(writer: Writer) -> str:
    last = max(writer.headers())
    writer.write(last, writer.headers()[last] | {"at": 1})
    writer.set_frontier()
    return ""


def the_tail_rewritten(writer: Writer) -> str:
    last = max(writer.headers())
    writer.write(last, writer.headers()[last] | {"at": 1})
    return ""


def an_event_rewritten_and_the_stream_rechained(writer: Writer) -> str:
    writer.write(1, writer.headers()[1] | {"requested_by": "somebody.else"})
    writer.rechain()
    return ""


def a_header_rewritten(writer: Writer) -> str:
    body = canonical(writer.headers()[2] | {"at": 1})
    writer.sql(
        f"UPDATE events SET header = {writer.literal(body)} WHERE stream = {writer.stream} AND seq = 2"
    )
    return f"{writer.run}.2"


def an_event_inserted(writer: Writer) -> str:
    return writer.insert()


def an_event_with_an_index_of_its_own(writer: Writer) -> str:
    writer.sql(
        f"UPDATE leaves SET idx = idx + 5 WHERE log = {writer.log} AND idx = (SELECT max(idx) FROM leaves WHERE log = {writer.log})"
    )
    return ""


def the_tail_cut_off(writer: Writer) -> str:
    writer.cut(len(writer.leaves()) - 2)
    return ""


def the_head_taken_away(writer: Writer) -> str:
    writer.set_head("note = NULL")
    return ""


def the_head_garbled(writer: Writer) -> str:
    writer.set_head("note = 'nonsense'")
    return ""


def the_tree_garbled(writer: Writer) -> str:
    writer.set_head(f"frontier = {writer.literal(b'x' * 7)}")
    return ""


def the_mark_moved_on(writer: Writer) -> str:
    writer.set_head("through = through + 1000000")
    return ""


def the_run_moved_to_another_tenant(writer: Writer) -> str:
    writer.sql(f"UPDATE streams SET tenant = 'abroad' WHERE name = '{writer.run}'")
    for table in ("runs", "postings"):
        where = "id" if table == "runs" else "run"
        writer.sql(f"UPDATE {table} SET tenant = 'abroad' WHERE {where} = '{writer.run}'")
    return f"{writer.run}.1"


FORGERIES: tuple[Forgery, ...] = (
    the_tail_rewritten_with_its_tree,
    the_tail_rewritten,
    an_event_rewritten_and_the_stream_rechained,
    a_header_rewritten,
    an_event_inserted,
    an_event_with_an_index_of_its_own,
    the_tail_cut_off,
    the_head_taken_away,
    the_head_garbled,
    the_tree_garbled,
    the_mark_moved_on,
    the_run_moved_to_another_tenant,
)
