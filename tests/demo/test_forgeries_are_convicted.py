"""Who holds the database and edits it by SQL is convicted offline, and the event is named.

The forger has the file, not the signing key; with the key as well, only the witness convicts.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import msgspec
import pytest

from bailiwick.app import App
from bailiwick.audit import (
    Checkpoint,
    Fault,
    Frontier,
    Report,
    commitment,
    leaf_hash,
    sign_note,
    verify_export,
)
from bailiwick.base import canonical, parse_canonical
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.service import IntentRequest, Signer
from bailiwick.service.proof.sequencing import Sequencing
from bailiwick.stores import open_store
from bailiwick.wiring import Settings, embedded
from bailiwick.wiring.keys import DeploymentKeys

ADMIN = Principal("usr_root", "root", PrincipalKind.USER, "default", Role.ADMIN)
LOG = "tenant:default"
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


class Base(msgspec.Struct, frozen=True):
    """A data directory with a few runs in it, what a witness kept of its log, and the log's true key."""

    folder: Path
    notes: tuple[str, ...]
    vkey: str


def greeting() -> App:
    app = App("forge")

    @app.code_agent("greet", output={"text": str}, input=TEXT)
    async def greet(ctx: object, given: dict[str, str]) -> dict[str, str]:
        return {"text": "hello " + given["text"]}

    app.workflow("greet", steps=[{"id": "work", "uses": "greet", "input": {"text": "$.intent.input.text"}}])
    return app


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return asyncio.run(make(tmp_path_factory.mktemp("genuine") / "data"))


async def make(folder: Path) -> Base:
    notes = []
    async with embedded(Settings(data_dir=str(folder)), [greeting()]) as system:
        ended: asyncio.Queue[str] = asyncio.Queue()
        system.platform.observers.append(lambda _, after, __: after.closed and ended.put_nowait(after.id))
        for text in ("one", "two", "three"):
            request = IntentRequest(app="forge", workflow="greet", input={"text": text})
            await system.platform.submitting.submit(ADMIN, request)
            await asyncio.wait_for(ended.get(), 30)
            notes.append((await system.platform.sequencing.checkpoint(ADMIN)).note)
        return Base(folder, tuple(notes), system.platform.sequencing.signer.vkey)


class Forger:
    """Edits a copy of the database; what it calls an event is (pos, stream name, seq)."""

    def __init__(self, path: Path) -> None:
        self.db = apsw.Connection(str(path))

    def events(self) -> list[tuple[int, str, int, bytes]]:
        sql = """SELECT e.pos, s.name, e.seq, e.header FROM leaves v JOIN events e ON e.pos = v.pos
                 JOIN streams s ON s.id = e.stream JOIN logs l ON l.id = v.log WHERE l.name = ? ORDER BY v.idx"""
        return list(self.db.execute(sql, (LOG,)))

    def find(self, kind: bytes, nth: int = 0) -> tuple[int, str]:
        found = [row for row in self.events() if b'"kind":"%b"' % kind in row[3]]
        return found[nth][0], f"{found[nth][1]}.{found[nth][2]}"

    def header(self, pos: int) -> dict:
        return parse_canonical(self.db.execute("SELECT header FROM events WHERE pos = ?", (pos,)).get)

    def write(self, pos: int, header: dict, *, rehash: bool = False) -> None:
        body = canonical(header)
        self.db.execute("UPDATE events SET header = ? WHERE pos = ?", (body, pos))
        if rehash:
            self.db.execute("UPDATE events SET leaf = ? WHERE pos = ?", (leaf_hash(body), pos))

    def rechain(self, stream: str) -> None:
        """Make a stream consistent again after an edit: every leaf and every citation."""
        prev = ""
        for pos, name, _, _ in self.events():
            if name == stream:
                self.write(pos, self.header(pos) | {"prev": prev}, rehash=True)
                prev = self.db.execute("SELECT leaf FROM events WHERE pos = ?", (pos,)).get.hex()

    def sign_again(self, signer: Signer, leaves: Sequence[bytes] | None = None) -> None:
        """What only the holder of the signing key can: sign the head that the edited leaves make."""
        if leaves is None:
            sql = """SELECT e.leaf FROM leaves v JOIN events e ON e.pos = v.pos
                     JOIN logs l ON l.id = v.log WHERE l.name = ? ORDER BY v.idx"""
            leaves = [row[0] for row in self.db.execute(sql, (LOG,))]
        frontier = Frontier().extend(leaves)
        head = Checkpoint(f"{signer.name}/{LOG}", frontier.size, frontier.root())
        note = sign_note(head, signer.name, signer.sign, signer.public)
        row = (frontier.size, b"".join(frontier.subtrees), note, LOG)
        self.db.execute("UPDATE logs SET size = ?, frontier = ?, note = ? WHERE name = ?", row)

    def cut(self, keep: int) -> None:
        """Let the log end earlier, without a trace in the tables."""
        for pos, _, _, _ in self.events()[keep:]:
            for table in ("leaves", "payloads", "events"):
                self.db.execute(f"DELETE FROM {table} WHERE pos = ?", (pos,))
        through = self.events()[-1][0]
        self.db.execute("UPDATE logs SET through = ? WHERE name = ?", (through, LOG))
        self.db.execute("UPDATE feed SET placed = ?", (through,))


Forgery = Callable[[Forger], str]
"""Edits the database; answers the event that must be named, or "" when only the log as a whole can be accused."""


def another_actor(forger: Forger) -> str:
    pos, event = forger.find(b"run.created")
    forger.write(pos, forger.header(pos) | {"requested_by": "somebody.else"})
    return event


def another_verdict(forger: Forger) -> str:
    pos, event = forger.find(b"steps.moved", 1)
    header = forger.header(pos)
    header["moves"][0]["policies"] = ["base.allow-everything"]
    forger.write(pos, header)
    return event


def another_instant(forger: Forger) -> str:
    pos, event = forger.find(b"run.closed")
    forger.write(pos, forger.header(pos) | {"at": 1})
    return event


def another_payload(forger: Forger) -> str:
    pos, event = forger.find(b"run.created")
    forger.db.execute("UPDATE payloads SET body = ? WHERE pos = ?", (b'{"intent":{"text":"forged"}}', pos))
    return event


def another_payload_and_commitment(forger: Forger) -> str:
    pos, event = forger.find(b"run.created")
    body, salt = b'{"intent":{"text":"forged"}}', b"s" * 16
    forger.db.execute("UPDATE payloads SET body = ?, salt = ? WHERE pos = ?", (body, salt, pos))
    forger.write(pos, forger.header(pos) | {"payload": commitment(salt, body)})
    return event


def a_payload_removed(forger: Forger) -> str:
    pos, event = forger.find(b"run.created", 1)
    forger.db.execute("DELETE FROM payloads WHERE pos = ?", (pos,))
    return event


def payloads_exchanged(forger: Forger) -> str:
    (one, event), (other, _) = forger.find(b"run.created"), forger.find(b"run.created", 1)
    for old, new in ((one, -1), (other, one), (-1, other)):
        forger.db.execute("UPDATE payloads SET pos = ? WHERE pos = ?", (new, old))
    return event


def an_event_removed(forger: Forger) -> str:
    pos, _ = forger.find(b"steps.moved")
    for table in ("leaves", "payloads", "events"):
        forger.db.execute(f"DELETE FROM {table} WHERE pos = ?", (pos,))
    return ""


def an_event_removed_and_the_rest_closed_up(forger: Forger) -> str:
    pos, event = forger.find(b"steps.moved")
    stream = event.rpartition(".")[0]
    idx, log = forger.db.execute("SELECT idx, log FROM leaves WHERE pos = ?", (pos,)).get
    for table in ("leaves", "payloads", "events"):
        forger.db.execute(f"DELETE FROM {table} WHERE pos = ?", (pos,))
    forger.db.execute("UPDATE leaves SET idx = -idx WHERE log = ? AND idx > ?", (log, idx))
    forger.db.execute("UPDATE leaves SET idx = -idx - 1 WHERE log = ? AND idx < 0", (log,))
    for seq, (other, name, old, _) in enumerate([row for row in forger.events() if row[1] == stream], 1):
        if seq != old:
            forger.db.execute("UPDATE events SET seq = ? WHERE pos = ?", (seq, other))
            forger.write(other, forger.header(other) | {"seq": seq})
        assert name == stream
    forger.rechain(stream)
    return ""


def events_exchanged(forger: Forger) -> str:
    (one, _), (other, _) = forger.find(b"run.created"), forger.find(b"run.created", 1)
    first = forger.db.execute("SELECT header, leaf FROM events WHERE pos = ?", (one,)).get
    second = forger.db.execute("SELECT header, leaf FROM events WHERE pos = ?", (other,)).get
    for pos, (header, leaf) in ((one, second), (other, first)):
        forger.db.execute("UPDATE events SET header = ?, leaf = ? WHERE pos = ?", (header, leaf, pos))
    return ""


def the_order_of_leaves_changed(forger: Forger) -> str:
    (one, _), (other, _) = forger.find(b"run.created"), forger.find(b"run.created", 1)
    for old, new in ((one, -1), (other, one), (-1, other)):
        forger.db.execute("UPDATE leaves SET pos = ? WHERE pos = ?", (new, old))
    return ""


def an_event_edited_and_rehashed(forger: Forger) -> str:
    pos, event = forger.find(b"steps.moved")
    forger.write(pos, forger.header(pos) | {"at": 1}, rehash=True)
    stream, _, seq = event.rpartition(".")
    return f"{stream}.{int(seq) + 1}"  # whose citation no longer fits


def an_event_edited_and_its_stream_rechained(forger: Forger) -> str:
    pos, event = forger.find(b"run.created")
    forger.write(pos, forger.header(pos) | {"requested_by": "somebody.else"})
    forger.rechain(event.rpartition(".")[0])
    return ""


def another_head(forger: Forger) -> str:
    forger.db.execute("UPDATE logs SET note = replace(note, 'bailiwick', 'bailiwich') WHERE name = ?", (LOG,))
    return ""


def an_older_head(forger: Forger) -> str:
    forger.cut(len(forger.events()) - 2)  # the tables end earlier, the signed head does not
    return ""


def an_event_inserted_with_its_stream_rechained(forger: Forger) -> str:
    pos, event = forger.find(b"run.created")
    name = event.rpartition(".")[0]
    stream, log = forger.db.execute("SELECT stream, log FROM events WHERE pos = ?", (pos,)).get
    forger.db.execute("UPDATE events SET seq = -seq - 1 WHERE stream = ? AND seq > 1", (stream,))
    forger.db.execute("UPDATE events SET seq = -seq WHERE stream = ? AND seq < 0", (stream,))
    body = canonical(forger.header(pos) | {"at": 1})
    row = "(SELECT max(pos) + 1 FROM events), ?, 2, ?, ?, ?"
    forger.db.execute(
        f"INSERT INTO events (pos, stream, seq, log, header, leaf) VALUES ({row})",
        (stream, log, body, leaf_hash(body)),
    )
    prev = ""
    for seq, at in list(
        forger.db.execute("SELECT seq, pos FROM events WHERE stream = ? ORDER BY seq", (stream,))
    ):
        forger.write(at, forger.header(at) | {"prev": prev, "seq": seq}, rehash=True)
        prev = forger.db.execute("SELECT leaf FROM events WHERE pos = ?", (at,)).get.hex()
    return f"{name}.2"


def a_leaf_with_an_index_beyond_the_head(forger: Forger) -> str:
    forger.db.execute("UPDATE leaves SET idx = idx + 7 WHERE idx = (SELECT max(idx) FROM leaves)")
    return ""


FORGERIES: tuple[Forgery, ...] = (
    another_actor,
    another_verdict,
    another_instant,
    another_payload,
    another_payload_and_commitment,
    a_payload_removed,
    payloads_exchanged,
    an_event_removed,
    an_event_removed_and_the_rest_closed_up,
    events_exchanged,
    the_order_of_leaves_changed,
    an_event_edited_and_rehashed,
    an_event_edited_and_its_stream_rechained,
    another_head,
    an_older_head,
    an_event_inserted_with_its_stream_rechained,
    a_leaf_with_an_index_beyond_the_head,
)


def test_there_are_at_least_twelve_kinds_of_forgery() -> None:
    assert len(FORGERIES) >= 12


async def verified(
    base: Base, folder: Path, forge: Callable[[Forger], object] | None, **more: object
) -> Report:
    """Forge a copy of the data directory, let the platform export it, and verify that offline."""
    shutil.copytree(base.folder, folder)
    if forge is not None:
        forger = Forger(folder / "ledger.db")
        forge(forger)
        forger.db.close()
    keys = DeploymentKeys(folder / "keys")
    store = open_store(folder, blob_key=keys.blob_key)
    try:
        signer = keys.signer("bailiwick.local")
        files = await Sequencing(audit=store.audit, feed=store.feed, signer=signer).export(ADMIN)
    finally:
        store.close()
    return verify_export(files, trusted=[base.vkey], **more)


async def test_what_nobody_edited_verifies_up_to_the_last_witnessed_head(made: Base, tmp_path: Path) -> None:
    report = await verified(made, tmp_path / "copy", None, witnessed=made.notes)
    assert (report.ok, report.anchored, report.findings) == (True, True, ())
    assert report.witnessed == report.size > 10


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_forgery_is_found_and_located(made: Base, tmp_path: Path, forge: Forgery) -> None:
    named: list[str] = []
    report = await verified(made, tmp_path / "copy", lambda forger: named.append(forge(forger)))
    assert not report.ok
    accused = {finding.event for finding in report.findings}
    assert named[0] in accused, report.findings


def rewritten(base: Base, edit: Forgery) -> Callable[[Forger], str]:
    def forge(forger: Forger) -> str:
        event = edit(forger)
        forger.sign_again(DeploymentKeys(base.folder / "keys").signer("bailiwick.local"))
        return event

    return forge


@pytest.mark.parametrize(
    "edit",
    [an_event_edited_and_its_stream_rechained, an_event_removed_and_the_rest_closed_up, an_older_head],
    ids=lambda edit: edit.__name__,
)
async def test_a_forger_with_the_signing_key_is_convicted_by_the_witness_alone(
    made: Base, tmp_path: Path, edit: Forgery
) -> None:
    forge = rewritten(made, edit)
    alone = await verified(made, tmp_path / "alone", forge)
    assert alone.ok, alone.findings
    assert alone.witnessed == 0  # and so all of it is reported as not covered
    report = await verified(made, tmp_path / "copy", forge, witnessed=made.notes)
    (finding,) = report.findings
    assert finding.code is Fault.HISTORY_REWRITTEN
    sizes = [0, *(int(note.split("\n")[1]) for note in made.notes)]
    assert finding.index in sizes[:-1]
    assert f"from {finding.index} to {sizes[sizes.index(finding.index) + 1] - 1}" in finding.detail


async def test_the_tail_behind_the_last_witnessed_head_is_not_promised(made: Base, tmp_path: Path) -> None:
    """What P16 does not promise is said in figures: the forgery passes, and its range is named as not covered."""

    def last(forger: Forger) -> str:
        pos, event = forger.find(b"run.closed", 2)
        forger.write(pos, forger.header(pos) | {"at": 1})
        forger.rechain(event.rpartition(".")[0])
        return event

    forge = rewritten(made, last)
    report = await verified(made, tmp_path / "copy", forge, witnessed=made.notes[:2])
    assert report.ok
    assert report.witnessed == int(made.notes[1].split("\n")[1]) < report.size
