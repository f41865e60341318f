"""The event stream: one client that follows a run, served from the log, woken by commits, never in anyone's way."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from bailiwick.http.connection import FAREWELL
from bailiwick.http.limits import Limits
from bailiwick.http.refusals import TooManyStreams
from bailiwick.http.shapes import instant
from bailiwick.policy import Principal
from bailiwick.ports import wait_for_ever
from bailiwick.service import LimitBook, Platform, StreamsLimit, Unauthenticated, Watcher

RETRY_MILLISECONDS = 1000
_PAGE = 16
_CLOSED = "run.closed"
_REOPENED = "run.rollback_requested"
Farewell = Callable[[bytes], None]
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Source(msgspec.Struct, frozen=True):
    """What a stream shows: a run, to the caller whose key it was, as long as that is in force."""

    platform: Platform
    caller: Principal
    secret: str
    run: str
    show: Callable[[dict[str, Any]], dict[str, Any]]

    def reader(self) -> Principal:
        """Find who reads.

        Raises:
            Unauthenticated: The key was revoked meanwhile.
        """
        return self.platform.keyring.authenticate(self.secret)


class OpenStreams:
    """The streams that are open, so that they can be counted, shared and, when the server stops, ended.

    When all are taken, a tenant that has fewer than another gets the newest one of whoever has the most: that client
    is told where to resume.
    """

    def __init__(self, limit: int, limits: LimitBook) -> None:
        self._limit = limit
        self._limits = limits
        self._watchers: dict[Watcher, Principal] = {}
        self._yielding: set[Watcher] = set()
        self.closing = False

    @contextmanager
    def one(self, source: Source) -> Iterator[Watcher]:
        """Watch a run for the length of a `with`.

        Raises:
            StreamsLimit: The tenant or the key has as many as it may.
            TooManyStreams: As many as there may be are open, and nobody has more than this tenant.
        """
        self._admit(source.caller)
        watcher = source.platform.streams.watch(source.run)
        self._watchers[watcher] = source.caller
        try:
            yield watcher
        finally:
            self._watchers.pop(watcher, None)
            self._yielding.discard(watcher)
            source.platform.streams.leave(source.run, watcher)

    def _admit(self, caller: Principal) -> None:
        limits = self._limits.of(caller.tenant)
        staying = {watcher: who for watcher, who in self._watchers.items() if watcher not in self._yielding}
        own = [who for who in staying.values() if who.tenant == caller.tenant]
        if limits.streams and len(own) >= limits.streams:
            raise StreamsLimit("tenant", limits.streams)
        if (
            limits.key_streams
            and sum(who.key == caller.key and who.id == caller.id for who in own) >= limits.key_streams
        ):
            raise StreamsLimit("key", limits.key_streams)
        if len(staying) < self._limit:
            return
        most, count = Counter(who.tenant for who in staying.values()).most_common(1)[0]
        if count <= len(own) + 1:
            raise TooManyStreams(self._limit)
        newest = next(watcher for watcher in reversed(staying) if staying[watcher].tenant == most)
        self._yielding.add(newest)
        newest.wake()

    def yields(self, watcher: Watcher) -> bool:
        """Whether a stream has to make room for another tenant's."""
        return watcher in self._yielding

    def __len__(self) -> int:
        return len(self._watchers)

    def close(self) -> None:
        """End every stream, with a word on where to resume; new ones end at once."""
        self.closing = True
        for watcher in self._watchers:
            watcher.wake()


class LetGo(Exception):
    """The stream ends although its run goes on; `reason` is slow, shutdown, or shared: others have fewer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Outlet:
    """The way to one client; it notices when the client is slow."""

    def __init__(self, send: Send, limits: Limits) -> None:
        self._send = send
        self._limits = limits

    async def ready(self) -> None:
        """Wait until the client has taken nearly all that was sent: nothing is read from the log before that.

        Raises:
            TimeoutError: The client does not read.
        """
        await self.write(b"")

    async def open(self) -> None:
        """Begin the response; from here on it lasts as long as what it shows."""
        wait_for_ever()
        await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await self.write(f"retry: {RETRY_MILLISECONDS}\n\n".encode())

    async def event(self, name: str, data: bytes, seq: int = 0) -> None:
        """Send one SSE event.

        Raises:
            LetGo: The client took it, but too slowly.
            TimeoutError: The client does not read.
        """
        began = time.monotonic()
        head = f"id: {seq}\nevent: {name}\n" if seq else f"event: {name}\n"
        await self.write(head.encode() + b"data: " + data + b"\n\n")
        if time.monotonic() - began > self._limits.slow_seconds:
            raise LetGo("slow")

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """Send bytes.

        Raises:
            TimeoutError: The client does not read.
        """
        async with asyncio.timeout(self._limits.stall_seconds):
            await self._send({"type": "http.response.body", "body": body, "more_body": more})


class EventStream:
    """An ASGI response that follows a run to its end.

    Args:
        source: What it shows.
        after: Only events with a higher seq.
        over: The run's status if `after` is its last event already; else empty.
        streams: The open ones, which it joins.
        limits: How patient it is.
    """

    def __init__(
        self, source: Source, *, after: int, over: str, streams: OpenStreams, limits: Limits
    ) -> None:
        self._source = source
        self._cursor = after
        self._over = over
        self._streams = streams
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the run is over, the client leaves, or the server lets go."""
        with self._streams.one(self._source) as watcher:
            pump = asyncio.create_task(self._serve(Outlet(send, self._limits), watcher, _farewell(scope)))
            gone = asyncio.create_task(_left(receive))
            try:
                await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (pump, gone):
                    task.cancel()
                ended, _ = await asyncio.gather(pump, gone, return_exceptions=True)
        if isinstance(ended, Exception) and not isinstance(ended, TimeoutError | OSError):
            raise ended

    async def _serve(self, outlet: Outlet, watcher: Watcher, farewell: Farewell) -> None:
        try:
            await outlet.open()
            await self._follow(outlet, watcher)
            said = {"run": self._source.run, "status": self._over, "last": self._cursor}
            last = _event("end", said)
        except LetGo as let:
            last = _event("resume", {"reason": let.reason, "resume_after": self._cursor})
        except Unauthenticated:
            last = _event("resume", {"reason": "revoked", "resume_after": self._cursor})
        except TimeoutError:
            farewell(_event("resume", {"reason": "stalled", "resume_after": self._cursor}))
            return
        await outlet.write(last, more=False)

    async def _follow(self, outlet: Outlet, watcher: Watcher) -> None:
        """Send what the log holds, then frames, then wait; again after each wake-up, until the run is over."""
        told = 0
        while True:
            await self._read_log(outlet)
            if self._over:
                return
            for frame in watcher.take():
                shown = {**frame, "at": instant(frame["at"])}
                await outlet.event("frame", json.dumps(shown, separators=(",", ":")).encode())
            if watcher.dropped > told:
                await outlet.event("dropped", msgspec.json.encode({"frames": watcher.dropped - told}))
                told = watcher.dropped
            if self._streams.closing:
                raise LetGo("shutdown")
            if self._streams.yields(watcher):
                raise LetGo("shared")
            if not await watcher.wait(self._limits.ping_seconds):
                await outlet.write(b": ping\n\n")

    async def _read_log(self, outlet: Outlet) -> None:
        source = self._source
        while True:
            await outlet.ready()
            page = await source.platform.reading.events(
                source.reader(), source.run, after=self._cursor, limit=_PAGE
            )
            for event in page:
                before, self._cursor = (
                    self._cursor,
                    event["seq"],
                )  # a client that took it slowly still took it
                try:
                    await outlet.event(event["kind"], msgspec.json.encode(source.show(event)), self._cursor)
                except TimeoutError:
                    self._cursor = before
                    raise
                if event["kind"] in (_CLOSED, _REOPENED):
                    self._over = event["status"] if event["kind"] == _CLOSED else ""
            if len(page) < _PAGE:
                return


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\n".encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"


def _farewell(scope: Scope) -> Farewell:
    """Find how the server says a last word to a client that does not read; one that has no such way says nothing."""
    found: Farewell = scope.get("extensions", {}).get(FAREWELL, {}).get("say", lambda _: None)
    return found


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
