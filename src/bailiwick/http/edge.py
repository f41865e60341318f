"""The edge: what holds for every request, whatever its route: trace, headers, counting, and the last resort."""

import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailiwick.http.meter import Meter
from bailiwick.http.problems import broken, refused
from bailiwick.http.refusals import BadRequest
from bailiwick.http.trace import begin, trace_id_of
from bailiwick.ports import wait_at_most

log = structlog.get_logger("bailiwick.http")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNROUTED = "(none)"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The outermost layer of the application.

    It times a request up to its response's first byte, so that a stream that is watched for an hour does not
    count as one slow request.
    """

    def __init__(self, app: ASGIApp, meter: Meter, store_seconds: float) -> None:
        self._app = app
        self._meter = meter
        self._store_seconds = store_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, send, begin(scope), self._meter)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(trace_id=trace_id_of(scope))
        try:
            if scope["http_version"] == "1.1" and len(Headers(scope=scope).getlist("host")) != 1:
                await refused(BadRequest("a request has exactly one Host"), scope)(
                    scope, receive, exchange.send
                )
                return
            wait_at_most(self._store_seconds)
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            log.info("http.client_left", route=exchange.route)
        except Exception as error:  # the last resort of a request: it is logged, and answered if it can be
            log.exception("http.failed", method=scope["method"], route=exchange.route, error=str(error))
            if exchange.started:
                raise
            await broken(scope)(scope, receive, exchange.send)


class Exchange:
    """One request and its response on the way out."""

    def __init__(self, scope: Scope, send: Send, traceparent: str, meter: Meter) -> None:
        self._scope = scope
        self._send = send
        self._traceparent = traceparent
        self._meter = meter
        self._began = time.perf_counter()
        self.started = False

    @property
    def route(self) -> str:
        """The template of the route that serves it; fixed text when there is none."""
        route = self._scope.get("route")
        return route.path if route is not None else UNROUTED

    async def send(self, message: Message) -> None:
        """Add what every response carries, and count it."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers["traceparent"] = self._traceparent
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
            self._count(message["status"])
        await self._send(message)

    def _count(self, status: int) -> None:
        seconds = time.perf_counter() - self._began
        method = self._scope["method"] if self._scope["method"] in _METHODS else "*"
        self._meter.request(method, self.route, status, seconds)
        log.info(
            "http.request",
            method=method,
            route=self.route,
            path=self._scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 2),
        )
