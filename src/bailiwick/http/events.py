"""Events: a run's stream from the log, as pages of JSON or live; one bare route, chosen by Accept."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bailiwick.base import Json
from bailiwick.http.documenting import answer, answers
from bailiwick.http.intake import caller_of, platform_of, secret_of
from bailiwick.http.refusals import InvalidParameter
from bailiwick.http.shapes import instant, money
from bailiwick.http.sse import EventStream, Source
from bailiwick.run import TERMINAL, Event, instants_in

PATH = "/v1/runs/{id}/events"
MAX_LISTED = 500
MAX_SEQ = 10**15
_INSTANTS = instants_in(Event)
_MONEY = ("allotment", "amount", "reserved", "cost", "aside")


class EventPage(msgspec.Struct, frozen=True):
    """A run's events in order; give `next_after` as `after` to get the ones that follow."""

    events: list[dict[str, Any]]
    next_after: int


class EventsRoute(Route):
    """The bare route; it names itself to the edge as the framework's own routes do."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        scope["route"] = self
        await super().handle(scope, receive, send)


def route() -> EventsRoute:
    """Make the route. It takes no HEAD, as no other does: a stream without a body would never end."""
    made = EventsRoute(PATH, events, methods=["GET"])
    made.methods = {"GET"}
    return made


async def events(request: Request) -> Response | ASGIApp:
    """Answer with a page of events, or begin a stream."""
    platform = await platform_of(request)
    caller = await caller_of(request)
    run = request.path_params["id"]
    head = await platform.reading.head(caller, run)
    after = _number(request.query_params.get("after"), "/query/after", 0, 0, MAX_SEQ)
    if "text/event-stream" in request.headers.get("accept", ""):
        # A browser repeats the address it was given and adds what it saw last: the header is the newer word.
        places = request.headers.getlist("last-event-id")
        if len(places) > 1:
            raise InvalidParameter([{"pointer": "/header/Last-Event-ID", "detail": "there is more than one"}])
        after = _number(
            places[0].strip(" \t") if places else None, "/header/Last-Event-ID", after, 0, MAX_SEQ
        )
        over = head.status if head.status in TERMINAL and head.version <= after else ""
        source = Source(platform, caller, secret_of(request), run, show)
        return EventStream(
            source,
            after=after,
            over=over,
            streams=request.app.state.streams,
            limits=request.app.state.limits,
        )
    limit = _number(request.query_params.get("limit"), "/query/limit", 100, 1, MAX_LISTED)
    found = await platform.reading.events(caller, run, after=after, limit=limit)
    shown = [show(event) for event in found]
    return answer(EventPage(shown, shown[-1]["seq"] if shown else after))


def _number(text: str | None, pointer: str, default: int, least: int, most: int) -> int:
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
        raise InvalidParameter([{"pointer": pointer, "detail": "not a whole number in range"}])
    if not least <= int(text) <= most:
        raise InvalidParameter([{"pointer": pointer, "detail": f"must be {least} to {most}"}])
    return int(text)


def show(event: dict[str, Any]) -> dict[str, Any]:
    """Show an event: instants as RFC 3339, money as text too; the payload stays as it was recorded."""
    shown = {name: _shown(name, value) for name, value in event.items() if name != "payload"}
    return {**shown, "at": shown.get("at", shown.get("created_at", "")), "payload": event["payload"]}


def _shown(name: str, value: Json) -> Json:
    match value:
        case bool():
            return value
        case int() if name in _INSTANTS:
            return instant(value)
        case int() if name in _MONEY:
            return msgspec.to_builtins(money(value))
        case dict():
            return {inner: _shown(inner, child) for inner, child in value.items()}
        case list():
            return [_shown(name, child) for child in value]
        case _:
            return value


def _parameter(name: str, place: str, most: int, description: str, least: int = 0) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if place == "header":
        schema = {"type": "string"}  # a stream refuses what is no event's number; a page does not read it
    return {"name": name, "in": place, "required": False, "schema": schema, "description": description}


def operations() -> dict[str, Any]:
    """Describe the route in OpenAPI's words."""
    described: dict[str, Any] = answers(EventPage, 200, "A page, or with Accept: text/event-stream a stream.")
    responses = {str(status): response for status, response in described["responses"].items()}
    responses["200"]["content"]["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": (
                "One SSE event per event of the run: id is its seq, the name its kind, the data as in a page. "
                "`frame` is a piece of live output, without id. `dropped` counts frames that came too fast or were too "
                "large. `end` follows the run's last event. `resume` says why the server lets go, and after which seq to "
                "resume with Last-Event-ID."
            ),
        }
    }
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
        _parameter("after", "query", MAX_SEQ, "Only events with a higher seq."),
        _parameter("limit", "query", MAX_LISTED, "At most so many; for pages only.", 1),
        _parameter("Last-Event-ID", "header", MAX_SEQ, "For streams: the seq that was seen last."),
    ]
    return {
        "get": {
            "tags": ["runs"],
            "summary": "Events",
            "operationId": "events_v1_runs__id__events_get",
            "description": "Read a run's events in order, without gaps, as a page or live.",
            "parameters": parameters,
            "responses": responses,
        }
    }
