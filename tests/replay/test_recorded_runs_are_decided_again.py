"""A stored corpus of runs is replayed for ever: same state, same moves, same verdicts, in any place and language."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import corpus_renew
import msgspec
import pytest
from corpus_renew import CORPUS
from corpus_stories import STORIES

from bailiwick.audit import leaf_hash
from bailiwick.base import canonical, parse_canonical
from bailiwick.policy import Bundle
from bailiwick.run import Run, Step, decode_event, evolve, moved_in
from bailiwick.service import Replayed, Transcript, replay

ENTRIES = sorted(path.stem for path in CORPUS.glob("*.json"))
BESIDE = (
    "actor",
    "identity",
    "api_key",
    "able",
    "agent",
    "cause",
    "command",
    "evidence",
    "law",
    "payload",
    "prev",
    "seq",
    "status",
    "stream",
)
"""What a header says beside the fact."""


@functools.lru_cache
def _bundle(files: tuple[tuple[str, str], ...]) -> Bundle:
    return Bundle(dict(files))


def bundle_of(files: Mapping[str, str]) -> Bundle:
    return _bundle(tuple(files.items()))


def read(entry: str) -> Transcript:
    return msgspec.json.decode((CORPUS / f"{entry}.json").read_bytes(), type=Transcript)


def replayed(entry: str) -> Replayed:
    return replay(read(entry), bundle_of)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_recorded_run_replays_to_its_state_and_its_decisions(entry: str) -> None:
    report = replayed(entry)
    assert report.differences == ()
    assert report.unkept == ()
    assert report.events == read(entry).head.version
    assert report.decisions
    assert report.verdicts


def test_the_corpus_holds_every_kind_of_end() -> None:
    heads = [read(entry).head for entry in ENTRIES]
    assert {head.status for head in heads} >= {
        "completed",
        "failed",
        "canceled",
        "waiting-for-approval",
        "blocked",
    }
    told = [entry.partition("-")[2] for entry in ENTRIES]
    assert set(STORIES) <= set(told), "add the new stories with: python tests/replay/corpus_renew.py"
    reports = [replayed(entry) for entry in ENTRIES]
    assert sum(report.decisions for report in reports) >= 100
    assert sum(report.verdicts for report in reports) >= 50


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_old_event_is_read_with_all_that_it_says(entry: str) -> None:
    for line in read(entry).events:
        header = parse_canonical(line.header.encode())
        fact = {name: value for name, value in header.items() if name not in BESIDE or name == "status"}
        now = parse_canonical(canonical(msgspec.to_builtins(decode_event(line.header.encode()))))
        if fact["kind"] != "run.closed":
            fact.pop("status", None)
        assert fact == {name: value for name, value in now.items() if name in fact or value}


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_queued_of_a_step_changes_only_where_an_event_moves_it(entry: str) -> None:
    run: Run | None = None
    for stored in read(entry).events:
        before, event = run, decode_event(stored.header.encode())
        run = evolve(before, event)
        known = before.steps if before is not None else {}
        changed = {name for name, step in run.steps.items() if _queued(known.get(name)) != _queued(step)}
        assert changed <= set(moved_in((event,)))


def _queued(step: Step | None) -> object:
    return step and (step.status, step.epoch, step.call, step.wait, step.session)


def told_to(process: Mapping[str, str]) -> bytes:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import test_recorded_runs_are_decided_again as here\n"
        "sys.stdout.buffer.write(here.canonical(here.every_report()))\n"
    )
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(folder.parent)],
        env={**os.environ, **process},
        capture_output=True,
        check=True,
    )
    return done.stdout


def every_report() -> list[Any]:
    return [msgspec.to_builtins(replayed(entry)) for entry in ENTRIES]


@pytest.mark.parametrize(
    "process",
    [
        {"PYTHONHASHSEED": "0", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "1", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "4242", "TZ": "Asia/Kathmandu", "LC_ALL": "de_DE.UTF-8"},
    ],
    ids=lambda process: process["TZ"],
)
def test_a_replay_is_the_same_under_every_hash_seed_time_zone_and_locale(process: dict[str, str]) -> None:
    assert told_to(process) == canonical(every_report())


# --- what was not decided so is found, although every hash was made to fit ------------------------


def forged(transcript: Transcript, edit: Callable[[dict[str, Any]], None]) -> Transcript:
    """Edit headers as somebody would who can hash: the whole chain fits again."""
    prev, lines = "", []
    for line in transcript.events:
        header = parse_canonical(line.header.encode())
        edit(header)
        header["prev"] = prev
        body = canonical(header)
        prev = leaf_hash(body).hex()
        lines.append(msgspec.structs.replace(line, header=body.decode()))
    return msgspec.structs.replace(transcript, events=tuple(lines))


def moves(header: dict[str, Any], step: str, to: str) -> list[dict[str, Any]]:
    return [move for move in header.get("moves", ()) if (move["step"], move["to"]) == (step, to)]


def a_step_skipped(header: dict[str, Any]) -> None:
    for move in moves(header, "b", "ready"):
        header["moves"] = [each for each in header["moves"] if each["step"] != "b"]
        header["moves"].append({"step": move["step"], "to": "skipped", "when": False})


def a_move_left_out(header: dict[str, Any]) -> None:
    if moves(header, "b", "running"):
        header["moves"] = [each for each in header["moves"] if each["to"] != "running"]


def a_verdict_turned(header: dict[str, Any]) -> None:
    call = header.get("call", {})
    if call.get("category") == "denied":
        call.pop("category")
        call.pop("reason")
        call["state"] = "done"


def other_policies(header: dict[str, Any]) -> None:
    call = header.get("call", {})
    if call.get("policies"):
        call["policies"] = ["shop.mail"]


def a_start_by_other_policies(header: dict[str, Any]) -> None:
    for move in header.get("moves", ()):
        if move.get("policies"):
            move["policies"] = ["base.nothing"]


def a_larger_budget(header: dict[str, Any]) -> None:
    if "allotment" in header:
        header["allotment"] += 1


def a_cheaper_call(header: dict[str, Any]) -> None:
    call = header.get("call", {})
    if call.get("cost"):
        call["cost"] = -call["cost"]


def an_end_that_is_not_there(header: dict[str, Any]) -> None:
    if header["kind"] == "run.closed":
        header["reason"] = "all is well"


def another_requester(header: dict[str, Any]) -> None:
    if "admission" in header:
        header["admission"]["role"] = "viewer"


def let_in_by_other_policies(header: dict[str, Any]) -> None:
    if "admission" in header:
        header["admission"]["policies"] = ["base.nothing"]


FORGERIES = {
    another_requester: "verdict",
    let_in_by_other_policies: "verdict",
    a_step_skipped: "moves",
    a_move_left_out: "moves",
    a_verdict_turned: "verdict",
    other_policies: "verdict",
    a_start_by_other_policies: "moves",
    a_larger_budget: "state",
    a_cheaper_call: "moves",
    an_end_that_is_not_there: "moves",
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_a_forged_decision_is_found_although_the_chain_fits(
    forgery: Callable[[dict[str, Any]], None],
) -> None:
    transcript = forged(read("0.1.0+admission-completed"), lambda header: None)
    assert replay(transcript, bundle_of).differences == ()
    report = replay(forged(transcript, forgery), bundle_of)
    found = {difference.what for difference in report.differences}
    assert FORGERIES[forgery] in found
    assert "log" not in found
    assert all(difference.place.startswith(transcript.head.id) for difference in report.differences)


def test_a_broken_chain_and_another_payload_are_found() -> None:
    transcript = read("0.1.0-completed")
    shorter = msgspec.structs.replace(transcript, events=transcript.events[:2] + transcript.events[3:])
    assert {found.what for found in replay(shorter, bundle_of).differences} >= {"log"}
    first = msgspec.structs.replace(transcript.events[0], payload='{"intent":{}}')
    other = msgspec.structs.replace(transcript, events=(first, *transcript.events[1:]))
    assert {found.what for found in replay(other, bundle_of).differences} >= {"log"}


def test_what_is_no_longer_kept_is_said_and_not_guessed() -> None:
    transcript = read("0.1.0-completed")
    bare = msgspec.structs.replace(transcript, policies={}, contracts={})
    report = replay(bare, bundle_of)
    assert report.differences == ()
    assert report.decisions == report.verdicts == 0
    assert report.unkept


def test_an_entry_of_the_corpus_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_renew, "CORPUS", tmp_path)
    monkeypatch.setattr(corpus_renew, "STORIES", {name: STORIES[name] for name in ("failed", "waiting")})
    monkeypatch.setattr(corpus_renew, "version", lambda name: "9.9.9")
    (tmp_path / "9.9.9-failed.json").write_bytes(b"as it was")
    corpus_renew.main()
    assert (tmp_path / "9.9.9-failed.json").read_bytes() == b"as it was"
    assert (tmp_path / "9.9.9-waiting.json").stat().st_size > 10_000
