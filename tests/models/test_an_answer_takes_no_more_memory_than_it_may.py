"""However long a provider's lines, bodies and names are, and however they are packed: they are cut where they are read."""

import gzip
import json
import zlib
from pathlib import Path

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.models.inflow import MAX_LINE_BYTES, MAX_PLAIN_BYTES
from bailiwick.ports import CallFailed, Stop
from web_kit import Web, page_of, web

PATH = "/v1/chat/completions"


def event(**delta):
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return (
        f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})}\n\n"
    )


END = 'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\ndata: [DONE]\n\n'
SAID = event(role="assistant", content="hello") + END


def stream(body: str | bytes, **headers: str) -> bytes:
    return page_of(200, body, content_type="text/event-stream", **headers)


def peak_kb() -> int:
    """The most memory that this process has ever held, in KB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


async def asked(make_host, ask, site: Web):
    host = make_host(base_url=f"http://127.0.0.1:{site.port}/v1")
    return await host.stream(ask("plain"), lambda frame: None, Stop())


async def cut(make_host, ask, page: bytes) -> CallFailed:
    async with web({PATH: page}) as site:
        with pytest.raises(CallFailed) as failure:
            await asked(make_host, ask, site)
    return failure.value


async def test_an_endless_line_of_a_stream_is_cut_where_it_is_read(make_host, ask):
    async with web({PATH: stream(SAID)}) as site:
        await asked(make_host, ask, site)  # the library is loaded
    page = stream("data: " + "x" * (8 * MAX_LINE_BYTES))
    before = peak_kb()
    failed = await cut(make_host, ask, page)
    assert failed.category is ErrorCategory.INVALID_OUTPUT
    assert failed.interruptions == ("size",)
    assert f"longer than {MAX_LINE_BYTES} bytes" in failed.message
    assert (peak_kb() - before) * 1024 < 6 * MAX_LINE_BYTES, (
        "the page itself is twice in memory; the client holds a line"
    )


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
async def test_a_packed_stream_is_unpacked_no_further_than_it_may_be_long(make_host, ask, packing):
    pack = gzip.compress if packing == "gzip" else zlib.compress
    bomb = pack(b"data: " + b"x" * (40 * MAX_LINE_BYTES), 9)
    assert len(bomb) < MAX_LINE_BYTES / 10
    before = peak_kb()
    failed = await cut(make_host, ask, stream(bomb, content_encoding=packing))
    assert failed.interruptions == ("size",)
    assert (peak_kb() - before) * 1024 < 6 * MAX_LINE_BYTES


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
async def test_a_packed_answer_of_a_decent_size_is_read(make_host, ask, packing):
    pack = gzip.compress if packing == "gzip" else zlib.compress
    async with web({PATH: stream(pack(SAID.encode()), content_encoding=packing)}) as site:
        assert (await asked(make_host, ask, site)).message.text == "hello"
        assert site.asked[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip", "x" * 5000])
async def test_a_packing_that_was_not_asked_for_is_refused_in_few_words(make_host, ask, packing):
    failed = await cut(make_host, ask, stream(SAID, content_encoding=packing))
    assert failed.interruptions == ("size",)
    assert len(failed.message) < 200


async def test_what_is_not_packed_as_it_says_is_a_failure_that_may_pass(make_host, ask):
    failed = await cut(make_host, ask, stream(SAID, content_encoding="gzip"))
    assert failed.category is ErrorCategory.TRANSIENT
    assert not failed.unsent


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_a_body_that_is_no_stream_is_read_up_to_its_bound(make_host, ask, status):
    page = page_of(status, "x" * (4 * MAX_PLAIN_BYTES), content_type="application/json")
    failed = await cut(make_host, ask, page)
    assert failed.interruptions == ("size",)
    assert f"more than {MAX_PLAIN_BYTES} bytes" in failed.message


async def test_the_names_that_a_provider_gives_are_cut_to_a_length(make_host, ask):
    named = SAID.replace('"model": "m"', json.dumps("model") + ": " + json.dumps("é" * 100_000))
    async with web({PATH: stream(named.replace('"model":"m"', '"model":"' + "é" * 100_000 + '"'))}) as site:
        reply = await asked(make_host, ask, site)
    assert len(reply.served_model) < 300
    long = [{"index": 0, "id": "i" * (MAX_LINE_BYTES - 4096), "function": {"name": "f", "arguments": "{}"}}]
    body = "".join(
        event(role="assistant", tool_calls=[{**long[0], "index": n, "id": f"{n}{long[0]['id']}"}])
        for n in range(2)
    )
    failed = await cut(make_host, ask, stream(body + END))
    assert failed.interruptions == ("size",)


async def test_pieces_without_content_are_counted_too(make_host, ask, monkeypatch):
    monkeypatch.setattr("bailiwick.models.monitor.MAX_PIECES", 50)
    pieces = "".join(
        event(tool_calls=[{"index": n, "id": f"call_{n}", "function": {"name": "f", "arguments": ""}}])
        for n in range(60)
    )
    failed = await cut(make_host, ask, stream(event(role="assistant", content="") + pieces + END))
    assert failed.interruptions == ("size",)
