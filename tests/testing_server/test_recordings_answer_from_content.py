"""A recording answers from what a request says, so a run that is resumed or retried hears the same again."""

import httpx2
import orjson
import pytest

from bailiwick.testing import InvalidRecording, RunningModelServer, load_recording

DELIVERY = {
    "model": "delivery",
    "about": "a small delivery",
    "rules": [
        {
            "name": "plan",
            "when": {"system_contains": "You plan", "wants_json": True, "last_role": "user"},
            "capture": {"goal": {"from": "first_user", "pattern": "Goal: (.+)"}},
            "reply": {"json": {"objective": "{{goal}}", "steps": ["Define route", "Test {{ goal }}"]}},
        },
        {
            "name": "write",
            "when": {
                "system_contains": ["You implement", "tools"],
                "tool_results": 0,
                "offers": "files.write",
            },
            "reply": {
                "text": ["First the route.", "Then the test."],
                "tool_calls": [
                    {"name": "files.write", "arguments": {"path": "app.py", "text": {"$file": "app.txt"}}},
                    {
                        "name": "files.write",
                        "arguments": {"path": "b.txt", "text": {"$lines": ["one", "two"]}},
                    },
                ],
            },
        },
        {
            "name": "red",
            "when": {"last_tool": "tests.run", "last_contains": "failed"},
            "capture": {"count": {"from": "last", "pattern": "([0-9]+) failed"}},
            "reply": {"text": "{{count}} tests are red."},
        },
        {
            "name": "green",
            "when": {"last_tool": "tests.run", "last_lacks": "failed", "matches": "[0-9]+ passed"},
            "reply": {"text": "Done."},
        },
        {
            "name": "fallback",
            "when": {"last_user_contains": "anything", "not_contains": "secret"},
            "capture": {"who": {"pattern": "name is ([A-Z]\\w+)", "default": "stranger"}},
            "reply": {"text": "Hello {{who}}", "usage": False},
        },
    ],
}
ROUTE = 'app.get("{{not_a_place}}")\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.txt").write_text(ROUTE)
    return tmp_path


@pytest.fixture
def client(folder):
    with (
        RunningModelServer([load_recording(written(folder, DELIVERY))]) as server,
        httpx2.Client(base_url=server.url, trust_env=False) as client,
    ):
        yield client


def written(folder, recording):
    path = folder / "delivery.json"
    path.write_bytes(orjson.dumps(recording))
    return path


def one_rule(**changes):
    return {"model": "m", "rules": [{"name": "only", "reply": {"text": "x"}, **changes}]}


def tool(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def result(name, content):
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [message("assistant", None, tool_calls=[call]), message("tool", content, tool_call_id="c1")]


def ask(client, *messages, **more):
    return client.post("/v1/chat/completions", json={"model": "delivery", "messages": list(messages), **more})


def text_of(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


WANTS_JSON = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "brief", "schema": {"type": "object"}}}
}
IMPLEMENTER = message("system", "You implement, with tools.")


def test_captured_text_is_put_into_the_reply(client):
    planned = ask(
        client, message("system", "You plan."), message("user", "Goal: health\nSoon."), **WANTS_JSON
    )
    assert orjson.loads(text_of(planned)) == {"objective": "health", "steps": ["Define route", "Test health"]}


def test_tools_are_called_with_files_taken_as_they_are(client):
    offered = [tool("files__write")]
    answered = ask(client, IMPLEMENTER, message("user", "Go."), tools=offered).json()["choices"][0]
    calls = [call["function"] for call in answered["message"]["tool_calls"]]
    assert answered["finish_reason"] == "tool_calls"
    assert answered["message"]["content"] == "First the route.\nThen the test."
    assert [call["name"] for call in calls] == ["files__write", "files__write"]
    assert [orjson.loads(call["arguments"])["text"] for call in calls] == [ROUTE, "one\ntwo\n"]


def test_red_tests_and_green_tests_are_told_apart(client):
    start = [IMPLEMENTER, message("user", "Go.")]
    assert text_of(ask(client, *start, *result("tests__run", "2 failed"))) == "2 tests are red."
    assert text_of(ask(client, *start, *result("tests.run", "3 passed"))) == "Done."


def test_the_same_request_gets_the_same_bytes_however_often_and_on_whichever_server(client, folder):
    asked = (message("user", "anything, my name is Ada"),)
    first = ask(client, *asked).content
    assert ask(client, *asked).content == first
    with (
        RunningModelServer([load_recording(folder / "delivery.json")]) as other,
        httpx2.Client(base_url=other.url, trust_env=False) as fresh,
    ):
        assert ask(fresh, *asked).content == first


def test_a_capture_that_finds_nothing_has_its_default(client):
    assert text_of(ask(client, message("user", "anything"))) == "Hello stranger"


def test_a_rule_whose_capture_finds_nothing_does_not_fit(client):
    refused = ask(client, message("system", "You plan."), message("user", "No aim."), **WANTS_JSON)
    assert refused.status_code == 400
    assert "nothing to capture for goal" in refused.json()["error"]["message"]


def test_a_request_that_no_rule_fits_is_shown_with_the_reason_of_each_rule(client):
    refused = ask(client, message("system", "You review."), message("user", "Look at this secret, anything."))
    words = refused.json()["error"]["message"]
    assert refused.status_code == 400
    for part in (
        "You review.",
        "Look at this",
        "'plan': \"system_contains 'You plan'\"",
        "not_contains 'secret'",
    ):
        assert part in words


def test_usage_is_left_out_where_the_rule_says_so(client):
    assert "usage" not in ask(client, message("user", "anything")).json()


def test_the_log_names_the_rule_that_answered(client):
    ask(client, message("user", "anything"))
    assert client.get("/_log?settled=true").json()["requests"][-1]["rule"] == "fallback"


@pytest.mark.parametrize(
    ("recording", "reason"),
    [
        ({"model": "m"}, "rules"),
        (one_rule(wen={}), "wen"),
        (one_rule(when={"sytem_contains": "x"}), "sytem_contains"),
        (one_rule(reply={"text": "{{nobody}}"}), "nothing captures nobody"),
        (one_rule(reply={"json": {"a": [{"b": "{{nobody}}"}]}}), "nothing captures nobody"),
        (one_rule(capture={"x": {"pattern": "("}}), "RE2"),
        (one_rule(capture={"x": {"pattern": "(?=a)"}}), "RE2"),
        (one_rule(when={"matches": "["}), "RE2"),
        (one_rule(capture={"x": {"pattern": "a", "from": "nowhere"}}), "cannot capture from 'nowhere'"),
        (one_rule(reply={"json": {"$file": "absent.txt"}}), "absent.txt"),
        (one_rule(reply={"json": {"$file": "../outside.txt"}}), "outside.txt"),
        (one_rule(reply={"fault": "explode"}), "explode"),
    ],
)
def test_a_recording_with_an_error_is_refused_at_its_place(folder, recording, reason):
    (folder.parent / "outside.txt").write_text("not beside it")
    with pytest.raises(InvalidRecording) as refusal:
        load_recording(written(folder, recording))
    assert reason in refusal.value.message
    assert refusal.value.facts["place"].startswith("delivery.json")


def test_a_file_that_is_not_json_is_refused(folder):
    (folder / "broken.json").write_text("{")
    with pytest.raises(InvalidRecording):
        load_recording(folder / "broken.json")


@pytest.mark.parametrize(
    "text",
    [
        b'{"model":"a","model":"b","rules":[]}',
        b"[" * 100_000,
        b'{"model":NaN}',
        b'{"model":"\\ud800","rules":[]}',
    ],
    ids=["twice", "deep", "nan", "surrogate"],
)
def test_a_recording_passes_the_strict_door(folder, text: bytes) -> None:
    (folder / "odd.json").write_bytes(text)
    with pytest.raises(InvalidRecording):
        load_recording(folder / "odd.json")
