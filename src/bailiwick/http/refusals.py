"""What the door itself refuses, before any use case is asked."""

from bailiwick.base import Category, Long, Refusal, Short


class InvalidJson(Refusal, code="invalid_json", category=Category.INVALID):
    """A body is not one strict JSON text."""


class InvalidBody(Refusal, code="invalid_body", category=Category.INVALID):
    """A body is JSON, but does not say what this route takes."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(
            f"the body is not valid at {pointer or '/'}: {detail}",
            remedy="correct the field; /openapi.json shows what this route takes",
            pointer=pointer,
            errors=[{"pointer": pointer, "detail": detail}],
        )


class InvalidParameter(Refusal, code="invalid_parameter", category=Category.INVALID):
    """A parameter of the path, the query or a header cannot be used."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        listed = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
        super().__init__(
            f"a parameter is not valid: {listed}",
            remedy="correct the parameter; /openapi.json shows what this route takes",
            errors=errors,
        )


class IdempotencyKeyRequired(Refusal, code="idempotency_key_required", category=Category.INVALID):
    """A request that makes something new came without an idempotency key, or with an unusable one."""

    reason: str
    says = "an Idempotency-Key is required: {reason}"
    remedy = "send a key of your own, 1 to 255 printable ASCII characters, and the same one when you retry"


class UnsupportedMediaType(Refusal, code="unsupported_media_type", category=Category.INVALID):
    """A body is declared to be something else than JSON."""

    given: Short
    says = "a body of type {given!r} is not taken here"
    remedy = "send Content-Type: application/json"


class BodyTooLarge(Refusal, code="too_large", category=Category.TOO_LARGE):
    """A body is larger than the door takes; it was not read to its end."""

    limit: int
    declared: int | None
    says = "a body may have {limit} bytes, this one has more"
    remedy = "store large content as an artifact and send its digest"


class BodyTooSlow(Refusal, code="request_timeout", category=Category.UNAVAILABLE):
    """A body did not arrive in time."""

    seconds: float
    says = "the body did not arrive within {seconds:g} s"
    remedy = "send the request again"


class TooManyStreams(Refusal, code="too_many_streams", category=Category.UNAVAILABLE):
    """This server holds as many open streams as it may."""

    limit: int
    says = "{limit} event streams are open; no more are served at a time"
    remedy = "close one, or read the events as JSON with ?after="


class TooManyConnections(Refusal, code="too_many_connections", category=Category.UNAVAILABLE):
    """This server holds as many connections as it may."""

    limit: int
    says = "{limit} connections are open; no more are served at a time"
    remedy = "close the ones that are not used, and try again"


class HeadTooLarge(Refusal, code="head_too_large", category=Category.TOO_LARGE):
    """The head of a request is larger than the door takes."""

    limit: int
    says = "the request line and the headers may have {limit} bytes together"
    remedy = "send fewer or shorter headers; content belongs into the body"


class NoSuchRoute(Refusal, code="no_such_route", category=Category.ABSENT):
    """The API has no such path."""

    path: Long
    says = "the API has no {path!r}"
    remedy = "/openapi.json lists the routes"


class MethodNotAllowed(Refusal, code="method_not_allowed", category=Category.INVALID):
    """The path exists, but not for this method."""

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(
            f"{method[:20]} is not possible here",
            remedy=f"use {allowed}" if allowed else "/openapi.json lists the routes",
            method=method[:20],
            allowed=allowed,
        )


class BadRequest(Refusal, code="bad_request", category=Category.INVALID):
    """The framework could not make sense of the request."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, remedy="/openapi.json lists the routes and what they take")
