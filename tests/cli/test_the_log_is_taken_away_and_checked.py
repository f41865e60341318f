"""An export is written by a command and checked by another, which needs no server; one changed byte is named."""

import contextlib
import shutil
from pathlib import Path

import apsw
import pytest
from cli_kit import Call, Place


@pytest.fixture
def exported(call: Call, tmp_path: Path) -> Path:
    given = ("--app", "post", "--workflow", "greet", "--input", '{"text": "audit"}')
    assert call("runs", "submit", *given).code == 0
    folder = tmp_path / "export"
    assert call("audit", "export", str(folder)).code == 0
    return folder


def test_an_export_verifies_offline(call: Call, exported: Path, tmp_path: Path) -> None:
    shown = call("audit", "verify", str(exported), "-o", "json")
    assert shown.code == 0
    assert shown.json()["ok"] is True
    assert shown.json()["covered"] > 0
    vkey = (exported / "pubkey").read_text().strip()
    assert call("audit", "verify", str(exported), "--vkey", vkey).code == 0


def test_one_changed_byte_names_the_event(call: Call, exported: Path) -> None:
    entries = exported / "entries.jsonl"
    lines = entries.read_bytes().split(b"\n")
    at = next(number for number, line in enumerate(lines) if b"run.created" in line)
    lines[at] = lines[at].replace(b"run.created", b"run.creates")
    entries.write_bytes(b"\n".join(lines))
    changed = call("audit", "verify", str(exported), "-o", "json")
    assert changed.code == 1
    named = [finding["event"] for finding in changed.json()["findings"]]
    assert len(named) == 1
    assert named[0].startswith("run_")
    assert named[0].endswith(".1")
    assert named[0] in call("audit", "verify", str(exported)).out


def test_another_key_than_the_trusted_one_is_a_finding(call: Call, exported: Path) -> None:
    vkey = (exported / "pubkey").read_text().strip()
    other = vkey[:-4] + ("AAAA" if not vkey.endswith("AAAA") else "BBBB")
    told = call("audit", "verify", str(exported), "--vkey", other)
    assert told.code in (1, 2)
    assert "Traceback" not in told.err


def test_a_folder_that_is_no_export_is_refused(call: Call, tmp_path: Path) -> None:
    told = call("audit", "verify", str(tmp_path))
    assert told.code == 2
    assert "no_export" in told.err


def test_an_export_does_not_write_over_anything(call: Call, exported: Path) -> None:
    told = call("audit", "export", str(exported))
    assert told.code == 2
    assert "not empty" in told.err


def test_the_invariants_of_a_ledger_are_checked_while_its_server_works(
    call: Call, place: Place, exported: Path
) -> None:
    told = call("audit", "invariants", "-o", "json")
    assert told.code == 0, told.out
    said = told.json()
    assert said["ok"]
    assert said["violations"] == []
    runs = {each["count"] for each in said["checked"] if each["over"] == "runs"}
    assert len(said["checked"]) >= 30
    assert min(runs) > 0
    assert "steps_are_owned" in call("audit", "invariants", "--data-dir", str(place.folder)).out


def test_a_violated_invariant_is_named_and_fails(call: Call, place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    with contextlib.closing(apsw.Connection(str(place.folder / "ledger.db"))) as live:
        live.execute("VACUUM INTO ?", (str(folder / "ledger.db"),))
    with contextlib.closing(apsw.Connection(str(folder / "ledger.db"))) as copy:
        copy.execute("UPDATE runs SET title = 'Another'")
    for name in ("keys", "blobs"):
        shutil.copytree(place.folder / name, folder / name)
    told = call("audit", "invariants", "--data-dir", str(folder))
    assert told.code == 1
    assert "title is 'Another'" in told.out
    assert call("audit", "invariants", "--data-dir", str(tmp_path / "none")).code == 2


def test_runs_are_decided_again_by_their_server_s_record_and_without_it(
    call: Call, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = call("runs", "replay", "--all", "-o", "json")
    assert told.code == 0, told.out
    reports = told.json()
    assert reports
    assert all(report["decisions"] and not report["differences"] for report in reports)
    assert any(report["verdicts"] for report in reports)
    saved = tmp_path / "run.json"
    assert call("runs", "replay", reports[0]["run"], "--save", str(saved)).code == 0
    monkeypatch.setenv("BAILIWICK_DATA_DIR", str(tmp_path / "nowhere"))
    again = call("runs", "replay", "--export", str(saved), "-o", "json")
    assert again.json() == reports[:1]
    forged = saved.read_text().replace("hello audit", "hello forge")
    saved.write_text(forged)
    told = call("runs", "replay", "--export", str(saved))
    assert told.code == 1
    assert "its payload is not the one that it commits to" in told.out
    assert call("runs", "replay").code == 2
    assert call("runs", "replay", "--export", str(tmp_path / "none")).code == 2
