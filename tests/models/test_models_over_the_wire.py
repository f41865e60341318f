"""A model is asked over HTTP, streams its answer, and the reply says what it cost."""

import asyncio
import subprocess
import sys

import orjson

from bailiwick.budget import input_token_bound
from bailiwick.models import StructuredOutput
from bailiwick.ports import Message, ModelRequest, Stop, ToolSpec, ToolUse

WRITE = ToolSpec(
    "files.write",
    "Write a file.",
    {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}},
)
SCHEMA = {
    "title": "Verdict",
    "type": "object",
    "required": ["passed", "findings"],
    "properties": {
        "passed": {"type": "boolean"},
        "findings": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
}


async def test_the_frames_of_an_answer_add_up_to_its_text(make_host, ask, last_log):
    frames = []
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    reply = await make_host().stream(ask("plain", "Wie geht's? ✓", traceparent=trace), frames.append, Stop())
    assert reply.message.role == "assistant"
    assert reply.message.text.endswith("You said: Wie geht's? ✓")
    assert "".join(frame["text"] for frame in frames) == reply.message.text
    assert {frame["type"] for frame in frames} == {"text"}
    assert len(frames) > 5
    assert (reply.finish, reply.served_model, reply.tries) == ("stop", "scripted:plain", 1)
    assert reply.usage.source == "reported"
    assert reply.usage.output_tokens == len(frames)
    assert 0 < reply.first_token_ms <= reply.total_ms
    assert (await last_log())["traceparent"] == trace


async def test_a_tool_is_called_by_its_own_name_although_providers_allow_no_dots(make_host, ask):
    frames = []
    request = ask("tools", tools=(WRITE,))
    reply = await make_host().stream(request, frames.append, Stop())
    (use,) = reply.message.tool_uses
    assert (use.name, orjson.loads(use.arguments), reply.finish) == (
        "files.write",
        {"path": "scripted"},
        "tools",
    )
    pieces = [frame for frame in frames if frame["type"] == "tool"]
    assert (pieces[0]["name"], pieces[0]["id"]) == ("files.write", use.id)
    assert "".join(piece["arguments"] for piece in pieces) == use.arguments


async def test_a_conversation_goes_on_from_the_result_of_a_tool(make_host, ask):
    host, request = make_host(), ask("tools", tools=(WRITE,))
    first = await host.stream(request, lambda frame: None, Stop())
    result = Message("tool", "3 tests are red", tool_use_id=first.message.tool_uses[0].id)
    again = ModelRequest(request.model, (*request.messages, first.message, result), request.tools)
    second = await host.stream(again, lambda frame: None, Stop())
    assert second.message.text == "The tool said: 3 tests are red"
    assert (second.message.tool_uses, second.finish) == ((), "stop")


async def test_tool_arguments_are_the_raw_text_that_the_model_wrote(make_host, ask):
    reply = await make_host().stream(ask("played", "raw", tools=(WRITE,)), lambda frame: None, Stop())
    assert reply.message.tool_uses[0].arguments == '{"path": '


async def test_a_call_without_arguments_has_empty_arguments(make_host, ask):
    reply = await make_host().stream(ask("played", "none"), lambda frame: None, Stop())
    assert [(use.name, use.arguments) for use in reply.message.tool_uses] == [("files.list", "{}")]


async def test_a_history_with_broken_arguments_and_an_unknown_tool_is_still_sent(make_host, ask):
    made_up = Message("assistant", "hm", (ToolUse("call_1", "no.such", "{not json"),))
    result = Message("tool", "there is no such tool", tool_use_id="call_1")
    request = ask("tools", tools=(WRITE,))
    request = ModelRequest(request.model, (*request.messages, made_up, result), request.tools)
    reply = await make_host().stream(request, lambda frame: None, Stop())
    assert reply.message.text == "The tool said: there is no such tool"


async def test_a_structured_answer_is_asked_for_with_its_schema(make_host, ask):
    reply = await make_host().stream(ask("structured", output_schema=SCHEMA), lambda frame: None, Stop())
    assert orjson.loads(reply.message.text) == {"passed": True, "findings": ["scripted"]}


async def test_a_provider_without_schemas_gets_the_schema_in_its_prompt(make_host, ask):
    host = make_host(structured_output=StructuredOutput.PROMPTED)
    reply = await host.stream(ask("played", output_schema=SCHEMA), lambda frame: None, Stop())
    assert orjson.loads(reply.message.text) == {"passed": True, "findings": ["findings"]}


async def test_broken_json_reaches_the_caller_as_it_is(make_host, ask):
    reply = await make_host().stream(ask("bad-json", output_schema=SCHEMA), lambda frame: None, Stop())
    assert reply.message.text.endswith('"and then": ')


async def test_a_provider_that_tells_no_usage_is_not_free(make_host, ask):
    host, request = make_host(), ask("no-usage")
    reply = await host.stream(request, lambda frame: None, Stop())
    honest = await host.stream(ask("plain"), lambda frame: None, Stop())
    assert reply.usage.source == "estimated"
    assert reply.usage.input_tokens == input_token_bound(request.texts()) >= honest.usage.input_tokens > 0
    assert reply.usage.output_tokens >= honest.usage.output_tokens > 0


async def test_text_that_cannot_be_stored_is_made_storable(make_host, ask):
    reply = await make_host().stream(ask("played", "emoji"), lambda frame: None, Stop())
    assert reply.message.text == "ok 😀 \ufffd"
    orjson.dumps(reply.message.text)


async def test_one_host_answers_many_calls_at_once(make_host, ask):
    host = make_host()
    asked = [ask("plain", f"number {n}") for n in range(12)]
    replies = await asyncio.gather(*(host.stream(each, lambda frame: None, Stop()) for each in asked))
    assert [reply.message.text.rpartition(": ")[2] for reply in replies] == [f"number {n}" for n in range(12)]


def test_importing_the_room_does_not_import_the_model_library():
    code = "import sys, bailiwick.models; sys.exit(bool({'pydantic_ai', 'openai', 'genai_prices'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
