"""A scripted provider over the wire, and hosts that call it."""

import httpx2
import pytest

from bailiwick.budget import Price
from bailiwick.models import OpenAIHost, ProviderConfig
from bailiwick.ports import Message, ModelRequest
from bailiwick.testing import Recording, RunningModelServer
from bailiwick.testing.recording import Capture, ReplyTemplate, Rule, ToolCallTemplate, When
from bailiwick.testing.reply import Fault

KEY = "sk-canary-4f1b2b0b822cd15d"
SCRIPTS = [
    "plain",
    "slow",
    "tools",
    "structured",
    "bad-json",
    "bad-stream",
    "cut",
    "stalled",
    "rate-limited",
    "unavailable",
    "broken",
    "denied",
    "no-usage",
    "leaky",
    "looping",
    "played",
    "unheard-of",
]

PLAYED = Recording(
    model="played",
    rules=(
        Rule(
            "raw arguments",
            ReplyTemplate(tool_calls=(ToolCallTemplate("files.write", '{"path": '),)),
            When(contains="raw"),
        ),
        Rule(
            "no arguments",
            ReplyTemplate(tool_calls=(ToolCallTemplate("files.list", ""),)),
            When(contains="none"),
        ),
        Rule(
            "prose",
            ReplyTemplate(text="Certainly! " + "word " * 400, tokens_per_second=200),
            When(contains="drift"),
        ),
        Rule(
            "wandering",
            ReplyTemplate(text='{"opinion": "' + "word " * 400, tokens_per_second=200),
            When(contains="wandering"),
        ),
        Rule("endless", ReplyTemplate(text="word" * 4000, tokens_per_second=400), When(contains="endless")),
        Rule("silent", ReplyTemplate(text="x", fault=Fault.STALL), When(contains="silent")),
        Rule(
            "no end",
            ReplyTemplate(text="x" * 40, fault=Fault.UNFINISHED, fault_after=5),
            When(contains="no end"),
        ),
        Rule("half pairs", ReplyTemplate(text="ok 😀 \0"), When(contains="emoji")),
        Rule(
            "schema in the prompt",
            ReplyTemplate(json={"passed": True, "findings": ["{{title}}"]}),
            When(system_contains="JSON object"),
            {"title": Capture(r'"(findings)"', "system")},
        ),
        Rule("long problem", ReplyTemplate(status=400, text="very wrong " * 400), When(contains="problem")),
    ),
)


@pytest.fixture(scope="session")
def model_server():
    with RunningModelServer([PLAYED]) as server:
        yield server


@pytest.fixture
async def make_host(model_server):
    hosts = []

    def make(rules=None, price=None, resolve=lambda reference: KEY, base_url=model_server.base_url, **config):
        provider = ProviderConfig("scripted", base_url, tuple(SCRIPTS), "env:KEY", **config)
        hosts.append(OpenAIHost([provider], resolve, lambda model: price or Price(1, 1, 1), rules))
        return hosts[-1]

    yield make
    for host in hosts:
        await host.close()


@pytest.fixture
def ask():
    def make(model, text="hello", **more):
        messages = (Message("system", "You are brief."), Message("user", text))
        return ModelRequest(f"scripted:{model}", messages, **more)

    return make


@pytest.fixture
async def last_log(model_server):
    async def read():
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            response = await client.get(f"{model_server.url}/_log", params={"settled": "true"})
        return response.json()["requests"][-1]

    return read
