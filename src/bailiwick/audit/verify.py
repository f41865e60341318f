"""Offline verification: whether an export is what the log's key signed, and if not, which event was touched."""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from bailiwick.audit.checkpoint import Checkpoint, open_note
from bailiwick.audit.export import (
    CHECKPOINT,
    ENTRIES,
    LEAVES,
    PUBKEY,
    ROTATIONS,
    VERIFIER,
    VERIFIERS,
    WITNESSED,
    Entry,
    read_leaves,
)
from bailiwick.audit.leaf import MIN_SALT, commitment
from bailiwick.audit.merkle import root_of
from bailiwick.audit.note import (
    NoteMalformed,
    NoteUnverified,
    VerifierKey,
    VerifierKeyMalformed,
    open_text,
    parse_verifier_key,
)
from bailiwick.audit.placing import Names, Placed, Said, erasures, leaf_of, place, read_header
from bailiwick.audit.rotation import linked, notes_in
from bailiwick.base import digest_of


class Fault(StrEnum):
    """What can be wrong with an export."""

    FILE_MISSING = "file_missing"
    KEY_MALFORMED = "key_malformed"
    KEY_UNTRUSTED = "key_untrusted"
    CHECKPOINT_MALFORMED = "checkpoint_malformed"
    CHECKPOINT_UNVERIFIED = "checkpoint_unverified"
    VERIFIER_CHANGED = "verifier_changed"
    SIZE_MISMATCH = "size_mismatch"
    ROOT_MISMATCH = "root_mismatch"
    HISTORY_REWRITTEN = "history_rewritten"
    LEAF_MALFORMED = "leaf_malformed"
    HEADER_CHANGED = "header_changed"
    HEADER_MALFORMED = "header_malformed"
    PAYLOAD_CHANGED = "payload_changed"
    PAYLOAD_MISSING = "payload_missing"
    ENTRY_BROKEN = "entry_broken"
    ENTRY_MISSING = "entry_missing"
    ENTRY_MOVED = "entry_moved"
    ENTRY_SURPLUS = "entry_surplus"
    SEQ_GAP = "seq_gap"
    PREV_MISMATCH = "prev_mismatch"


class Finding(msgspec.Struct, frozen=True):
    """One fault: the event as `stream.seq` ("" when it concerns none, or its name is lost) and its leaf's index."""

    event: str
    index: int | None
    code: Fault
    detail: str


class Report(msgspec.Struct, frozen=True):
    """What verification found.

    `size` and `origin` are the checkpoint's (0 and "" without a good one); `covered` counts the events whose
    header is under it; `witnessed` is the size of the newest head that was kept outside and begins this log:
    what lies behind it, the holder of the signing key could still have rewritten. `erased` names events whose
    payload was erased by a recorded act, which proves nothing wrong. `anchored`: the key came from outside
    the export; if not, all is only as good as the way by which the export came.
    """

    ok: bool
    anchored: bool
    origin: str
    size: int
    covered: int
    witnessed: int
    findings: tuple[Finding, ...]
    erased: tuple[str, ...]


def verify_export(
    files: Mapping[str, bytes],
    *,
    trusted: Sequence[str] = (),
    witnessed: Sequence[str] = (),
    witnesses: Sequence[str] = (),
) -> Report:
    """Check all of an export: signature, tree, every header, payload and stream.

    Args:
        files: The export's files by name (`EXPORT_FILES`); others are ignored, `verify.py` may be missing.
        trusted: Verifier keys that the caller knows from elsewhere; empty: the export's own key is believed.
        witnessed: Earlier signed checkpoints of the same log, kept outside it, each by a key above or one that
            a rotation links to it; a file may hold those of other logs too.
        witnesses: Verifier keys of witnesses; with any, only checkpoints that one of them cosigned count as
            witnessed, and those that the export brings along do as well.
    """
    absent = [name for name in (CHECKPOINT, PUBKEY, LEAVES, ENTRIES) if name not in files]
    findings = [_of_log(Fault.FILE_MISSING, f"the export has no file {name}") for name in absent]
    rotations = notes_in(files.get(ROTATIONS, b"").decode(errors="replace"))
    vkeys, key_findings = _keys(files.get(PUBKEY, b""), trusted, rotations)
    checkpoint, note_findings = _open(files.get(CHECKPOINT, b""), vkeys)
    leaves = read_leaves(files.get(LEAVES, b""))
    placed = place(files.get(ENTRIES, b""), leaves)
    names = Names(placed, leaves)
    findings += [*key_findings, *note_findings, *_check_verifier(files)]
    seen = 0
    if checkpoint is not None:
        findings += _check_tree(checkpoint, leaves)
        own = notes_in(files.get(WITNESSED, b"").decode(errors="replace")) if witnesses else []
        heads, unopened = _heads(_about(checkpoint, [*witnessed, *own]), vkeys, witnesses)
        seen, rewritten = _check_witnessed(checkpoint, leaves, heads)
        findings += [*unopened, *rewritten]
    findings += _check_places(placed, names, leaves)
    findings += _check_payloads(placed, names)
    findings += _check_streams(placed, names, leaves)
    if not findings:  # else the act that erased a payload may be what was damaged, and that is told
        findings += _check_erasures(placed, names)
    return Report(
        ok=not findings,
        anchored=bool(trusted),
        origin=checkpoint.origin if checkpoint else "",
        size=checkpoint.size if checkpoint else 0,
        covered=len(placed.genuine),
        witnessed=seen,
        findings=tuple(findings),
        erased=tuple(
            said.event
            for index, said in names.said.items()
            if said.payload is not None and placed.genuine[index].payload is None
        ),
    )


def _of_log(code: Fault, detail: str) -> Finding:
    return Finding(event="", index=None, code=code, detail=detail)


def _keys(
    body: bytes, trusted: Sequence[str], rotations: Sequence[str]
) -> tuple[tuple[str, ...], list[Finding]]:
    """Tell the keys to believe, and what is wrong with the export's own."""
    own = body.decode(errors="replace").removesuffix("\n")
    findings: list[Finding] = []
    try:
        parse_verifier_key(own)
    except VerifierKeyMalformed as refusal:
        findings.append(_of_log(Fault.KEY_MALFORMED, refusal.message))
        return linked(trusted, rotations), findings
    known = linked(trusted or [own], rotations)
    if body != f"{own}\n".encode():
        findings.append(_of_log(Fault.KEY_MALFORMED, "the key does not end with one newline"))
    if own not in known:
        detail = f"the export's key {own} is not among the trusted ones, and no rotation leads to it"
        findings.append(_of_log(Fault.KEY_UNTRUSTED, detail))
    return known, findings


def _open(body: bytes, vkeys: Sequence[str]) -> tuple[Checkpoint | None, list[Finding]]:
    try:
        return open_note(body.decode(), vkeys), []
    except UnicodeDecodeError:
        return None, [_of_log(Fault.CHECKPOINT_MALFORMED, "the checkpoint is not UTF-8")]
    except NoteMalformed as refusal:
        return None, [_of_log(Fault.CHECKPOINT_MALFORMED, refusal.message)]
    except NoteUnverified as refusal:
        return None, [_of_log(Fault.CHECKPOINT_UNVERIFIED, refusal.message)]


def _check_verifier(files: Mapping[str, bytes]) -> Iterator[Finding]:
    if VERIFIER in files and digest_of(files[VERIFIER]) not in VERIFIERS:
        yield _of_log(
            Fault.VERIFIER_CHANGED, f"{VERIFIER} is none of the verifiers ever shipped; do not run it"
        )


def _check_tree(checkpoint: Checkpoint, leaves: Sequence[bytes | None]) -> Iterator[Finding]:
    if len(leaves) != checkpoint.size:
        detail = f"{len(leaves)} leaves are listed, {checkpoint.size} are signed"
        yield _of_log(Fault.SIZE_MISMATCH, detail)
    whole = [leaf for leaf in leaves if leaf is not None]
    if len(whole) == len(leaves) and root_of(whole) != checkpoint.root:
        yield _of_log(Fault.ROOT_MISMATCH, "the leaves do not hash to the signed root")


def _about(checkpoint: Checkpoint, notes: Sequence[str]) -> Sequence[str]:
    """Choose the notes of this log from a file that may hold several; if none says so, none is left out."""
    return [note for note in notes if note.startswith(f"{checkpoint.origin}\n")] or notes


def _heads(
    notes: Sequence[str], vkeys: Sequence[str], witnesses: Sequence[str]
) -> tuple[list[Checkpoint], list[Finding]]:
    """Open the notes that were kept outside; with witnesses' keys, those that one of them cosigned."""
    cosigners = [parse_verifier_key(vkey) for vkey in witnesses]
    heads: list[Checkpoint] = []
    findings: list[Finding] = []
    for note in notes:
        head, faults = _open(note.encode(), vkeys)
        findings += faults
        if head is not None and (not cosigners or _cosigned(note, cosigners)):
            heads.append(head)
    return heads, findings


def _cosigned(note: str, cosigners: Sequence[VerifierKey]) -> bool:
    try:
        open_text(note, cosigners)
    except NoteUnverified:
        return False
    return True


def _check_witnessed(
    checkpoint: Checkpoint, leaves: Sequence[bytes | None], heads: Sequence[Checkpoint]
) -> tuple[int, list[Finding]]:
    """Hold the log against what was seen of it before; answer how far that reaches, and where it first differs."""
    seen = 0
    for head in sorted(heads, key=lambda head: head.size):
        prefix = [leaf for leaf in leaves[: head.size] if leaf is not None]
        same_log = head.origin == checkpoint.origin
        if not same_log or len(prefix) != head.size or root_of(prefix) != head.root:
            detail = (
                f"the log does not begin with what was witnessed of {head.origin} at size {head.size}; "
                f"the first event that differs has an index from {seen} to {head.size - 1}"
            )
            return seen, [Finding("", seen, Fault.HISTORY_REWRITTEN, detail)]
        seen = head.size
    return seen, []


def _check_places(placed: Placed, names: Names, leaves: Sequence[bytes | None]) -> Iterator[Finding]:
    """Hold each leaf against its entry, and each entry against its place."""

    def at(index: int, code: Fault, detail: str) -> Finding:
        return Finding(names.event(index), index, code, f"{detail}; it lies {names.neighbours(index)}")

    for index, leaf in enumerate(leaves):
        if leaf is None:
            yield at(index, Fault.LEAF_MALFORMED, "its leaf is not 64 hexadecimal digits on a line")
        elif index in placed.altered:
            yield at(index, Fault.HEADER_CHANGED, "its header does not hash to its leaf")
        if index in placed.broken:
            yield at(index, Fault.ENTRY_BROKEN, "its line is not an entry in canonical form")
        elif index not in placed.genuine and index not in placed.altered:
            yield at(index, Fault.ENTRY_MISSING, "the export has no entry for its leaf")
        elif index in placed.genuine and index not in names.said:
            yield at(index, Fault.HEADER_MALFORMED, "its header lacks stream, seq or prev")
    for index in placed.moved:
        yield at(index, Fault.ENTRY_MOVED, "its entry stands out of order or under another index")
    for entry in placed.surplus:
        said = read_header(entry.header)
        detail = "an entry stands for no leaf, or for one that has its entry"
        yield Finding(said.event if said else "", entry.index, Fault.ENTRY_SURPLUS, detail)
    if placed.junk:
        yield _of_log(Fault.ENTRY_SURPLUS, f"{placed.junk} stretches of unreadable lines stand for no leaf")


def _check_erasures(placed: Placed, names: Names) -> Iterator[Finding]:
    """Hold each payload that is not there against the acts by which payloads are erased."""
    acts = erasures(placed.genuine.values())
    for index, said in names.said.items():
        gone = said.payload is not None and placed.genuine[index].payload is None
        if gone and said.event not in acts:
            detail = "its payload is gone, and no event of the log says that somebody erased it"
            yield Finding(said.event, index, Fault.PAYLOAD_MISSING, detail)


def _check_payloads(placed: Placed, names: Names) -> Iterator[Finding]:
    for index, entry in sorted((placed.genuine | placed.altered).items()):
        said = read_header(entry.header)
        fault = _payload_fault(said, entry) if said else ""
        if fault:
            yield Finding(names.event(index), index, Fault.PAYLOAD_CHANGED, fault)


def _payload_fault(said: Said, entry: Entry) -> str:
    if entry.payload is None:
        return "a salt is left of a payload that is not there" if entry.salt else ""
    if said.payload is None:
        return "the header commits to no payload, yet there is one"
    if not MIN_SALT <= len(entry.salt) <= 255:
        return f"the salt has {len(entry.salt)} bytes"
    if not hmac.compare_digest(commitment(entry.salt, entry.payload), said.payload):
        return "payload and salt do not fit the header's commitment"
    return ""


def _check_streams(placed: Placed, names: Names, leaves: Sequence[bytes | None]) -> Iterator[Finding]:
    """Follow each stream: seq from 1 without gaps, each header citing the leaf before it.

    A damaged event was reported already; its stream is followed across it, so its successor is not accused.
    """
    heads: dict[str, tuple[int, tuple[str, ...]]] = {}
    for index, leaf in enumerate(leaves):
        said = names.place_of(index)
        if said is None:
            continue
        seq, cited = heads.get(said.stream, (0, ("",)))
        if index in names.said:
            if said.seq != seq + 1:
                detail = f"seq {said.seq} follows {seq} in its stream"
                yield Finding(said.event, index, Fault.SEQ_GAP, detail)
            elif said.prev not in cited:
                detail = "it does not cite the leaf of its predecessor"
                yield Finding(said.event, index, Fault.PREV_MISMATCH, detail)
        own = [leaf_of(entries[index]) for entries in (placed.genuine, placed.altered) if index in entries]
        heads[said.stream] = (said.seq, (*own, *([leaf.hex()] if leaf is not None else [])))
