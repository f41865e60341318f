"""Commands are clients of the API: they submit, watch, read and act, and their exit codes tell how it went."""

import json
import stat
from pathlib import Path

import pytest
from cli_kit import Call, Place, Result

from bailiwick.wiring.serving import ServingThread


def submit(call: Call, workflow: str, text: str = "world", *more: str) -> str:
    given = json.dumps({"text": text})
    done = call(
        *("runs", "submit", "--app", "post", "--workflow", workflow, "--input", given, "-o", "json"), *more
    )
    assert done.code == 0, done.err
    return str(done.json()["id"])


def test_a_run_is_submitted_and_watched_to_its_end(call: Call) -> None:
    watched = call("runs", "watch", submit(call, "greet"))
    assert watched.code == 0
    assert "work succeeded" in watched.out
    assert "run completed" in watched.out


def test_a_failed_run_ends_the_watch_with_one(call: Call) -> None:
    run = submit(call, "break")
    watched = call("runs", "watch", run)
    assert watched.code == 1
    assert "it broke" in watched.out
    assert call("runs", "get", run).code == 1


def test_a_run_that_waits_for_a_person_ends_an_impatient_watch_with_three(call: Call) -> None:
    run = submit(call, "send")
    watched = call("runs", "watch", run, "--no-wait")
    assert watched.code == 3
    assert "bailiwick approvals show apr_" in watched.out
    assert call("runs", "cancel", run, "--reason", "enough").code == 0
    assert call("runs", "watch", run).code == 1


def test_a_blocked_run_says_what_to_type_and_goes_on_when_it_is_typed(call: Call) -> None:
    halt = call("halts", "set", "workflow", "greet@1.0.0", "--reason", "a look first", "-o", "json").json()
    run = submit(call, "greet")
    watched = call("runs", "watch", run, "--no-wait")
    assert watched.code == 3
    assert f"bailiwick runs resume {run}" in watched.out
    assert halt["id"] in call("halts", "list").out
    assert call("runs", "resume", run, "--add-usd", "0.25").code == 0
    assert call("halts", "lift", halt["id"]).code == 0
    assert call("runs", "watch", run).code == 0
    assert call("runs", "cost", run, "-o", "json").json()["budget"]["limit"]["usd"] == "1.25"


def test_a_shared_budget_is_set_shown_and_refuses_with_what_to_type(call: Call) -> None:
    made = call(
        "budgets", "set", "feature", "letters", "--per", "total", "--limit-usd", "0.30", "-o", "json"
    ).json()
    assert (made["id"], made["left"]["usd"]) == ("feature:letters/total", "0.30")
    refused = call(
        "runs",
        "submit",
        "--app",
        "post",
        "--workflow",
        "greet",
        "--budget-usd",
        "0.31",
        "--label",
        "feature=letters",
    )
    assert refused.code != 0
    assert "budget_exhausted" in refused.err
    assert "bailiwick budgets set feature letters --per total --limit-usd AMOUNT" in refused.err
    assert "feature:letters/total" in call("budgets", "show").out
    assert call("budgets", "set", "feature", "letters", "--per", "week", "--limit-usd", "1").code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "list"),
        ("runs", "get", "RUN"),
        ("runs", "cost", "RUN"),
        ("runs", "events", "RUN"),
        ("approvals", "list", "--state", "all"),
        ("halts", "list"),
        ("budgets", "show"),
        ("keys", "list"),
    ],
    ids=" ".join,
)
def test_every_reading_command_answers_in_json_and_as_a_table(call: Call, command: tuple[str, ...]) -> None:
    run = submit(call, "greet")
    assert call("runs", "watch", run).code == 0
    words = [run if word == "RUN" else word for word in command]
    assert isinstance(call(*words, "-o", "json").json(), dict)
    assert call(*words).code == 0


def test_the_same_idempotency_key_finds_the_same_run(call: Call) -> None:
    first = submit(call, "greet", "world", "--idempotency-key", "once")
    assert submit(call, "greet", "world", "--idempotency-key", "once") == first
    other = ("--workflow", "greet", "--input", '{"text": "x"}', "--idempotency-key", "once")
    refused = call("runs", "submit", "--app", "post", *other)
    assert refused.code == 2
    assert "idempotency_key_reused" in refused.err


def test_keys_are_made_listed_and_revoked(call: Call, place: Place) -> None:
    made = call("keys", "create", "--name", "eve", "--role", "viewer", "-o", "json").json()
    with_it = ("--key", made["secret"])
    assert call("runs", "list", *with_it).code == 0
    denied = call("halts", "set", "tenant", "--reason", "no", *with_it)
    assert denied.code == 4
    assert "eve (viewer) may not halts.set" in denied.err
    assert call("keys", "revoke", made["key"]["id"]).code == 0
    assert call("runs", "list", *with_it).code == 4


def refused(result: Result) -> tuple[int, str]:
    code = next(line.split()[1] for line in result.err.splitlines() if line.startswith("  code"))
    assert "remedy" in result.err
    assert "Traceback" not in result.err + result.out
    return result.code, code


def test_refusals_are_told_with_code_facts_and_remedy(call: Call, tmp_path: Path) -> None:
    assert refused(call("runs", "get", "run_nowhere")) == (2, "not_found")
    assert refused(call("runs", "get", "../keys")) == (2, "no_such_route")
    assert refused(call("runs", "submit", "--app", "post", "--workflow", "none")) == (2, "not_found")
    assert refused(call("runs", "submit", "--app", "post", "--input", "{")) == (2, "invalid_file")
    assert refused(call("runs", "list", "--key", "wrong")) == (4, "unauthenticated")
    assert refused(call("runs", "list", "--as", "nobody")) == (4, "no_key")
    assert refused(call("runs", "list", "--data-dir", str(tmp_path))) == (1, "no_server")
    assert refused(call("runs", "list", "--url", "http://127.0.0.1:9", "--key", "x")) == (1, "unreachable")


def test_a_wrong_budget_and_a_wrong_field_are_refused_at_their_place_in_the_file(
    call: Call, tmp_path: Path
) -> None:
    intent = tmp_path / "intent.json"
    intent.write_text('{"app": "post",\n "workflow": "greet",\n "input": {"text": "a"},\n "budget_usd": 3}')
    told = call("runs", "submit", "--file", str(intent))
    assert refused(told) == (2, "invalid_intent")
    assert f"{intent}:4:2" in told.err
    intent.write_text('{"app": "post",\n "workflow": "greet" "x"}')
    told = call("runs", "submit", "--file", str(intent))
    assert refused(told) == (2, "invalid_file")
    assert f"{intent}:2:22" in told.err


def test_a_key_of_the_data_directory_is_not_shown_to_another_server(call: Call) -> None:
    told = call("runs", "list", "--url", "http://127.0.0.1:9")
    assert refused(told) == (4, "no_key")


def test_the_server_announces_itself_to_its_owner_alone(place: Place) -> None:
    for name in ("server.json", "cli.key", "approver.key"):
        assert stat.S_IMODE((place.folder / name).stat().st_mode) == 0o600
    said = json.loads((place.folder / "server.json").read_bytes())
    assert said["url"] == place.served.url
    assert said["url"].startswith("http://127.0.0.1:")
    assert isinstance(place.served, ServingThread)


def test_a_run_is_rolled_back_once_and_watching_it_again_shows_both_ends(call: Call) -> None:
    run = submit(call, "greet")
    assert call("runs", "watch", run).code == 0
    assert call("runs", "rollback", run).code == 2, "why is always said"
    told = call("runs", "rollback", run, "--reason", "never mind")
    assert (told.code, told.out.split()) == (0, [run, "rolled-back"])
    watched = call("runs", "watch", run)
    assert watched.code == 1
    assert "run completed" in watched.out
    assert "asked to roll back: never mind" in watched.out
    assert "run rolled-back" in watched.out
    again = call("runs", "rollback", run, "--reason", "once more")
    assert refused(again) == (2, "illegal_transition")


def test_an_action_that_does_not_exist_cannot_be_resolved(call: Call) -> None:
    run = submit(call, "greet")
    told = call("runs", "resolve", run, "nokey", "--not-done", "--reason", "I looked")
    assert told.code == 2
    assert "remedy" in told.err
