"""The scripted model server: OpenAI's chat dialect over HTTP, with answers that no model wrote.

The name of the model in a request picks a built-in script (see `scripts`) or a recording (see `recording`); an
unknown name gets a 404. Everything is deterministic. `GET /_log` tells, per request, how many chunks went out, whether
the peer left before the end, and when; `?settled=true` waits (30 s at most) until no request is in progress.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bailiwick.base import Json, Refusal
from bailiwick.testing.conversation import Conversation, InvalidRequest, read_request
from bailiwick.testing.playback import play
from bailiwick.testing.recording import Recording
from bailiwick.testing.reply import (
    FINGERPRINT,
    Answer,
    Fault,
    Reply,
    chunk,
    completion,
    prepare,
    problem,
    usage_chunk,
)
from bailiwick.testing.scripts import built_in_scripts

NOTE = "This is a scripted model server. Its answers were written beforehand; there is no model behind it."
_LOG_ENTRIES = 10_000
_MAX_BODY = 64 * 1_048_576
_SETTLE_SECONDS = 30


class LogEntry(msgspec.Struct):
    """What happened to one request. Times in seconds since it came; `left_after` is set when the peer left early."""

    number: int
    model: str = ""
    rule: str = ""
    status: int = 0
    stream: bool = False
    chunks: int = 0
    peer_left: bool = False
    left_after: float | None = None
    seconds: float | None = None
    traceparent: str = ""


class ModelServer:
    """The application. `app` is ASGI; `log` holds the newest requests.

    Args:
        recordings: Models that play from rules; one that is named like a built-in script stands in its place.
    """

    def __init__(self, recordings: Sequence[Recording] = ()) -> None:
        self._scripts = dict(built_in_scripts())
        self._recordings = {each.model: each for each in recordings}
        self.log: deque[LogEntry] = deque(maxlen=_LOG_ENTRIES)
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._count = 0
        self.app = Starlette(
            routes=[
                Route("/", self._about),
                Route("/v1/models", self._list_models),
                Route("/v1/chat/completions", _Endpoint(self), methods=["POST"]),
                Route("/_log", self._show_log),
            ]
        )

    @property
    def models(self) -> tuple[str, ...]:
        """The names that are answered."""
        return tuple(sorted({*self._scripts, *self._recordings}))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of `/v1/chat/completions`, and log it."""
        began = time.monotonic()
        self._count += 1
        self._open += 1
        self._settled.clear()
        entry = LogEntry(self._count)
        self.log.append(entry)
        exchange = _Exchange(scope, receive, send, entry, began)
        try:
            await self._answer(exchange)
        finally:
            entry.seconds = time.monotonic() - began
            self._open -= 1
            if self._open == 0:
                self._settled.set()

    async def _answer(self, exchange: "_Exchange") -> None:
        try:
            conversation = read_request(await exchange.json())
            exchange.entry.model, exchange.entry.stream = conversation.model, conversation.stream
            reply = self._reply(conversation, exchange.entry)
        except Refusal as refusal:
            reply = Reply(status=400, text=f"{refusal.message} ({refusal.remedy})")
        if reply.status >= 400:
            await exchange.whole(reply.status, problem(reply, exchange.credential), reply.headers)
            return
        answer = prepare(conversation, reply)
        if conversation.stream:
            await exchange.stream(answer, reply, usage=reply.usage and conversation.wants_usage)
        else:
            await exchange.whole(200, completion(answer, reply), reply.headers)

    def _reply(self, conversation: Conversation, entry: LogEntry) -> Reply:
        recording = self._recordings.get(conversation.model)
        if recording is not None:
            entry.rule, reply = play(recording, conversation)
            return reply
        script = self._scripts.get(conversation.model)
        if script is None:
            known = ", ".join(self.models)
            return Reply(
                status=404, text=f"The model {conversation.model!r} does not exist; there are: {known}."
            )
        return script(conversation)

    async def _about(self, _: Request) -> Response:
        plays = {name: each.about for name, each in self._recordings.items()}
        return JSONResponse({"note": NOTE, "models": self.models, "recordings": plays})

    async def _list_models(self, _: Request) -> Response:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": FINGERPRINT} for name in self.models
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def _show_log(self, request: Request) -> Response:
        if request.query_params.get("settled") == "true":
            with suppress(TimeoutError):  # `in_progress` then says that it is not settled
                await asyncio.wait_for(self._settled.wait(), _SETTLE_SECONDS)
        entries = [msgspec.to_builtins(entry) for entry in self.log]
        return JSONResponse({"in_progress": self._open, "requests": entries})


class _Endpoint:
    """Makes a bare ASGI application of the server's method, so that it sees the peer leave."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._server.serve(scope, receive, send)


class _Exchange:
    """One request and its response on the wire."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, entry: LogEntry, began: float) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        entry.traceparent = headers.get("traceparent", "")
        self.credential = headers.get("authorization", "none")
        self.entry = entry
        self._receive = receive
        self._send = send
        self._began = began

    async def json(self) -> Json:
        """Read the request's body.

        Raises:
            InvalidRequest: It is not JSON, or larger than 64 MiB.
        """
        parts, size, more = [], 0, True
        while more:
            message = await self._receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > _MAX_BODY:
                raise InvalidRequest(f"more than {_MAX_BODY} bytes")
            more = message.get("more_body", False)
        try:
            return orjson.loads(b"".join(parts))
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"not JSON: {error}") from error

    async def whole(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> None:
        """Send a response in one piece."""
        await self._start(status, "application/json", headers)
        await self._send({"type": "http.response.body", "body": orjson.dumps(body)})

    async def stream(self, answer: Answer, reply: Reply, *, usage: bool) -> None:
        """Send an answer chunk by chunk, at the reply's pace, until its end, its fault, or the peer's leaving."""
        await self._start(200, "text/event-stream", reply.headers)
        gone = asyncio.create_task(self._peer_leaves())
        try:
            ended = await self._send_chunks(answer, reply, gone, usage=usage)
        finally:
            gone.cancel()
            await asyncio.wait({gone})
        if ended:
            await self._send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def _send_chunks(
        self, answer: Answer, reply: Reply, gone: "asyncio.Task[None]", *, usage: bool
    ) -> bool:
        """Send the chunks; False when the answer did not come to its end."""
        pause = 1 / reply.tokens_per_second if reply.tokens_per_second else 0
        await self._chunk(chunk(answer, {"role": "assistant", "content": ""}))
        for number, delta in enumerate(answer.deltas):
            if reply.fault is not Fault.NONE and number == reply.fault_after:
                return await self._fail(reply.fault, gone)
            await asyncio.wait({gone}, timeout=pause)
            if gone.done():
                return self._left()
            await self._chunk(chunk(answer, delta.content))
        await self._chunk(chunk(answer, {}, answer.finish))
        if usage:
            await self._chunk(usage_chunk(answer))
        return True

    async def _fail(self, fault: Fault, gone: "asyncio.Task[None]") -> bool:
        if fault is Fault.GARBAGE:
            await self._bytes(b'data: {"id": "chatcmpl-broken", "choices": [{"delta": \n\n')
            return True
        if fault is Fault.STALL:
            await asyncio.wait({gone})
            return self._left()
        return fault is Fault.UNFINISHED  # else: a response that is left open is cut by the server below us

    def _left(self) -> bool:
        self.entry.peer_left = True
        self.entry.left_after = time.monotonic() - self._began
        return False

    async def _peer_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _chunk(self, body: dict[str, Any]) -> None:
        await self._bytes(b"data: " + orjson.dumps(body) + b"\n\n")
        self.entry.chunks += 1

    async def _bytes(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _start(self, status: int, content_type: str, headers: Sequence[tuple[str, str]]) -> None:
        self.entry.status = status
        sent = [("content-type", content_type), ("x-scripted-model", FINGERPRINT), *headers]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
