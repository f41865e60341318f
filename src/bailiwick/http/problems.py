"""Problems: every refusal as application/problem+json (RFC 9457), with its code, facts and way out."""

from typing import Any

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from bailiwick.base import Category, Json, Refusal
from bailiwick.http.intake import secret_of
from bailiwick.http.meter import Meter
from bailiwick.http.refusals import (
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    HeadTooLarge,
    IdempotencyKeyRequired,
    InvalidJson,
    InvalidParameter,
    MethodNotAllowed,
    NoSuchRoute,
    UnsupportedMediaType,
)
from bailiwick.http.trace import trace_id_of
from bailiwick.service import Platform, StartsRefused

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
MAX_QUOTED = 2_000
MAX_LISTED = 200

# 402, not 429, for what is exhausted: the money is used up, and asking again later changes nothing.
STATUS_OF_CATEGORY = {
    Category.INVALID: 422,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.ABSENT: 404,
    Category.CONFLICT: 409,
    Category.EXHAUSTED: 402,
    Category.LIMITED: 429,
    Category.TOO_LARGE: 413,
    Category.UNAVAILABLE: 503,
}
STATUS_OF_CODE = {
    InvalidJson.code: 400,
    IdempotencyKeyRequired.code: 400,
    BadRequest.code: 400,
    MethodNotAllowed.code: 405,
    BodyTooSlow.code: 408,
    HeadTooLarge.code: 431,
    UnsupportedMediaType.code: 415,
    StartsRefused.code: 507,
    "store_full": 507,  # of the stores, which are on this floor
}
_MAX_SUBJECT = 200
_READS = ("GET", "HEAD", "OPTIONS")
_CLOSES = (BodyTooLarge, BodyTooSlow)


class Problem(msgspec.Struct, frozen=True):
    """What went wrong, for programs (`code`, `facts`) and for people (`detail`, `remedy`).

    `errors` names the places that are wrong, each by a JSON pointer; a plan's findings have a code each.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    facts: dict[str, Any]
    remedy: str
    trace_id: str
    errors: list[dict[str, str]]


def status_of(refusal: Refusal) -> int:
    """Map a refusal to the HTTP status that says the same."""
    return STATUS_OF_CODE.get(refusal.code, STATUS_OF_CATEGORY[refusal.category])


def problem_of(refusal: Refusal, scope: Scope) -> Problem:
    """Say a refusal as a problem."""
    facts: dict[str, Any] = _bounded(dict(refusal.facts))
    errors = facts.pop("errors", facts.get("findings"))
    if not isinstance(errors, list):
        pointer = facts.get("pointer")
        errors = (
            [{"pointer": pointer, "detail": _bounded(refusal.message)}] if isinstance(pointer, str) else []
        )
    return Problem(
        type=f"urn:bailiwick:problem:{refusal.code}",
        title=refusal.code.replace("_", " ").capitalize(),
        status=status_of(refusal),
        detail=_bounded(refusal.message),
        instance=_bounded(scope["path"]),
        code=refusal.code,
        facts=facts,
        remedy=refusal.remedy,
        trace_id=trace_id_of(scope),
        errors=errors,
    )


def _bounded(value: Any) -> Any:
    """Cut what a caller sent and a refusal quotes: an answer is never as long as what it refuses."""
    match value:
        case str() if len(value) > MAX_QUOTED:
            return f"{value[:MAX_QUOTED]}…"
        case dict():
            return {_bounded(name): _bounded(child) for name, child in value.items()}
        case list() | tuple():
            return [_bounded(child) for child in value[:MAX_LISTED]]
        case _:
            return value


def refused(refusal: Refusal, scope: Scope) -> Response:
    """Answer with a refusal."""
    problem = problem_of(refusal, scope)
    headers: dict[str, str] = {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status == 405:
        headers["Allow"] = str(refusal.facts["allowed"])
    if problem.status in (429, 503, 507):
        headers["Retry-After"] = str(refusal.facts.get("retry_after_seconds", RETRY_SECONDS))
    if isinstance(refusal, _CLOSES):
        headers["Connection"] = "close"  # what is still on its way is not read
    return Response(msgspec.json.encode(problem), problem.status, headers, MEDIA_TYPE)


def broken(scope: Scope) -> Response:
    """Answer when the server itself is at fault: no internals, but the trace id to look for in the log."""
    problem = Problem(
        type="urn:bailiwick:problem:internal",
        title="Internal",
        status=500,
        detail="the server made a mistake; it is in its log under the trace id",
        instance=scope["path"],
        code="internal",
        facts={},
        remedy="tell the operator the trace id; a repeat with the same Idempotency-Key is safe",
        trace_id=trace_id_of(scope),
        errors=[],
    )
    return Response(msgspec.json.encode(problem), 500, None, MEDIA_TYPE)


def _allowed(app: FastAPI, path: str) -> str:
    """List the methods of a path, as the document has them under the template that says most about it."""
    paths: dict[str, dict[str, object]] = app.openapi()["paths"]
    matching = [template for template in paths if compile_path(template)[0].match(path)]
    best = max(matching, key=len, default="")
    return ", ".join(sorted(method.upper() for method in paths.get(best, ())))


async def _noted(request: Request, refusal: Refusal) -> None:
    """Have it noted that a request with somebody's key was refused, also where no use case heard of it."""
    route = request.scope.get("route")
    if request.method in _READS or route is None or refusal.noted:
        return
    platform: Platform = request.app.state.platform
    try:
        caller = platform.keyring.authenticate(secret_of(request))
    except Refusal:
        return  # nobody's: it is counted, and that is all
    tried: dict[str, Json] = {"method": request.method, "path": request.url.path[:MAX_QUOTED]}
    subject = str(next(iter(request.path_params.values()), ""))[:_MAX_SUBJECT]
    await platform.refusing.note(caller, f"{request.method} {route.path}", refusal, tried, subject=subject)


def install(app: FastAPI, meter: Meter) -> None:
    """Let every refusal, and the framework's own ones, leave as a problem."""

    async def on_refusal(request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Refusal)
        meter.refused(refusal.code)
        await _noted(request, refusal)
        structlog.contextvars.bind_contextvars(code=refusal.code)
        return refused(refusal, request.scope)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            {"pointer": "".join(f"/{part}" for part in fault["loc"]), "detail": str(fault["msg"])}
            for fault in error.errors()
        ]
        return await on_refusal(request, InvalidParameter(errors))

    async def on_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return await on_refusal(request, NoSuchRoute(request.url.path))
        if error.status_code == 405:
            return await on_refusal(
                request, MethodNotAllowed(request.method, _allowed(app, request.url.path))
            )
        return await on_refusal(request, BadRequest(str(error.detail)))

    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_framework)
