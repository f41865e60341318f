"""Approvals at the command line: not by the requester, once, for exactly what was shown, and shown as it is."""

import json
import re
import time

import pytest
from cli_kit import Call, Place, ended, start

from bailiwick.cli.approvals import show_approval
from bailiwick.service import ApprovalAltered

ESCAPES = "\x1b[2J\x07"
BIDI = "\u202eevil\u2066"


def held(call: Call, text: str = "hi", workflow: str = "send", **more: str) -> str:
    given = json.dumps({"text": text, **more})
    done = call("runs", "submit", "--app", "post", "--workflow", workflow, "--input", given, "-o", "json")
    run = done.json()["id"]
    assert call("runs", "watch", run, "--no-wait").code == 3
    listed = call("approvals", "list", "--run", run, "-o", "json").json()["approvals"]
    return str(listed[0]["id"])


def seen(call: Call, approval: str) -> tuple[str, str]:
    """Look at a request, and name what was shown."""
    row = call("approvals", "show", approval, "-o", "json").json()["approval"]
    return "--digest", row["digest"]


def test_the_requester_cannot_approve_and_the_second_identity_can(call: Call) -> None:
    approval = held(call)
    own = call("approvals", "approve", approval)
    assert own.code == 4
    assert "self_approval" in own.err
    nothing = call("approvals", "approve", approval, "--as", "approver")
    assert nothing.code == 2
    assert "digest_missing" in nothing.err
    assert call("approvals", "approve", approval, "--as", "approver", *seen(call, approval)).code == 0
    found = call("approvals", "show", approval, "-o", "json").json()
    assert found["approval"]["decided_by"] == "reviewer"
    assert call("runs", "watch", found["run"]["id"]).code == 0


def test_a_rejection_fails_the_run(call: Call) -> None:
    approval = held(call)
    rejected = call("approvals", "reject", approval, "--as", "approver", "--reason", "not today")
    assert rejected.code == 0
    run = call("approvals", "show", approval, "-o", "json").json()["run"]["id"]
    watched = call("runs", "watch", run)
    assert watched.code == 1
    assert "not today" in watched.out


def test_an_approval_for_another_digest_is_refused(call: Call) -> None:
    approval = held(call)
    told = call("approvals", "approve", approval, "--as", "approver", "--digest", "0" * 64)
    assert told.code == 2
    assert "grant_mismatch" in told.err
    assert call("approvals", "show", approval, "-o", "json").json()["approval"]["state"] == "pending"


def test_of_two_processes_that_race_one_wins_and_the_other_sees_the_winner(call: Call, place: Place) -> None:
    approval = held(call)
    made = call("keys", "create", "--name", "rival", "--role", "approver", "--group", "senders", "-o", "json")
    rival = ("--key", made.json()["secret"])
    door, digest = ("--data-dir", str(place.folder)), seen(call, approval)
    racers = [
        start(place.folder, "approvals", "approve", approval, *door, "--as", "approver", *digest),
        start(place.folder, "approvals", "reject", approval, *door, *rival),
    ]
    won, lost = sorted((ended(racer) for racer in racers), key=lambda result: result.code)
    assert (won.code, lost.code) == (0, 2)
    winner = call("approvals", "show", approval, "-o", "json").json()["approval"]["decided_by"]
    assert winner in ("reviewer", "rival")
    assert "already_decided" in lost.err
    assert winner in lost.err


def test_hostile_text_is_shown_and_cannot_act(call: Call, place: Place) -> None:
    diff = f"+plain line\n+if admin: {BIDI}{ESCAPES}\n"
    blobs = place.served.system.platform.runs.blobs
    digest = place.served.ask(blobs.put("default", diff.encode()))
    approval = held(call, f"text {BIDI}{ESCAPES}", "send-patch", patch=str(digest))
    shown = call("approvals", "show", approval)
    assert shown.code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown.out)
    assert r"+if admin: \u{202e}evil\u{2066}\u{1b}[2J\u{7}" in shown.out
    assert "4 character(s) above do not show by themselves" in shown.out
    assert "a text of this action holds characters that do not show" in shown.out
    run = call("approvals", "show", approval, "-o", "json").json()["run"]["id"]
    assert call("runs", "cancel", run).code == 0


def test_markup_in_a_title_stays_text(call: Call) -> None:
    title = "[red]stop[/red] [link=http://x.example]here[/link]"
    given = ("--app", "post", "--workflow", "greet", "--input", '{"text": "a"}', "--title", title)
    run = call("runs", "submit", *given, "-o", "json").json()["id"]
    assert title in call("runs", "get", run).out


def test_an_action_that_is_not_the_one_of_its_digest_is_not_shown(call: Call) -> None:
    approval = held(call)
    found = call("approvals", "show", approval, "-o", "json").json()
    show_approval(found)
    found["action"]["arguments"]["text"] = "ho"
    with pytest.raises(ApprovalAltered):
        show_approval(found)


def test_what_an_agent_wrote_stands_apart_and_cannot_pass_for_anything_else(call: Call) -> None:
    shown = call("approvals", "show", held(call, "p\u0430y \uff41nna")).out
    platform, arguments = shown.split("arguments, written by an agent or taken from outputs")
    assert r'"p\u0430y \uff41nna"' in arguments
    assert "mail.send@1.0.0" in platform
    assert '"text"' not in platform


def test_who_looks_sees_to_whom_it_is_escalated_and_the_second_group_decides(
    call: Call, place: Place
) -> None:
    made = call("keys", "create", "--name", "chief", "--role", "approver", "--group", "chiefs", "-o", "json")
    chief = ("--key", made.json()["secret"])
    approval = held(call, workflow="urge")
    row = call("approvals", "show", approval, "-o", "json").json()["approval"]
    hold = row["holds"][0]
    run = row["run"]
    patience = time.monotonic() + 20
    while "escalated" not in call("runs", "events", run, "-o", "json").out:
        assert time.monotonic() < patience
    shown = call("approvals", "show", approval).out
    assert f"chiefs may answer as well from {hold['escalate_at']} on" in shown
    assert re.search(r"escalated_to\s+chiefs", shown)
    assert "chiefs" in call("approvals", "list", "--run", run).out
    watched = call("runs", "watch", run, "--no-wait")
    told = f"mail.urge@1.0.0: nobody answered in time; chiefs may as well now; approval {approval}"
    assert told in " ".join(watched.out.split())
    assert call("approvals", "approve", approval, *chief, *seen(call, approval)).code == 0
    assert call("runs", "watch", run).code == 0
    assert call("approvals", "show", approval, "-o", "json").json()["approval"]["decided_by"] == "chief"
