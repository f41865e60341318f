"""A connection: one client's bytes, bounded in size and time before any route hears of them."""

import asyncio
import functools
from typing import Any, ClassVar

import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bailiwick.base import Refusal
from bailiwick.http.limits import Limits
from bailiwick.http.problems import MEDIA_TYPE, problem_of
from bailiwick.http.refusals import BadRequest, HeadTooLarge, TooManyConnections
from bailiwick.http.trace import begin

FAREWELL = "bailiwick.farewell"
"""The ASGI extension by which a response says its last word to a client that does not read."""

_BYTES_AROUND_BODY = 8
log = structlog.get_logger("bailiwick.http")


class Connection(HttpToolsProtocol):
    """One connection of the API.

    The server that it extends bounds neither the head of a request, nor the time that a head may take, nor how
    long bytes lie ready for a client that does not take them; nor does it look at how many connections there are.
    """

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._around = 0
        self._body = 0
        self._turned = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; one connection too many is told so and closed."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(TooManyConnections(self.limits.connections))
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, with all that was armed."""
        _disarm(self._patience)
        _disarm(self._stuck)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what belongs to no body is counted, however it is cut."""
        if self.transport.is_closing():
            return
        self._turned = False
        body = self._body
        super().data_received(data)
        self._around = 0 if self._turned else self._around + len(data) - (self._body - body)
        if self.transport.is_closing():
            return
        if self._around > self.limits.head_bytes + _BYTES_AROUND_BODY * self._body:
            self._refuse(HeadTooLarge(self.limits.head_bytes))
        elif self._patience is None and self._idle():
            self._watch()

    def on_message_begin(self) -> None:
        """Begin to count anew."""
        super().on_message_begin()
        self._turned = True
        self._body = 0

    def on_body(self, body: bytes) -> None:
        """Count what is the request's."""
        self._body += len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Hand a whole head on, if it is not too large."""
        self._turned = True
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.limits.head_bytes:
            self._refuse(HeadTooLarge(self.limits.head_bytes))
            return
        _disarm(self._patience)
        self._patience = None
        super().on_headers_complete()
        if self.cycle is not None:
            self.scope["extensions"] = {FAREWELL: {"say": functools.partial(self._farewell, self.cycle)}}

    def on_message_complete(self) -> None:
        """Begin to count anew."""
        self._turned = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def pause_writing(self) -> None:
        """Give the client a while to take what lies ready."""
        super().pause_writing()
        _disarm(self._stuck)
        self._stuck = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client took it."""
        _disarm(self._stuck)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(BadRequest("this is not a request of HTTP/1.1"))

    def _idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _watch(self) -> None:
        self._patience = self.loop.call_later(self.limits.head_seconds, self.transport.abort)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer and close; a client in the middle of a response is cut off, since no second one may stand in it."""
        log.info("http.refused", code=refusal.code)
        if not self._idle():
            self.transport.abort()
            return
        scope: dict[str, Any] = {"path": "", "headers": []}
        traceparent = begin(scope)
        problem = problem_of(refusal, scope)
        body = msgspec.json.encode(problem)
        head = (
            f"HTTP/1.1 {problem.status} {problem.title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"traceparent: {traceparent}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._close()

    def _farewell(self, cycle: RequestResponseCycle, body: bytes) -> None:
        """End a chunked response behind what lies ready; cut it off if the client does not take that in a while."""
        if self.transport.is_closing() or cycle.response_complete:
            return
        cycle.response_complete = True
        cycle.message_event.set()
        self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        self._close()

    def _close(self) -> None:
        self.transport.close()
        _disarm(self._stuck)
        self._stuck = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)


def connection_class(limits: Limits) -> type[Connection]:
    """Make the protocol class of a server with these limits."""
    return type("Connection", (Connection,), {"limits": limits})


def _disarm(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
