"""A scripted answer, and the chunks of the OpenAI dialect that it is sent in."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from bailiwick.base import Json
from bailiwick.testing.conversation import Conversation

FINGERPRINT = "scripted-model-no-ai-behind-it"
CREDENTIAL = "<credential>"
_PIECE = re.compile(r"(?s).{1,4}")
_CREATED = 1_700_000_000


class Fault(StrEnum):
    """How an answer goes wrong on the wire, after `fault_after` tokens.

    cut: the connection breaks. stall: nothing more comes. garbage: a chunk is not JSON.
    unfinished: the stream ends in good order, but no chunk says why the answer finished.
    """

    NONE = "none"
    CUT = "cut"
    STALL = "stall"
    GARBAGE = "garbage"
    UNFINISHED = "unfinished"


class Call(msgspec.Struct, frozen=True):
    """A call of a tool; `arguments` may be raw text, to send what is not JSON."""

    name: str
    arguments: str


class Reply(msgspec.Struct, frozen=True):
    """What to answer. A status of 400 or more is an error with `text` as its message.

    `tokens_per_second` 0 sends as fast as the wire takes it. `usage` False leaves the usage out.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    tokens_per_second: float = 0
    usage: bool = True
    fault: Fault = Fault.NONE
    fault_after: int = 0
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Delta(msgspec.Struct, frozen=True):
    """One chunk: what it adds to the message, and how many tokens that is."""

    content: dict[str, Any]
    tokens: int = 1


class Answer(msgspec.Struct, frozen=True):
    """A reply made ready for one request: its deltas up to the request's token limit, and how it finishes."""

    id: str
    model: str
    deltas: tuple[Delta, ...]
    finish: str
    usage: dict[str, int]


def tokens_of(text: str) -> list[str]:
    """Cut a text into the scripted model's tokens: four characters each."""
    return _PIECE.findall(text)


def prepare(conversation: Conversation, reply: Reply) -> Answer:
    """Make an answer; the same request and reply give the same bytes."""
    deltas = list(_deltas(conversation, reply))
    finish = "tool_calls" if reply.calls else "stop"
    limit = conversation.max_tokens
    if limit is not None and sum(delta.tokens for delta in deltas) > limit:
        deltas, finish = _up_to(deltas, limit), "length"
    written = sum(delta.tokens for delta in deltas)
    read = -(-conversation.size // 4)
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return Answer(f"chatcmpl-{conversation.digest[:24]}", conversation.model, tuple(deltas), finish, usage)


def _deltas(conversation: Conversation, reply: Reply) -> Iterator[Delta]:
    for piece in tokens_of(reply.text):
        yield Delta({"content": piece})
    for index, call in enumerate(reply.calls):
        name = conversation.offered(call.name) or call.name
        head = {"id": f"call_{conversation.digest[:16]}_{index}", "type": "function"}
        yield Delta({"tool_calls": [{"index": index, **head, "function": {"name": name, "arguments": ""}}]})
        for piece in tokens_of(call.arguments):
            yield Delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


def _up_to(deltas: list[Delta], limit: int) -> list[Delta]:
    kept, total = [], 0
    for delta in deltas:
        total += delta.tokens
        if total > limit:
            break
        kept.append(delta)
    return kept


def chunk(answer: Answer, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """Write one chunk of a stream."""
    return {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": answer.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def usage_chunk(answer: Answer) -> dict[str, Any]:
    """Write the last chunk, which holds the usage and no choice."""
    return {**chunk(answer, {}), "choices": [], "usage": answer.usage}


def completion(answer: Answer, reply: Reply) -> Json:
    """Write the whole answer of a request that did not ask for a stream."""
    text = "".join(delta.content.get("content", "") for delta in answer.deltas)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    calls: dict[int, dict[str, Any]] = {}
    for delta in answer.deltas:
        for part in delta.content.get("tool_calls", ()):
            if "id" in part:
                calls[part["index"]] = {
                    "id": part["id"],
                    "type": "function",
                    "function": dict(part["function"]),
                }
            else:
                calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    body = chunk(answer, {})
    body["object"] = "chat.completion"
    body["choices"] = [{"index": 0, "message": message, "finish_reason": answer.finish}]
    return {**body, "usage": answer.usage} if reply.usage else body


def problem(reply: Reply, credential: str) -> Json:
    """Write the body of an error; `CREDENTIAL` in its text is replaced by what the peer showed."""
    kind = {429: "rate_limit_error", 401: "authentication_error"}.get(reply.status, "invalid_request_error")
    return {
        "error": {
            "message": reply.text.replace(CREDENTIAL, credential),
            "type": kind,
            "code": None,
            "param": None,
        }
    }
