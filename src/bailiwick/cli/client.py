"""The thin client of the HTTP API: plain JSON in and out; problems come back as `Problem`."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from bailiwick.base import Category, Json, Refusal
from bailiwick.cli.exits import ExitCode, exit_of_http

_CUT = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""A line that was there and is gone: a server that restarts, or one that had given up an idle connection."""

_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
_STREAM_TIMEOUT = httpx2.Timeout(45.0, connect=5.0)
_STREAM_TRIES = 5
_STREAM_PAUSE_SECONDS = 0.2
_MAX_EVENT = 64 * 1_048_576
_MAX_DETAIL = 500
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_KNOWN = ("type", "title", "status", "detail", "instance", "code", "remedy", "facts")


class Unreachable(Refusal, code="unreachable", category=Category.UNAVAILABLE):
    """Nobody answers at the address."""

    url: str
    reason: str
    spoken = ("reason",)
    says = "no server answers at {url}: {reason}"
    remedy = "start one with: bailiwick up"


class Problem(Exception):
    """The server refused (RFC 9457): its code, facts and remedy, and the exit code that they mean."""

    def __init__(self, response: httpx2.Response) -> None:
        body = _body(response)
        self.status = response.status_code
        self.code = str(body.get("code", f"http_{self.status}"))
        self.message = str(body.get("detail", body.get("title", response.reason_phrase)))
        self.remedy = str(body.get("remedy", ""))
        facts = body.get("facts")
        self.facts: dict[str, Any] = dict(facts) if isinstance(facts, dict) else {}
        self.facts |= {name: value for name, value in body.items() if name not in _KNOWN}
        self.exit_code: ExitCode = exit_of_http(self.status)
        super().__init__(self.message)


class StreamItem(msgspec.Struct, frozen=True):
    """One item of a run's live stream: `kind` is the SSE event's name, `seq` the event's number (0: not of the log, as frames are)."""

    kind: str
    seq: int
    data: dict[str, Any]


class Client:
    """Speaks to one server with one key.

    Args:
        url: The base URL.
        key: The API key.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
            # A proxy of the environment would be asked for our own machine, and shown the key.
            trust_env=urlsplit(self.url).hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int) -> Any:
        """Read; a line that is cut is tried once more, for reading twice changes nothing.

        Raises:
            Problem: The server refused.
            Unreachable: Nobody answered.
        """
        return self._ask("GET", path, params={name: value for name, value in params.items() if value != ""})

    def pages(self, path: str, field: str, **params: str | int) -> Any:
        """Read a list to its end, page by page; answers the first page with what all of them list in the field.

        Raises:
            Problem, Unreachable: See `get`.
        """
        first = page = self.get(path, **params)
        while page["next_cursor"]:
            page = self.get(path, **{**params, "cursor": page["next_cursor"]})
            first[field] += page[field]
        return {**first, "next_cursor": ""}

    def post(self, path: str, body: Json = None, headers: Mapping[str, str] | None = None) -> Any:
        """Do; see `get`, but for a cut line: nobody knows whether it was done."""
        return self._ask("POST", path, json=body if body is not None else {}, headers=headers)

    def download(self, path: str) -> bytes:
        """Read bytes; see `get`."""
        return self._request("GET", path).content

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        return self._request(method, path, **request).json()

    def _request(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            try:
                response = self._http.request(method, path, **request)
            except _CUT:
                if method != "GET":
                    raise
                response = self._http.request(method, path, **request)
        except httpx2.TransportError as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error
        if response.status_code >= 300:
            raise Problem(response)
        return response

    def stream(self, path: str, after: int = 0) -> Iterator[StreamItem]:
        """Follow a run: events with seq > `after`, without gaps, and live frames between them; never ends by itself.

        A stream that ends or is lost is opened again after the last event; five times in a row without anything new
        are too many.

        Raises:
            Problem, Unreachable: See `get`.
        """
        tries, reason = 0, ""
        while tries < _STREAM_TRIES:
            time.sleep(tries * _STREAM_PAUSE_SECONDS)
            tries += 1
            try:
                for item in self._stream(path, after):
                    if item.seq:
                        after, tries = max(after, item.seq), 0
                    yield item
            except httpx2.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                reason = "the stream ended before the run did"
        raise Unreachable(self.url, reason)

    def _stream(self, path: str, after: int) -> Iterator[StreamItem]:
        headers = {"Last-Event-ID": str(after)} if after else {}
        with self._http.sse(
            path, headers=headers, timeout=_STREAM_TIMEOUT, max_event_size=_MAX_EVENT
        ) as source:
            if source.response.status_code >= 300:
                source.response.read()
                raise Problem(source.response)
            for event in source:
                if not event.data:  # only a wish for the pause before a retry
                    continue
                data = msgspec.json.decode(event.data)
                yield StreamItem(event.event, int(data.get("seq", 0)), data)


def path_of(kind: str, id: str, act: str = "") -> str:
    """Make the path of one thing, or of an act on it; the id comes from a person and cannot leave its place."""
    return f"/v1/{kind}/{quote(id, safe='')}{act}"


def _body(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {"detail": response.text[:_MAX_DETAIL]}
    return body if isinstance(body, dict) else {"detail": response.text[:_MAX_DETAIL]}
