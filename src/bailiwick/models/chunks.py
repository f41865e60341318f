"""The one step between the wire and everything else: a provider's chunks, each rewritten to exactly the dialect."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick.models.figures import usage_in, whole
from bailiwick.models.toolcalls import ToolCalls
from bailiwick.ports import Usage

_SHOWN = 200
_FINISHES = {
    "stop": "stop eos eos_token end end_turn stop_sequence complete completed done stop_token finished natural",
    "length": "length max_tokens max_output_tokens max_length token_limit model_length model_context_window_exceeded",
    "tool_calls": "tool_calls tool_use tool_call tools function_call",
    "content_filter": "content_filter safety recitation blocklist prohibited_content spii refusal sensitive",
}
_FINISH = {word: finish for finish, words in _FINISHES.items() for word in words.split()}
_CUT = ("length", "content_filter")
_STATUSES = {
    429: (
        "rate_limit",
        "rate limit",
        "ratelimit",
        "rate-limit",
        "resource_exhausted",
        "quota",
        "too many requests",
    ),
    401: ("authentication", "invalid_api_key", "unauthorized", "unauthenticated"),
    403: ("permission", "forbidden"),
    404: ("not_found", "notfound", "not found"),
    400: (
        "invalid_request",
        "context_length",
        "context length",
        "bad_request",
        "bad request",
        "invalid_argument",
    ),
    503: ("overloaded", "unavailable"),
    504: ("timeout", "timed out", "timed_out"),
}
_TITLE = re.compile(r"<(?:title|h1)>\s*(?:error\s*)?([45]\d\d)\b", re.IGNORECASE)


class Stated(Exception):
    """What a provider calls an error, though it answered 200. `status` is the one that it states, else 500."""

    def __init__(self, status: int, words: str, code: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.code = code


class Misspoken(Exception):
    """What a provider sent is nothing that its dialect knows; the message quotes its beginning."""


class Normaliser:
    """Rewrites one answer, chunk by chunk.

    What it sends on has one choice, texts that are texts, an index of its own for each tool call, no usage, and
    the reason of its end once, at its end. The usage is what any chunk said last: a total, never a sum.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.tools = ToolCalls()
        self._finish = ""
        self._model = ""
        self._done = False

    def event(self, data: str, kind: str = "") -> Iterator[bytes]:
        """Take the data of one event.

        Raises:
            Stated: It says that the provider failed.
            Misspoken: It is no chunk.
        """
        if self._done or not data.strip():
            return
        if data.strip() == "[DONE]":
            yield from self.end()
            return
        yield from self.chunk(_parsed(data), kind)

    def chunk(self, raw: object, kind: str = "") -> Iterator[bytes]:
        """Take one chunk, parsed; see `event`."""
        if not isinstance(raw, dict):
            raise Misspoken(f"the provider sent no chunk: {shown(json.dumps(raw))}")
        _refuse_errors(raw, kind)
        self.usage = usage_in(raw) or self.usage
        if isinstance(raw.get("model"), str):
            self._model = raw["model"]
        choice = _choice(raw)
        if choice is None:
            return
        self._end_by(choice.get("finish_reason"))
        delta = self._delta(choice)
        if delta:
            yield self._written(delta)

    def end(self) -> Iterator[bytes]:
        """Give what ends the stream; nothing says so where the provider never said why it ended."""
        if not self._done:
            self._done = True
            if self._finish:
                yield self._written({}, self._finish)
            yield b"data: [DONE]\n\n"

    def _end_by(self, reason: object) -> None:
        if not isinstance(reason, str) or not reason.strip():
            return
        word = reason.strip().lower().replace("-", "_")
        if word not in _FINISH:
            raise Stated(500, f"the provider ended the answer: {shown(reason)}")
        if self._finish not in _CUT:  # what was cut stays cut, whatever a later chunk calls its end
            self._finish = _FINISH[word]

    def _delta(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        raw: dict[str, Any] = next(
            (choice[name] for name in ("delta", "message") if isinstance(choice.get(name), dict)), {}
        )
        delta: dict[str, Any] = {}
        text, thought = _content(raw.get("content", choice.get("text")))
        thinking = thought or _string(raw.get("reasoning_content")) or _string(raw.get("reasoning"))
        if text:
            delta["content"] = text
        if thinking:
            delta["reasoning_content"] = thinking
        if _string(raw.get("refusal")):
            delta["refusal"] = raw["refusal"]
        pieces = [self.tools.take(piece) for piece in _pieces(raw)]
        if any(pieces):
            delta["tool_calls"] = [piece for piece in pieces if piece is not None]
        return delta

    def _written(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        body = {
            "id": "answer",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self._model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        return b"data: " + json.dumps(body).encode() + b"\n\n"


def plain(body: str, normaliser: Normaliser) -> Iterator[bytes]:
    """Take a body that is no event stream: a whole answer, chunks in lines, an error, or a page.

    Raises:
        Stated: It says that the provider failed.
        Misspoken: It is none of these.
    """
    try:
        chunks = [_parsed(body)]
    except Misspoken:
        page = _TITLE.search(body[:4096])
        if page is not None:
            raise Stated(int(page.group(1)), f"a page instead of an answer: {shown(body)}") from None
        chunks = [_parsed(line) for line in body.splitlines() if line.strip()]
    for chunk in chunks:
        yield from normaliser.chunk(chunk)
    yield from normaliser.end()


def shown(text: str) -> str:
    """Quote what a provider sent: visible characters, in one line, 200 at most."""
    line = " ".join(text[: 4 * _SHOWN].split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)[:_SHOWN]


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Misspoken(f"the provider sent what is no JSON: {shown(data)}") from None


def _refuse_errors(raw: Mapping[str, Any], kind: str) -> None:
    """Raise what a chunk calls an error."""
    inner = raw.get("error")
    said = kind == "error" or raw.get("type") == "error" or raw.get("object") == "error"
    empty = not inner or (isinstance(inner, dict) and not any(inner.values()))
    if empty and not said:
        return
    fields = inner if isinstance(inner, dict) else raw
    words = (
        _string(inner) or _string(fields.get("message")) or _string(raw.get("message")) or json.dumps(fields)
    )
    codes = [each.get(name) for each in (fields, raw) for name in ("status", "status_code", "code", "type")]
    named = [code for code in codes if isinstance(code, str)]
    code = _string(fields.get("code")) or (named[0] if named else "")
    raise Stated(_status([*codes, words]), f"{shown(words)} (inside an answer with status 200)", code)


def _status(told: list[object]) -> int:
    for code in told:
        number = whole(code)
        if number is not None and 400 <= number <= 599:
            return number
    said = " ".join(code for code in told if isinstance(code, str)).lower()
    for status, words in _STATUSES.items():
        if any(word in said for word in words):
            return status
    return 500


def _choice(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the first choice; only one was asked for, and others are no part of its answer."""
    choices = raw.get("choices")
    if isinstance(choices, dict):
        choices = [choices]
    listed = [each for each in choices if isinstance(each, dict)] if isinstance(choices, list) else []
    return next((each for each in listed if not whole(each.get("index"))), None)


def _pieces(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls = raw.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    if not calls and isinstance(raw.get("function_call"), dict):
        calls = [{"index": 0, "function": raw["function_call"]}]
    return [each for each in calls if isinstance(each, dict)] if isinstance(calls, list) else []


def _content(value: object) -> tuple[str, str]:
    """Read a content, written as a text or as a list of parts: the text, and what is thinking."""
    if isinstance(value, str):
        return value, ""
    parts = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    text = "".join(
        _string(part.get("text")) for part in parts if part.get("type") in ("text", "output_text", None)
    )
    thought = "".join(_string(part.get("thinking")) for part in parts if part.get("type") == "thinking")
    return text, thought


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
