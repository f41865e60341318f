"""After any one changed byte of an export verification fails, and names the event, and no other."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bailiwick.audit
from bailiwick.audit import EXPORT_FILES, VERIFIERS, Fault, verify_export

LONG = bool(os.environ.get("BAILIWICK_LONG"))
STANDALONE = Path(bailiwick.audit.__file__).with_name("standalone.py")
ALONE = "run_b.1"  # no neighbour in its stream knows the name of this one, so the index alone must do


def changes(body: bytes) -> Iterator[tuple[int, bytes]]:
    for at, value in enumerate(body):
        others = range(256) if LONG else (value ^ 1, value ^ 3, value ^ 0x20, value ^ 0x80, 0x0A, 0x22)
        for other in set(others) - {value}:
            yield at, body[:at] + bytes([other]) + body[at + 1 :]


def owners(log, body: bytes, at: int) -> set[int]:
    """Whose byte it is; the newline between two lines belongs to both."""
    line = body.count(b"\n", 0, at)
    return {line, line + 1} & set(range(len(log.names))) if body[at : at + 1] == b"\n" else {line}


@pytest.mark.parametrize("part", range(4))
def test_in_an_entry(log, part: int) -> None:
    files = log.export()
    body = files["entries.jsonl"]
    start, end = len(body) * part // 4, len(body) * (part + 1) // 4
    for at, changed in changes(body):
        if not start <= at < end:
            continue
        report = verify_export({**files, "entries.jsonl": changed})
        assert not report.ok
        whose = owners(log, body, at)
        accused = {finding.index for finding in report.findings if finding.index is not None}
        assert accused <= whose, (at, report.findings)
        assert body.count(b"\n", 0, at) in accused, (at, report.findings)
        named = {finding.event for finding in report.findings} - {""}
        true_names = {log.names[index] for index in whose}
        assert named <= true_names or ALONE in true_names, (at, report.findings)
        assert log.names[body.count(b"\n", 0, at)] in named or ALONE in true_names, (at, report.findings)


def test_in_a_leaf(log) -> None:
    files = log.export()
    for at, changed in changes(files["leaves"]):
        report = verify_export({**files, "leaves": changed})
        accused = {(finding.event, finding.index) for finding in report.findings} - {("", None)}
        assert accused == {(log.names[at // 65], at // 65)}, (at, report.findings)


@pytest.mark.parametrize("name", ["checkpoint", "pubkey"])
def test_in_what_concerns_all_events_accuses_none(log, name: str) -> None:
    files = log.export()
    for _, changed in changes(files[name]):
        report = verify_export({**files, name: changed})
        assert not report.ok
        assert {finding.event for finding in report.findings} == {""}


def test_in_the_verifier_warns_of_running_it(log) -> None:
    body = STANDALONE.read_bytes()
    assert verify_export({**log.export(), "verify.py": body}).ok
    for at in range(0, len(body), 1 if LONG else 97):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        report = verify_export({**log.export(), "verify.py": changed})
        assert [finding.code for finding in report.findings] == [Fault.VERIFIER_CHANGED]


def test_the_verifier_that_is_shipped_is_listed() -> None:
    assert hashlib.sha256(STANDALONE.read_bytes()).hexdigest() in VERIFIERS


def standalone(folder: Path, files: dict[str, bytes], *key: str) -> tuple[int, str, str]:
    for name, body in files.items():
        (folder / name).write_bytes(body)
    (folder / "verify.py").write_bytes(STANDALONE.read_bytes())
    command = [sys.executable, "-I", str(folder / "verify.py"), str(folder), *key]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    return done.returncode, done.stdout, done.stderr


def test_the_stand_alone_verifier_accepts_a_true_export(log, signer, tmp_path: Path) -> None:
    assert standalone(tmp_path, log.export(), signer.vkey) == (0, "OK: 9 events\n", "")
    assert {path.name for path in tmp_path.iterdir()} == set(EXPORT_FILES) - {"rotations", "witnessed"}


def test_the_stand_alone_verifier_accepts_an_empty_log(empty_log, tmp_path: Path) -> None:
    assert standalone(tmp_path, empty_log.export()) == (0, "OK: 0 events\n", "")


def test_the_stand_alone_verifier_believes_the_trusted_key_only(log, stranger, tmp_path: Path) -> None:
    code, said, _ = standalone(tmp_path, log.export(), stranger.vkey)
    assert (code, "not the trusted one" in said) == (1, True)


@pytest.mark.parametrize("name", ["checkpoint", "pubkey", "leaves", "entries.jsonl"])
def test_the_stand_alone_verifier_finds_a_sample_of_changes(log, name: str, tmp_path: Path) -> None:
    files = log.export()
    every = list(changes(files[name]))
    for at, changed in every[3 :: max(1, len(every) // (400 if LONG else 6))]:
        code, said, failed = standalone(tmp_path, {**files, name: changed})
        assert (code, failed) == (1, ""), (at, said)
        if name in ("leaves", "entries.jsonl"):
            line = files[name].count(b"\n", 0, at)
            assert f"event {log.names[line]} (index {line})" in said or log.names[line] == ALONE, (at, said)
            assert f"(index {line})" in said


def test_the_stand_alone_verifier_judges_entries_and_leaves_as_we_do(log) -> None:
    """In one process and on every byte: its own functions, the signature aside, which a process checks."""
    scope: dict[str, object] = {"__name__": "standalone"}
    exec(compile(STANDALONE.read_text(), str(STANDALONE), "exec"), scope)
    files = log.export()
    scope["check_log"] = lambda *_: None
    assert list(scope["verify"](files)) == []
    for name in ("leaves", "entries.jsonl"):
        for at, changed in changes(files[name]):
            found = [fault for fault in scope["verify"]({**files, name: changed}) if fault[0] >= 0]
            line = files[name].count(b"\n", 0, at)
            whose = owners(log, files[name], at)
            assert line in {index for index, _, _ in found}, (at, found)
            assert {index for index, _, _ in found} <= whose, (at, found)
            named = {event for _, event, _ in found}
            assert log.names[line] in named or ALONE in {log.names[one] for one in whose}, (at, found)
