"""The schema that a provider is sent is the contract's: an open object is not closed on the way."""

import json

import pytest

from bailiwick.models.dialect import closed
from bailiwick.ports import Stop, ToolSpec
from web_kit import page_of, web

PATH = "/v1/chat/completions"
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN = {
    "type": "object",
    "properties": {"meta": {"type": "object"}, "rows": {"type": "array", "items": {"type": "object"}}},
    "required": ["meta", "rows"],
    "additionalProperties": False,
}  # fmt: skip
ANSWER = 'data: {"choices":[{"delta":{"content":"none"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


async def sent(make_host, ask, **more):
    async with web({PATH: page_of(200, ANSWER, content_type="text/event-stream")}) as site:
        host = make_host(base_url=f"http://127.0.0.1:{site.port}/v1")
        await host.stream(ask("plain", **more), lambda frame: None, Stop())
    return json.loads(site.asked[0][2])


async def test_an_open_object_in_an_answer_s_schema_stays_open(make_host, ask):
    told = (await sent(make_host, ask, output_schema={**OPEN, "properties": {"meta": {"type": "object"}}, "required": ["meta"]}))["response_format"]["json_schema"]  # fmt: skip
    assert told["strict"] is False
    assert told["schema"]["properties"]["meta"].get("additionalProperties", True) is True


async def test_an_open_object_in_a_tool_s_arguments_stays_open(make_host, ask):
    body = await sent(make_host, ask, tools=(ToolSpec("look", "Look", OPEN),))
    function = body["tools"][0]["function"]
    assert not function.get("strict")
    assert function["parameters"]["properties"]["meta"].get("additionalProperties", True) is True


async def test_a_schema_that_is_closed_throughout_is_held_to_strictly(make_host, ask):
    told = (await sent(make_host, ask, output_schema=CLOSED))["response_format"]["json_schema"]
    assert told["strict"] is True
    assert {key: value for key, value in told["schema"].items() if key != "title"} == CLOSED


@pytest.mark.parametrize(
    ("schema", "is_closed"),
    [
        (CLOSED, True),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": ["object", "null"]}]}}}, False),
        ({**CLOSED, "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"properties": {}}}}, False),
        ({**CLOSED, "properties": {"a": {"items": CLOSED}}}, True),
    ],
)
def test_what_a_strict_mode_cannot_say_is_known_at_every_depth(schema, is_closed):
    assert closed(schema) is is_closed
