"""The scripted model server speaks the dialect, is deterministic, and never pretends to be a model."""

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.contract import validator_for
from bailiwick.testing import RunningModelServer
from bailiwick.testing.reply import FINGERPRINT, tokens_of
from bailiwick.testing.sample import sample

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def client():
    with (
        RunningModelServer() as server,
        httpx2.Client(base_url=server.url, trust_env=False, timeout=30) as client,
    ):
        yield client


def ask(client, model, **more):
    return client.post("/v1/chat/completions", json={"model": model, "messages": HELLO, **more})


def events(response):
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [orjson.loads(line) for line in lines[:-1]]


def test_the_server_and_each_answer_say_that_no_model_is_there(client):
    assert "no model" in client.get("/").json()["note"]
    assert ask(client, "plain").json()["system_fingerprint"] == FINGERPRINT
    assert {each["system_fingerprint"] for each in events(ask(client, "plain", stream=True))} == {FINGERPRINT}


def test_the_models_are_listed(client):
    listed = {each["id"] for each in client.get("/v1/models").json()["data"]}
    assert {
        "plain",
        "slow",
        "tools",
        "structured",
        "bad-json",
        "cut",
        "rate-limited",
        "no-usage",
        "looping",
    } <= listed


def test_an_unknown_model_is_not_found(client):
    refused = ask(client, "gpt-5")
    assert refused.status_code == 404
    assert "does not exist" in refused.json()["error"]["message"]


def test_the_stream_and_the_whole_answer_are_the_same(client):
    whole = ask(client, "plain").json()
    streamed = events(ask(client, "plain", stream=True))
    text = "".join(each["choices"][0]["delta"].get("content", "") for each in streamed)
    assert text == whole["choices"][0]["message"]["content"]
    assert streamed[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream_reports_its_usage_only_when_asked(client, wanted):
    streamed = events(ask(client, "plain", stream=True, stream_options={"include_usage": wanted}))
    assert ("usage" in streamed[-1]) is wanted
    assert not any("usage" in each for each in streamed[:-1])


def test_usage_follows_from_the_length_of_the_content(client):
    answered = ask(client, "plain").json()
    text = answered["choices"][0]["message"]["content"]
    assert answered["usage"]["completion_tokens"] == len(tokens_of(text)) == -(-len(text) // 4)
    assert answered["usage"]["prompt_tokens"] > 0


def test_a_rate_limit_is_over_at_the_second_try_of_the_same_request(client):
    first, second = (ask(client, "rate-limited", user="the same") for _ in range(2))
    assert (first.status_code, first.headers["retry-after"], second.status_code) == (429, "1", 200)
    assert ask(client, "rate-limited", user="another").status_code == 429


def test_a_cut_stream_ends_without_its_end(client):
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(client, "cut", stream=True)


def test_a_looping_model_asks_for_the_same_thing_again(client):
    offered = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    first, second = (
        ask(client, "looping", tools=offered, user=user).json()["choices"][0]["message"]["tool_calls"][0][
            "function"
        ]
        for user in ("a", "b")
    )
    assert first == second == {"name": "look", "arguments": "{}"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"model": "plain"}', b'{"model": "plain", "messages": []}', b'{"model": 1}'],
)
def test_what_is_no_request_is_refused(client, body):
    refused = client.post("/v1/chat/completions", content=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


def test_a_server_can_come_back_on_its_port_and_stops_cleanly():
    with RunningModelServer() as first:
        url = first.url
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url, trust_env=False)
    with RunningModelServer(port=int(url.rpartition(":")[2])) as again:
        assert again.url == url
        assert httpx2.get(url, trust_env=False).status_code == 200


def test_two_servers_do_not_share_their_log():
    with RunningModelServer() as one, RunningModelServer() as other:
        httpx2.post(
            f"{one.url}/v1/chat/completions", json={"model": "plain", "messages": HELLO}, trust_env=False
        )
        assert len(httpx2.get(f"{one.url}/_log", trust_env=False).json()["requests"]) == 1
        assert httpx2.get(f"{other.url}/_log", trust_env=False).json() == {"in_progress": 0, "requests": []}


SCHEMAS = st.recursive(
    st.one_of(
        st.builds(
            lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
            st.integers(-9, 9),
            st.integers(0, 9),
        ),
        st.builds(
            lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
            st.integers(0, 20),
            st.integers(0, 9),
        ),
        st.builds(
            lambda values: {"enum": values},
            st.lists(st.integers(-(2**53), 2**53) | st.text(max_size=3), min_size=1, max_size=3),
        ),
        st.sampled_from(
            [{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"const": [1]}]
        ),
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda each, least: {"type": "array", "items": each, "minItems": least}, inner, st.integers(0, 3)
        ),
        st.builds(lambda one, two: {"anyOf": [one, two]}, inner, inner),
        st.builds(
            lambda fields: {
                "type": "object",
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        ),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_a_sample_fits_its_schema(schema):
    assert validator_for(schema).fits(sample(schema))


def test_a_sample_follows_local_references_and_ends_on_a_recursive_schema():
    tree = {
        "$defs": {"t": {"type": "object", "required": ["t"], "properties": {"t": {"$ref": "#/$defs/t"}}}},
        "$ref": "#/$defs/t",
    }
    assert sample({"$defs": {"n": {"type": "integer", "minimum": 3}}, "$ref": "#/$defs/n"}) == 3
    assert set(sample(tree)) == {"t"}
