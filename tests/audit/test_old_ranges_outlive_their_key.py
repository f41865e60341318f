"""A key is replaced by a statement that both keys sign: what the old one vouched for stays verifiable."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from bailiwick import audit
from bailiwick.audit import (
    NoteMalformed,
    NoteUnverified,
    Rotation,
    build_export,
    linked,
    notes_in,
    open_rotation,
    sign_rotation,
    verify_export,
)

STANDALONE = Path(audit.__file__).parent / "standalone.py"


@pytest.fixture
def successor(signer):
    return type(signer)(seed=3, name=signer.name)


def statement(old, new) -> str:
    return sign_rotation(Rotation(old.vkey, new.vkey), old.sign, new.sign)


def rotated(log, *chain) -> dict[str, bytes]:
    """Export the log under the last key of a chain of rotations."""
    notes = "".join(statement(old, new) for old, new in itertools.pairwise(chain))
    log.signer = chain[-1]
    return build_export(log.entries, log.leaves, log.note(), chain[-1].vkey, notes)


def test_a_statement_needs_both_keys(signer, successor, stranger) -> None:
    note = statement(signer, successor)
    assert open_rotation(note) == Rotation(signer.vkey, successor.vkey)
    with pytest.raises(NoteUnverified):
        sign_rotation(Rotation(signer.vkey, successor.vkey), signer.sign, stranger.sign)
    body, _, lines = note.rpartition("\n\n")
    for line in lines.splitlines():
        with pytest.raises(NoteUnverified):
            open_rotation(f"{body}\n\n{line}\n")
    with pytest.raises(NoteMalformed):
        open_rotation(note.replace("bailiwick key rotation v1", "bailiwick key rotation v2"))


def test_who_trusts_the_old_key_can_check_what_the_new_one_signed(log, signer, successor) -> None:
    files = rotated(log, signer, successor)
    for trusted in (signer.vkey, successor.vkey):
        report = verify_export(files, trusted=[trusted])
        assert (report.ok, report.anchored) == (True, True), report.findings


def test_a_chain_of_rotations_is_followed(log, signer, successor) -> None:
    chain = [signer, successor, *(type(signer)(seed=seed, name=signer.name) for seed in (4, 5, 6))]
    assert verify_export(rotated(log, *chain), trusted=[signer.vkey]).ok


def test_what_was_witnessed_under_the_old_key_still_convicts(log, signer, successor) -> None:
    before = log.note(5)
    files = rotated(log, signer, successor)
    report = verify_export(files, trusted=[successor.vkey], witnessed=[before])
    assert (report.ok, report.witnessed) == (True, 5)
    log.entries[0], log.entries[3] = log.entries[3], log.entries[0]
    log.entries[:] = [type(one)(at, one.header, one.salt, one.payload) for at, one in enumerate(log.entries)]
    found = verify_export(rotated(log, signer, successor), trusted=[signer.vkey], witnessed=[before])
    assert "history_rewritten" in {finding.code for finding in found.findings}


def test_a_stranger_cannot_link_itself(log, signer, stranger) -> None:
    alone = f"bailiwick key rotation v1\n{signer.vkey}\n{stranger.vkey}\n"
    forged = stranger.note(
        type(log.note) and audit.Checkpoint("x", 0, audit.EMPTY_ROOT)
    )  # some note of theirs
    half = audit.sign_text(alone, audit.parse_verifier_key(stranger.vkey), stranger.sign)
    for rotations in ("", forged, half, half + half):
        log.signer = stranger
        files = build_export(log.entries, log.leaves, log.note(), stranger.vkey, rotations)
        codes = {finding.code for finding in verify_export(files, trusted=[signer.vkey]).findings}
        assert "key_untrusted" in codes


def test_a_file_of_notes_is_split_and_a_torn_last_one_left_out(log, signer, successor) -> None:
    notes = [log.note(size) for size in range(1, 6)] + [statement(signer, successor)]
    assert notes_in("".join(notes)) == notes
    assert notes_in("\n".join(notes)) == notes
    assert notes_in("".join(notes)[:-200]) == notes[:-1]
    assert notes_in(log.note(1)[:40] + "\n\n" + log.note(2))[-1] == log.note(2)
    assert linked([signer.vkey], notes) == (signer.vkey, successor.vkey)


@pytest.mark.parametrize("trusted", ["signer", "successor", "stranger"])
def test_the_stand_alone_verifier_follows_rotations(
    log, signer, successor, stranger, trusted: str, tmp_path: Path
) -> None:
    for name, body in rotated(log, signer, successor).items():
        (tmp_path / name).write_bytes(body)
    key = {"signer": signer, "successor": successor, "stranger": stranger}[trusted].vkey
    command = [sys.executable, "-I", str(STANDALONE), str(tmp_path), key]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == (trusted == "stranger"), done.stdout


def test_a_payload_that_is_gone_needs_an_act_that_says_so(log, tmp_path: Path) -> None:
    entry = log.entries[2]
    log.entries[2] = type(entry)(entry.index, entry.header, b"", None)
    files = log.export()
    assert [(one.event, one.code) for one in verify_export(files).findings] == [
        ("run_a.2", "payload_missing")
    ]
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    command = [sys.executable, "-I", str(STANDALONE), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    assert (done.returncode, "run_a.2" in done.stdout) == (1, True)
