"""What the door itself refuses, before any use case is asked."""

from typing import ClassVar

from bailiwick.base import Category, Refusal


class InvalidJson(Refusal):
    """A body is not one strict JSON text."""

    code: ClassVar[str] = "invalid_json"
    category: ClassVar[Category] = Category.INVALID


class InvalidBody(Refusal):
    """A body is JSON, but does not say what this route takes."""

    code: ClassVar[str] = "invalid_body"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(
            f"the body is not valid at {pointer or '/'}: {detail}",
            remedy="correct the field; /openapi.json shows what this route takes",
            pointer=pointer,
            errors=[{"pointer": pointer, "detail": detail}],
        )


class InvalidParameter(Refusal):
    """A parameter of the path, the query or a header cannot be used."""

    code: ClassVar[str] = "invalid_parameter"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, errors: list[dict[str, str]]) -> None:
        listed = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
        super().__init__(
            f"a parameter is not valid: {listed}",
            remedy="correct the parameter; /openapi.json shows what this route takes",
            errors=errors,
        )


class IdempotencyKeyRequired(Refusal):
    """A request that makes something new came without an idempotency key, or with an unusable one."""

    code: ClassVar[str] = "idempotency_key_required"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"an Idempotency-Key is required: {reason}",
            remedy="send a key of your own, 1 to 255 printable ASCII characters, and the same one when you retry",
            reason=reason,
        )


class UnsupportedMediaType(Refusal):
    """A body is declared to be something else than JSON."""

    code: ClassVar[str] = "unsupported_media_type"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, given: str) -> None:
        super().__init__(
            f"a body of type {given[:80]!r} is not taken here",
            remedy="send Content-Type: application/json",
            given=given[:80],
        )


class BodyTooLarge(Refusal):
    """A body is larger than the door takes; it was not read to its end."""

    code: ClassVar[str] = "too_large"
    category: ClassVar[Category] = Category.TOO_LARGE

    def __init__(self, *, limit: int, declared: int | None) -> None:
        super().__init__(
            f"a body may have {limit} bytes, this one has more",
            remedy="store large content as an artifact and send its digest",
            limit=limit,
            declared=declared,
        )


class BodyTooSlow(Refusal):
    """A body did not arrive in time."""

    code: ClassVar[str] = "request_timeout"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the body did not arrive within {seconds:g} s",
            remedy="send the request again",
            seconds=seconds,
        )


class TooManyStreams(Refusal):
    """This server holds as many open streams as it may."""

    code: ClassVar[str] = "too_many_streams"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} event streams are open; no more are served at a time",
            remedy="close one, or read the events as JSON with ?after=",
            limit=limit,
        )


class TooManyConnections(Refusal):
    """This server holds as many connections as it may."""

    code: ClassVar[str] = "too_many_connections"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} connections are open; no more are served at a time",
            remedy="close the ones that are not used, and try again",
            limit=limit,
        )


class HeadTooLarge(Refusal):
    """The head of a request is larger than the door takes."""

    code: ClassVar[str] = "head_too_large"
    category: ClassVar[Category] = Category.TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the request line and the headers may have {limit} bytes together",
            remedy="send fewer or shorter headers; content belongs into the body",
            limit=limit,
        )


class NoSuchRoute(Refusal):
    """The API has no such path."""

    code: ClassVar[str] = "no_such_route"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the API has no {path[:200]!r}",
            remedy="/openapi.json lists the routes",
            path=path[:200],
        )


class MethodNotAllowed(Refusal):
    """The path exists, but not for this method."""

    code: ClassVar[str] = "method_not_allowed"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(
            f"{method[:20]} is not possible here",
            remedy=f"use {allowed}" if allowed else "/openapi.json lists the routes",
            method=method[:20],
            allowed=allowed,
        )


class BadRequest(Refusal):
    """The framework could not make sense of the request."""

    code: ClassVar[str] = "bad_request"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, detail: str) -> None:
        super().__init__(detail, remedy="/openapi.json lists the routes and what they take")
