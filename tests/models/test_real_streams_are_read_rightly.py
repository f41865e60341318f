"""What real servers send beside the standard is read as it is meant: text, calls, usage, or the failure that it states."""

import json
from itertools import chain

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.models.chunks import Misspoken, Stated
from bailiwick.models.inflow import MAX_PLAIN_BYTES
from bailiwick.models.lines import Reading
from bailiwick.models.monitor import Interrupted
from bailiwick.ports import CallFailed, Stop
from web_kit import page_of, web

PATH = "/v1/chat/completions"
BASE = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
A, B = ("look", '{"a": 1}'), ("look", '{"b": 2}')


def chunk(delta=None, finish=None, choice=(), **more):
    return {
        **BASE,
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish, **dict(choice)}],
        **more,
    }


def said(text, **more):
    return chunk({"content": text}, **more)


def call(index=0, id=None, name=None, arguments=None, **more):
    function = {"name": name, "arguments": arguments}
    piece = {
        "index": index,
        "id": id,
        "type": "function",
        "function": {k: v for k, v in function.items() if v is not None},
    }
    return {key: value for key, value in {**piece, **more}.items() if value is not None}


def calls(*pieces):
    return chunk({"tool_calls": list(pieces)})


def sse(*chunks, done=True):
    lines = "".join(f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n" for each in chunks)
    return lines + ("data: [DONE]\n\n" if done else "")


STOP, TOOLS = chunk(finish="stop"), chunk(finish="tool_calls")
LAST = {**BASE, "choices": [], "usage": USED}


def used(usage, **more):
    return sse(said("hello"), chunk(finish="stop", **more), {**BASE, "choices": [], "usage": usage})


def finished(word):
    return sse(said("hello"), chunk(finish=word), LAST)


# name -> (body, text, calls, (input, output, cached) or None where it counts as not reported)
READ = {
    "plain": (sse(said("hel"), said("lo"), STOP, LAST), "hello", [], (9, 3, 0)),
    "usage beside choices": (sse(said("hello", usage=USED), STOP), "hello", [], (9, 3, 0)),
    "usage on every chunk": (sse(*[said("x", usage={"prompt_tokens": 9, "completion_tokens": n}) for n in range(1, 6)], STOP), "xxxxx", [], (9, 5, 0)),
    "usage on finish and again": (sse(said("hello"), chunk(finish="stop", usage=USED), LAST), "hello", [], (9, 3, 0)),
    "usage in a choice": (sse(said("hello"), chunk(finish="stop", choice={"usage": USED})), "hello", [], (9, 3, 0)),
    "usage in a delta": (sse(said("hello"), chunk({"usage": USED}, finish="stop")), "hello", [], (9, 3, 0)),
    "usage of groq": (sse(said("hello"), chunk(finish="stop", x_groq={"id": "r", "usage": USED})), "hello", [], (9, 3, 0)),
    "usage of llama.cpp timings": (sse(said("hello"), chunk(finish="stop", timings={"prompt_n": 9, "predicted_n": 3})), "hello", [], (9, 3, 0)),
    "usage null at the end": (sse(said("hello", usage=USED), chunk(finish="stop", usage=None)), "hello", [], (9, 3, 0)),
    "usage that is a list": (used([1, 2]), "hello", [], None),
    "usage that is a text": (used("many"), "hello", [], None),
    "usage empty": (used({}), "hello", [], None),
    "usage in fractions": (used({**USED, "completion_tokens": 2.25, "total_tokens": 11.25}), "hello", [], (9, 3, 0)),
    "usage in texts": (used({"prompt_tokens": "9", "completion_tokens": "3"}), "hello", [], (9, 3, 0)),
    "usage in words": (used({"prompt_tokens": "nine", "completion_tokens": 3}), "hello", [], None),
    "usage negative": (used({"prompt_tokens": 9, "completion_tokens": -3}), "hello", [], None),
    "usage true": (used({"prompt_tokens": True, "completion_tokens": 3}), "hello", [], None),
    "usage infinite": (sse(said("hello"), STOP, json.dumps({**BASE, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": float("inf")}})), "hello", [], None),
    "usage without its output": (used({"prompt_tokens": 9, "total_tokens": 12}), "hello", [], (9, 3, 0)),
    "usage without its input": (used({"completion_tokens": 3, "total_tokens": 12}), "hello", [], (9, 3, 0)),
    "usage with thinking apart by total": (used({**USED, "total_tokens": 112}), "hello", [], (9, 103, 0)),
    "usage with thinking apart by detail": (used({"prompt_tokens": 9, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 50}}), "hello", [], (9, 53, 0)),
    "usage with thinking inside": (used({"prompt_tokens": 9, "completion_tokens": 53, "completion_tokens_details": {"reasoning_tokens": 50}}), "hello", [], (9, 53, 0)),
    "usage with a total that is too small": (used({**USED, "total_tokens": 1}), "hello", [], (9, 3, 0)),
    "usage cached": (used({**USED, "prompt_tokens_details": {"cached_tokens": 4}}), "hello", [], (9, 3, 4)),
    "usage cached of deepseek": (used({**USED, "prompt_cache_hit_tokens": 4}), "hello", [], (9, 3, 4)),
    "usage cached beyond the input": (used({**USED, "prompt_tokens_details": {"cached_tokens": 40}}), "hello", [], (9, 3, 9)),
    "usage cached null": (used({**USED, "prompt_tokens_details": None}), "hello", [], (9, 3, 0)),
    "usage in the words of anthropic": (used({"input_tokens": 2, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 3}), "hello", [], (9, 3, 4)),
    "usage in the words of ollama": (used({"prompt_eval_count": 9, "eval_count": 3}), "hello", [], (9, 3, 0)),
    "usage in the words of gemini": (sse(said("hello"), chunk(finish="stop", usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 20})), "hello", [], (9, 11, 0)),
    "no usage": (sse(said("hello"), STOP), "hello", [], None),
    "created in nanoseconds": (sse(said("hello", created=1_700_000_000_000_000_000), STOP, LAST), "hello", [], (9, 3, 0)),
    "created a fraction": (sse(said("hello", created=1.5), STOP, LAST), "hello", [], (9, 3, 0)),
    "created a text": (sse(said("hello", created="2026-12-01"), STOP, LAST), "hello", [], (9, 3, 0)),
    "id null, model null": (sse(said("hello", id=None, model=None), STOP, LAST), "hello", [], (9, 3, 0)),
    "only choices": (sse({"choices": [{"delta": {"content": "hello"}}]}, {"choices": [{"finish_reason": "stop"}]}, {"usage": USED}), "hello", [], (9, 3, 0)),
    "choices null": (sse(said("hello"), {**BASE, "choices": None}, STOP, LAST), "hello", [], (9, 3, 0)),
    "choices an object": (sse({**BASE, "choices": {"delta": {"content": "hello"}}}, STOP, LAST), "hello", [], (9, 3, 0)),
    "a second choice": (sse(said("hello"), {**BASE, "choices": [{"index": 1, "delta": {"content": "other"}}]}, STOP, LAST), "hello", [], (9, 3, 0)),
    "delta null": (sse(said("hello"), {**BASE, "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}, LAST), "hello", [], (9, 3, 0)),
    "message for delta": (sse({**BASE, "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}, LAST), "hello", [], (9, 3, 0)),
    "content in parts": (sse(chunk({"content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]}), STOP, LAST), "hello", [], (9, 3, 0)),
    "content with a thinking part": (sse(chunk({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hello"}]}), STOP, LAST), "hello", [], (9, 3, 0)),
    "content a number": (sse(chunk({"content": 7}), said("hello"), STOP, LAST), "hello", [], (9, 3, 0)),
    "reasoning first": (sse(chunk({"reasoning_content": "hm"}), said("hello"), STOP, LAST), "hello", [], (9, 3, 0)),
    "reasoning in openrouter's word": (sse(chunk({"reasoning": "hm", "content": ""}), said("hello"), STOP, LAST), "hello", [], (9, 3, 0)),
    "text after the finish": (sse(said("hel", finish="stop"), said("lo"), LAST), "hello", [], (9, 3, 0)),
    "finish on every chunk": (sse(said("hel", finish="stop"), said("lo", finish="stop"), LAST), "hello", [], (9, 3, 0)),
    "finish empty": (sse(said("hello", finish=""), STOP, LAST), "hello", [], (9, 3, 0)),
    "finish in capitals": (finished("STOP"), "hello", [], (9, 3, 0)),
    "finish eos": (finished("eos_token"), "hello", [], (9, 3, 0)),
    "finish end_turn": (finished("end_turn"), "hello", [], (9, 3, 0)),
    "no end mark after a finish": (sse(said("hello"), STOP, LAST, done=False), "hello", [], (9, 3, 0)),
    "no blank line at the end": (sse(said("hello"), STOP, LAST, done=False).rstrip("\n"), "hello", [], (9, 3, 0)),
    "comments": (": PROCESSING\n\n" + sse(said("hello"), STOP).replace("data: [DONE]", ": ping\n\ndata: [DONE]"), "hello", [], None),
    "carriage returns": (sse(said("hello"), STOP, LAST).replace("\n", "\r\n"), "hello", [], (9, 3, 0)),
    "carriage returns alone": (sse(said("hello"), STOP, LAST).replace("\n", "\r"), "hello", [], (9, 3, 0)),
    "no blank after data": (sse(said("hello"), STOP, LAST).replace("data: ", "data:"), "hello", [], (9, 3, 0)),
    "a byte order mark": ("\ufeff" + sse(said("hello"), STOP, LAST), "hello", [], (9, 3, 0)),
    "event names and ids": (sse(said("hello"), STOP, LAST).replace("data: {", "event: message\nid: 1\ndata: {"), "hello", [], (9, 3, 0)),
    "data in several lines": ("data: " + json.dumps(said("hello"), indent=1).replace("\n", "\ndata: ") + "\n\n" + sse(STOP, LAST), "hello", [], (9, 3, 0)),
    "a whole answer for a stream": (json.dumps({**BASE, "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}], "usage": USED}), "hello", [], (9, 3, 0)),
    "a whole answer, indented": (json.dumps({**BASE, "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}], "usage": USED}, indent=2), "hello", [], (9, 3, 0)),
    "chunks in lines": ("\n".join(json.dumps(each) for each in (said("hel"), said("lo"), STOP, LAST)), "hello", [], (9, 3, 0)),
    "two calls with one index": (sse(calls(call(0, "c1", *A)), calls(call(0, "c2", *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "two calls with one index in one chunk": (sse(calls(call(0, "c1", *A), call(0, "c2", *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "two calls without ids and one index": (sse(calls(call(0, None, *A)), calls(call(0, None, *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "two calls without index": (sse(calls(call(None, "c1", *A)), calls(call(None, "c2", *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "two calls without id or index": (sse(calls(call(None, None, *A), call(None, None, *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "two calls with one id": (sse(calls(call(0, "c1", *A)), calls(call(1, "c1", *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "calls in pieces that take turns": (sse(calls(call(0, "c1", "look", "")), calls(call(1, "c2", "look", "")), calls(call(0, arguments='{"a"')), calls(call(1, arguments='{"b"')), calls(call(0, arguments=": 1}")), calls(call(1, arguments=": 2}")), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "indexes out of order": (sse(calls(call(1, "c1", *A)), calls(call(0, "c2", *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "indexes that are texts": (sse(calls(call("0", "c1", *A), call("1", "c2", *B)), TOOLS, LAST), "", [A, B], (9, 3, 0)),
    "an id in every piece": (sse(calls(call(0, "c1", "look", '{"a"')), calls(call(0, "c1", None, ": 1}")), TOOLS, LAST), "", [A], (9, 3, 0)),
    "a new id in every piece": (sse(calls(call(0, "c1", "look", '{"a"')), calls(call(0, "c2", None, ": 1}")), TOOLS, LAST), "", [A], (9, 3, 0)),
    "an id that comes late": (sse(calls(call(0, None, None, '{"a"')), calls(call(0, "c1", "look", ": 1}")), TOOLS, LAST), "", [A], (9, 3, 0)),
    "a name in every piece": (sse(calls(call(0, "c1", "look", '{"a"')), calls(call(0, "c1", "look", ": 1}")), TOOLS, LAST), "", [A], (9, 3, 0)),
    "a name in pieces": (sse(calls(call(0, "c1", "lo")), calls(call(0, None, "ok")), calls(call(0, None, None, '{"a": 1}')), TOOLS, LAST), "", [A], (9, 3, 0)),
    "a name that grows": (sse(calls(call(0, "c1", "lo")), calls(call(0, "c1", "look")), calls(call(0, None, None, '{"a": 1}')), TOOLS, LAST), "", [A], (9, 3, 0)),
    "a name after its arguments": (sse(calls(call(0, "c1", None, '{"a": 1}')), calls(call(0, "c1", "look")), TOOLS, LAST), "", [A], (9, 3, 0)),
    "arguments that repeat all before": (sse(calls(call(0, "c1", "look", '{"a"')), calls(call(0, "c1", None, '{"a": 1}')), TOOLS, LAST), "", [A], (9, 3, 0)),
    "arguments told twice": (sse(calls(call(0, "c1", *A)), calls(call(0, "c1", *A)), TOOLS, LAST), "", [A], (9, 3, 0)),
    "arguments as an object": (sse(calls(call(0, "c1", function={"name": "look", "arguments": {"a": 1}})), TOOLS, LAST), "", [A], (9, 3, 0)),
    "arguments null": (sse(calls(call(0, "c1", function={"name": "look", "arguments": None})), TOOLS, LAST), "", [("look", "{}")], (9, 3, 0)),
    "a call without function": (sse(calls({"index": 0, "id": "c1", "name": "look", "input": {"a": 1}}), TOOLS, LAST), "", [A], (9, 3, 0)),
    "a call in the old form": (sse(chunk({"function_call": {"name": "look", "arguments": '{"a": '}}), chunk({"function_call": {"arguments": "1}"}}, finish="function_call"), LAST), "", [A], (9, 3, 0)),
    "a call that ends with stop": (sse(calls(call(0, "c1", *A)), STOP, LAST), "", [A], (9, 3, 0)),
    "a call with its finish": (sse(chunk({"tool_calls": [call(0, "c1", *A)]}, finish="tool_calls"), LAST), "", [A], (9, 3, 0)),
    "a call of a whole answer": (json.dumps({**BASE, "choices": [{"message": {"content": None, "tool_calls": [call(None, "c1", *A), call(None, "c2", *B)]}, "finish_reason": "tool_calls"}], "usage": USED}), "", [A, B], (9, 3, 0)),
    "an empty list of calls": (sse(chunk({"content": "hello", "tool_calls": []}), STOP, LAST), "hello", [], (9, 3, 0)),
    "an error of nothing": (sse(said("hello", error={"code": 0, "message": ""}), STOP, LAST), "hello", [], (9, 3, 0)),
    "an empty error": (sse(said("hello", error=None), STOP, LAST), "hello", [], (9, 3, 0)),
}  # fmt: skip

C = ErrorCategory
# name -> (body, category, words of the message)
FAILED = {
    "cut at the limit": (sse(said('{"a'), chunk(finish="length"), LAST), C.INVALID_OUTPUT, "cut at 3 output tokens"),
    "a call cut at the limit": (sse(calls(call(0, "c1", *A)), chunk(finish="length"), LAST), C.INVALID_OUTPUT, "cut at 3 output tokens"),
    "all spent on thinking": (sse(chunk({"reasoning_content": "hm"}), chunk(finish="length"), LAST), C.INVALID_OUTPUT, "max_output_tokens"),
    "cut, in another word": (finished("MAX_TOKENS"), C.INVALID_OUTPUT, "cut at 3 output tokens"),
    "cut, and then said to have stopped": (sse(said("hel", finish="length"), said("lo"), STOP, LAST), C.INVALID_OUTPUT, "cut at 3 output tokens"),
    "filtered": (finished("content_filter"), C.REJECTED, "content_filter"),
    "filtered, in another word": (finished("SAFETY"), C.REJECTED, "content_filter"),
    "given up by the server": (finished("abort"), C.TRANSIENT, "ended the answer: abort"),
    "no finish": (sse(said("hello"), LAST), C.TRANSIENT, "finish_reason"),
    "no finish and no end mark": (sse(said("hello"), done=False), C.TRANSIENT, "finish_reason"),
    "an error first": (sse({"error": {"message": "slow down", "code": 429}}), C.RATE_LIMITED, "slow down"),
    "an error first, by name": (sse({"error": {"message": "no", "type": "overloaded_error"}}), C.TRANSIENT, "no"),
    "an error first, of vllm": (sse({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}), C.REJECTED, "too long"),
    "an error as a text": (sse({"error": "the key is wrong", "status": 401}), C.DENIED, "the key is wrong"),
    "an error by its event": ('event: error\ndata: {"message": "busy", "code": "503"}\n\n', C.TRANSIENT, "busy"),
    "an error later": (sse(said("hel"), {"error": {"message": "too many", "code": "rate_limit_exceeded"}}), C.RATE_LIMITED, "too many"),
    "an error that says nothing": (sse({"error": {"x": 1}}), C.TRANSIENT, '"x": 1'),
    "an error as the whole body": (json.dumps({"error": {"message": "no funds", "code": 402}}), C.EXHAUSTED, "no funds"),
    "a page": ("<html><title>502 Bad Gateway</title>sorry</html>", C.TRANSIENT, "502 Bad Gateway"),
    "a page of another status": ("<html><head><title>403 Forbidden</title></head></html>", C.DENIED, "403 Forbidden"),
    "a page of a login": ("<!doctype html><p>Please\u0007 log in", C.TRANSIENT, "Please\ufffd log in"),
    "a text": ("upstream connect error", C.TRANSIENT, "upstream connect error"),
    "nothing": ("", C.TRANSIENT, "empty body"),
    "a list": (sse("[1, 2]"), C.TRANSIENT, "no chunk"),
    "half a chunk": (sse(said("hel"), '{"choices": [{"del'), C.TRANSIENT, "no JSON"),
    "a number of 5000 digits": (sse("1" * 5000), C.TRANSIENT, "no JSON"),
    "nested beyond measure": (sse('{"a":' * 100_000), C.TRANSIENT, "no JSON"),
}  # fmt: skip


async def streamed(make_host, ask, body: str, **headers):
    headers = {"content_type": "text/event-stream", **headers}
    async with web({PATH: page_of(200, body, **headers)}) as site:
        host = make_host(base_url=f"http://127.0.0.1:{site.port}/v1")
        return await host.stream(ask("plain", max_output_tokens=5000), lambda frame: None, Stop())


@pytest.mark.parametrize("name", READ)
async def test_what_a_server_means_is_what_is_read(make_host, ask, name):
    body, text, wanted, tokens = READ[name]
    reply = await streamed(make_host, ask, body)
    found = reply.message.tool_uses
    assert reply.message.text == text
    assert [(use.name, json.loads(use.arguments)) for use in found] == [(n, json.loads(a)) for n, a in wanted]
    assert len({use.id for use in found}) == len(found)
    assert reply.finish == ("tools" if wanted else "stop")
    usage = reply.usage
    if tokens is None:
        assert usage.source == "estimated"
    else:
        assert (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == tokens
        assert usage.source == "reported"


@pytest.mark.parametrize("name", FAILED)
async def test_what_must_not_be_used_fails_as_what_it_is(make_host, ask, name):
    body, category, words = FAILED[name]
    with pytest.raises(CallFailed) as failed:
        await streamed(make_host, ask, body)
    assert failed.value.category is category
    assert words in failed.value.message
    assert len(failed.value.message) <= 400


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-ndjson"])
@pytest.mark.parametrize("name", ["plain", "a whole answer for a stream", "chunks in lines"])
async def test_a_body_is_what_it_is_and_not_what_its_header_says(make_host, ask, name, kind):
    assert (await streamed(make_host, ask, READ[name][0], content_type=kind)).message.text == "hello"


def rewritten(body: str, size: int) -> bytes | str:
    reading, data = Reading(lambda: None, MAX_PLAIN_BYTES), body.encode()
    try:
        parts = [out for at in range(0, len(data), size) for out in reading.feed(data[at : at + size])]
        return b"".join([*parts, *reading.finish()])
    except (Stated, Misspoken) as error:
        return str(error)


@pytest.mark.parametrize("name", [name for name in {**READ, **FAILED} if name != "nested beyond measure"])
def test_an_answer_is_read_alike_however_its_bytes_are_cut(name, monkeypatch):
    monkeypatch.setattr("bailiwick.models.toolcalls.uuid4", lambda: type("Id", (), {"hex": "1"}))
    body = {**READ, **FAILED}[name][0]
    whole = rewritten(body, 1_000_000)
    assert whole
    for size in (1, 2, 3, 7, 64):
        assert rewritten(body, size) == whole


def test_an_event_of_many_lines_is_bounded_like_one_line():
    reading = Reading(lambda: None, MAX_PLAIN_BYTES)
    line = b"data: " + b"x" * 1_000_000 + b"\n"
    with pytest.raises(Interrupted):
        list(chain.from_iterable(reading.feed(line) for _ in range(20)))


def test_pieces_of_a_call_cost_no_more_the_more_there_were():
    """Each piece is read once: a million closing braces must not be parsed a million times."""
    reading = Reading(lambda: None, MAX_PLAIN_BYTES)
    first = sse(calls(call(0, "c1", "look", '{"a": "' + "x" * 2_000_000 + '"}')), done=False)
    list(reading.feed(first.encode()))
    read = reading.normaliser.tools.calls[0]
    for _ in range(200):
        list(reading.feed(sse(calls(call(0, "c1", None, "}")), done=False).encode()))
    assert len(read.pieces) == 201
    assert not read.whole
