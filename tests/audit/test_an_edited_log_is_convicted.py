"""Whoever edits an exported log, with or without the key, is found, and the place of the edit is told."""

import hashlib

import pytest

from bailiwick.audit import Entry, Fault, build_export, commitment, leaf_hash, root_of, seal, verify_export
from bailiwick.audit.export import write_entry


def lines(files: dict[str, bytes]) -> list[bytes]:
    return files["entries.jsonl"].splitlines(keepends=True)


def with_lines(files: dict[str, bytes], changed: list[bytes]) -> dict[str, bytes]:
    return {**files, "entries.jsonl": b"".join(changed)}


def faults(files: dict[str, bytes], **known) -> set[tuple[str, Fault]]:
    return {(finding.event, finding.code) for finding in verify_export(files, **known).findings}


def test_a_true_export_is_ok_and_says_what_it_covers(log, signer) -> None:
    report = verify_export(log.export(), trusted=[signer.vkey], witnessed=[log.note(3)])
    assert (report.ok, report.anchored, report.findings) == (True, True, ())
    assert (report.origin, report.size, report.covered) == ("audit.test/acme", 9, 9)


def test_an_erased_payload_is_no_fault_and_is_said(log) -> None:
    report = verify_export(log.export())
    assert (report.ok, report.erased) == (True, ("run_a.3",))


def test_an_empty_log_is_ok(empty_log) -> None:
    report = verify_export(empty_log.export())
    assert (report.ok, report.size, report.covered) == (True, 0, 0)


def test_an_export_vouched_for_by_itself_alone_says_so(log) -> None:
    assert not verify_export(log.export()).anchored


@pytest.mark.parametrize("name", ["checkpoint", "pubkey", "leaves", "entries.jsonl"])
def test_an_export_without_one_of_its_files_is_not_ok(log, name: str) -> None:
    files = log.export()
    del files[name]
    assert ("", Fault.FILE_MISSING) in faults(files)


@pytest.mark.parametrize("index", [0, 2, 3])
def test_a_removed_entry_is_found_and_its_place_told(log, index: int) -> None:
    files = log.export()
    kept = lines(files)
    del kept[index]
    report = verify_export(with_lines(files, kept))
    (finding,) = report.findings
    assert (finding.code, finding.index) == (Fault.ENTRY_MISSING, index)
    # The successor knows the name; run_b.1 has none, so the neighbours must do.
    assert finding.event == {3: ""}.get(index, log.names[index])
    before = log.names[index - 1] if index else "the start"
    assert f"between {before} and {log.names[index + 1]}" in finding.detail


def test_a_cut_tail_is_found(log) -> None:
    files = log.export()
    report = verify_export(with_lines(files, lines(files)[:-2]))
    assert [(one.code, one.index) for one in report.findings] == [
        (Fault.ENTRY_MISSING, 7),
        (Fault.ENTRY_MISSING, 8),
    ]


def test_a_tail_cut_from_entries_and_leaves_is_found(log) -> None:
    files = with_lines(log.export(), lines(log.export())[:-2])
    cut = {**files, "leaves": files["leaves"][: 65 * 7]}
    assert faults(cut) == {("", Fault.SIZE_MISMATCH), ("", Fault.ROOT_MISMATCH)}


def test_swapped_entries_are_found(log) -> None:
    files = log.export()
    swapped = lines(files)
    swapped[2], swapped[3] = swapped[3], swapped[2]
    assert faults(with_lines(files, swapped)) == {("run_a.2", Fault.ENTRY_MOVED)}


def test_swapped_and_renumbered_entries_are_found(log) -> None:
    files = log.export()
    swapped = list(log.entries)
    swapped[2] = Entry(2, log.entries[3].header, log.entries[3].salt, log.entries[3].payload)
    swapped[3] = Entry(3, log.entries[2].header, log.entries[2].salt, log.entries[2].payload)
    body = b"".join(write_entry(entry) + b"\n" for entry in swapped)
    found = faults({**files, "entries.jsonl": body})
    assert found == {("run_a.2", Fault.ENTRY_MOVED), ("run_b.1", Fault.ENTRY_MOVED)}


def test_a_duplicated_entry_is_found(log) -> None:
    files = log.export()
    assert faults(with_lines(files, [*lines(files)[:3], *lines(files)[2:]])) == {
        ("run_a.2", Fault.ENTRY_SURPLUS)
    }


def test_an_inserted_entry_is_found(log) -> None:
    files = log.export()
    forged = seal({"kind": "granted"}, stream="run_a", seq=6, prev=log.leaves[7].hex(), payload=None)
    inserted = [*lines(files), write_entry(Entry(8, forged, b"", None)) + b"\n"]
    assert faults(with_lines(files, inserted)) == {("run_a.6", Fault.ENTRY_SURPLUS)}


@pytest.mark.parametrize("line", [b"\n", b"junk\n", b'{"index":1}\n', b"\xff\n", b"[" * 5000 + b"\n"])
def test_an_inserted_line_of_junk_is_found(log, line: bytes) -> None:
    files = log.export()
    assert faults(with_lines(files, [*lines(files), line])) == {("", Fault.ENTRY_SURPLUS)}


def test_another_spelling_of_an_entry_is_not_the_entry(log) -> None:
    files = log.export()
    spaced = [line.replace(b'"index":4', b'"index": 4') for line in lines(files)]
    assert {event for event, _ in faults(with_lines(files, spaced))} == {"run_a.3"}
    doubled = [line.replace(b'"index":4', b'"index":4,"index":4') for line in lines(files)]
    assert {event for event, _ in faults(with_lines(files, doubled))} == {"run_a.3"}


@pytest.mark.parametrize(
    ("salt", "payload"),
    [
        (bytes(16), b'{"step":"plan"}'),
        (b"", b'{"step":"plan"}'),
        (bytes(16), None),
    ],
)
def test_a_payload_or_salt_exchanged_is_found(log, salt: bytes, payload: bytes | None) -> None:
    files = log.export()
    forged = write_entry(Entry(0, log.entries[0].header, salt, payload)) + b"\n"
    assert faults(with_lines(files, [forged, *lines(files)[1:]])) == {("run_a.1", Fault.PAYLOAD_CHANGED)}


def test_a_payload_given_to_an_event_without_one_is_found(log) -> None:
    files = log.export()
    changed = lines(files)
    changed[1] = write_entry(Entry(1, log.entries[1].header, bytes(16), b"{}")) + b"\n"
    assert faults(with_lines(files, changed)) == {("tenant:acme.1", Fault.PAYLOAD_CHANGED)}


def test_a_header_rewritten_with_its_leaf_does_not_fit_the_signed_root(log) -> None:
    files = log.export()
    salt, body = bytes(16), b'{"step":"forged"}'
    header = seal({"kind": "moved"}, stream="run_a", seq=1, prev="", payload=commitment(salt, body))
    leaves = [leaf_hash(header), *log.leaves[1:]]
    entries = [Entry(0, header, salt, body), *log.entries[1:]]
    forged = build_export(entries, leaves, files["checkpoint"].decode(), log.signer.vkey)
    assert ("", Fault.ROOT_MISMATCH) in faults(forged)
    assert ("run_a.2", Fault.PREV_MISMATCH) in faults(forged)


def test_a_log_signed_anew_by_a_stranger_is_not_the_trusted_one(log, stranger, signer) -> None:
    log.signer = stranger
    assert faults(log.export()) == set()
    found = faults(log.export(), trusted=[signer.vkey])
    assert found == {("", Fault.KEY_UNTRUSTED), ("", Fault.CHECKPOINT_UNVERIFIED)}


def test_an_insider_with_database_and_key_is_convicted_by_the_witness(log) -> None:
    witnessed = log.note(5)
    log.entries.clear()
    log.names.clear()
    log.heads.clear()
    for at in range(8):
        log.add("run_a", b'{"forged":%d}' % at)
    assert faults(log.export()) == set()
    assert faults(log.export(), witnessed=[witnessed]) == {("", Fault.HISTORY_REWRITTEN)}


def test_a_log_shorter_than_what_was_witnessed_is_convicted(log) -> None:
    witnessed = log.note()
    short = build_export(log.entries[:4], log.leaves[:4], log.note(4), log.signer.vkey)
    assert faults(short) == set()
    assert faults(short, witnessed=[witnessed]) == {("", Fault.HISTORY_REWRITTEN)}


def test_a_witnessed_note_that_does_not_open_is_no_witness(log) -> None:
    assert faults(log.export(), witnessed=["junk"]) == {("", Fault.CHECKPOINT_MALFORMED)}


def test_the_witness_of_another_log_does_not_speak_for_this_one(log) -> None:
    mine = log.export()
    log.origin = "audit.test/other"
    assert faults(mine, witnessed=[log.note(5)]) == {("", Fault.HISTORY_REWRITTEN)}


@pytest.mark.parametrize("seq", [1, 3, 9])
def test_a_stream_with_a_hole_or_a_repeat_is_found_though_it_is_signed(empty_log, seq: int) -> None:
    empty_log.add("run_a")
    empty_log.add("run_a", seq=seq)
    assert faults(empty_log.export()) == {(f"run_a.{seq}", Fault.SEQ_GAP)}


def test_a_stream_that_does_not_begin_at_its_beginning_is_found(empty_log) -> None:
    empty_log.add("run_a", seq=2, prev=hashlib.sha256(b"cut").hexdigest())
    assert faults(empty_log.export()) == {("run_a.2", Fault.SEQ_GAP)}


def test_a_stream_that_cites_another_past_is_found_though_it_is_signed(empty_log) -> None:
    empty_log.add("run_a")
    empty_log.add("run_a", prev=hashlib.sha256(b"another").hexdigest())
    assert faults(empty_log.export()) == {("run_a.2", Fault.PREV_MISMATCH)}


def test_a_signed_header_without_a_place_is_found(empty_log) -> None:
    empty_log.entries.append(Entry(0, b'{"kind":"moved"}', b"", None))
    assert faults(empty_log.export()) == {("", Fault.HEADER_MALFORMED)}


def test_many_edits_at_once_are_each_found(log) -> None:
    files = log.export()
    changed = lines(files)
    changed[0] = changed[0].replace(b"writer", b"wraith")
    changed[2] = changed[2].replace("größer".encode(), b"kleiner")
    del changed[6]
    found = {(event, code) for event, code in faults(with_lines(files, changed)) if event}
    assert found == {
        ("run_a.1", Fault.HEADER_CHANGED),
        ("run_a.2", Fault.PAYLOAD_CHANGED),
        ("run_a.4", Fault.ENTRY_MISSING),
    }


def test_an_export_of_entries_that_do_not_stand_for_the_leaves_is_written_and_convicts(log) -> None:
    for entries in (log.entries[1:], log.entries[::-1], [*log.entries, log.entries[0]]):
        assert faults(build_export(entries, log.leaves, log.note(), log.signer.vkey))


def test_the_signed_root_is_that_of_the_exported_leaves(log) -> None:
    leaves = [bytes.fromhex(line.decode()) for line in log.export()["leaves"].split()]
    assert leaves == log.leaves
    assert root_of(leaves) == root_of(log.leaves)
