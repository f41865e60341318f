"""A provider's figures are held to what was asked and what came; what it claimed beyond that stands beside them."""

import json

import pytest

from bailiwick.budget import HIDDEN, input_token_bound
from bailiwick.ports import MOST_TOKENS, Claim, Stop
from web_kit import page_of, web

PATH = "/v1/chat/completions"
SAID = "hello"


def page(usage: object, text: str = SAID) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [
        {
            **base,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}],
        },
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**base, "choices": [], "usage": usage},
    ]
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return page_of(200, f"{lines}data: [DONE]\n\n", content_type="text/event-stream")


def counted(given: object, made: object) -> dict[str, object]:
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": 1}


async def told(make_host, request, answer: bytes):
    async with web({PATH: answer}) as site:
        host = make_host(base_url=f"http://127.0.0.1:{site.port}/v1")
        return (await host.stream(request, lambda frame: None, Stop())).usage


@pytest.mark.parametrize("claimed", [2**53, 2**63, 10**12, 10**30])
async def test_tokens_that_nobody_can_have_used_are_cut_to_the_most_that_can(make_host, ask, claimed):
    request = ask("plain", max_output_tokens=100)
    usage = await told(make_host, request, page(counted(claimed, claimed)))
    assert usage.source == "capped"
    assert usage.input_tokens == input_token_bound(request.texts()) + HIDDEN
    assert usage.output_tokens == 100
    assert usage.claimed == Claim(min(claimed, MOST_TOKENS), min(claimed, MOST_TOKENS))


async def test_what_a_provider_adds_to_a_request_itself_is_believed(make_host, ask):
    usage = await told(make_host, ask("plain"), page(counted(3000, 62)))
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (3000, 62, "reported")
    assert usage.claimed is None


async def test_thinking_that_nobody_saw_is_believed_up_to_the_output_limit(make_host, ask):
    usage = await told(make_host, ask("plain", max_output_tokens=5000), page(counted(9, 5000)))
    assert (usage.output_tokens, usage.source) == (5000, "reported")


async def test_an_answer_beyond_its_limit_is_believed_as_far_as_it_came(make_host, ask):
    text = "a b c d " * 100
    usage = await told(make_host, ask("plain", max_output_tokens=10), page(counted(9, 400), text))
    assert (usage.output_tokens, usage.source) == (400, "reported")
    more = await told(make_host, ask("plain", max_output_tokens=10), page(counted(9, 4000), text))
    assert (more.output_tokens, more.source) == (len(text), "capped")


async def test_cached_tokens_are_a_part_of_what_is_believed(make_host, ask):
    usage = {**counted(2**40, 3), "prompt_tokens_details": {"cached_tokens": 2**40}}
    believed = await told(make_host, ask("plain"), page(usage))
    assert believed.cached_input_tokens == believed.input_tokens < 10_000


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize(("given", "made"), [(9, 2.25), (8.5, 3)])
async def test_a_fraction_of_a_token_counts_as_a_whole_one(make_host, ask, given, made):
    usage = await told(make_host, ask("plain"), page(counted(given, made)))
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (9, 3, "reported")
