"""Intake: who calls, and what the body says; read by hand, so that nothing is buffered before it is bounded."""

import asyncio
import re
from typing import Annotated, Any, TypeVar, cast

import msgspec
from fastapi import Depends
from starlette.requests import Request

from bailiwick.base import BadInput, Json, parse_strict
from bailiwick.http.limits import Limits
from bailiwick.http.refusals import (
    BodyTooLarge,
    BodyTooSlow,
    IdempotencyKeyRequired,
    InvalidBody,
    InvalidJson,
    UnsupportedMediaType,
)
from bailiwick.policy import Principal
from bailiwick.ports import wait_at_most
from bailiwick.service import Platform, Unauthenticated

_Shape = TypeVar("_Shape")
MAX_KEY = 255
_BARE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_STOPS = (":cancel", ":rollback", ":reject", ":revoke", ":disable", "/v1/halts")
_ESCAPED = re.compile(r'\\(["\\])')


async def platform_of(request: Request) -> Platform:
    """Hand a route the platform that its application serves."""
    return cast("Platform", request.app.state.platform)


def secret_of(request: Request) -> str:
    """Read the bearer key of a request.

    Raises:
        Unauthenticated: There is none, or more than one.
    """
    given = request.headers.getlist("authorization")
    scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated
    return secret.strip()


async def caller_of(request: Request) -> Principal:
    """Find whose key a request carries; the tenant comes from the key and from nowhere else.

    Raises:
        Unauthenticated: Nobody's.
        RequestsLimit: The key or its tenant asks too often; never of a request that stops something.
    """
    platform = await platform_of(request)
    caller = platform.keyring.authenticate(secret_of(request))
    if request.method != "POST" or not request.url.path.endswith(_STOPS):
        request.app.state.rates.take(caller.tenant, caller.key or caller.id)
    return caller


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read a body up to the limit, and not a chunk further.

    Raises:
        UnsupportedMediaType: It is declared to be something else than JSON.
        BodyTooLarge: More than the limit was declared, or came.
        BodyTooSlow: It did not arrive in time.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ("", "application/json"):
        raise UnsupportedMediaType(media)
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() and declared.isascii() and len(declared) < 20 else None
    if size is not None and size > limits.body_bytes:
        raise BodyTooLarge(limit=limits.body_bytes, declared=size)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body_bytes:
                    raise BodyTooLarge(limit=limits.body_bytes, declared=size)
    except TimeoutError as error:
        raise BodyTooSlow(limits.body_seconds) from error
    wait_at_most(limits.store_seconds)  # what the client took is not the store's
    return bytes(body)


async def json_of(request: Request) -> Json:
    """Read a body as strict JSON; an empty one is an empty object.

    Raises:
        InvalidJson: It is not one strict JSON text; the place is in the facts as far as it is known.
    """
    body = await read_body(request, request.app.state.limits)
    if not body:
        return {}
    try:
        return parse_strict(body, limit=request.app.state.limits.body_bytes)
    except BadInput as error:
        raise InvalidJson(error.message, remedy=error.remedy, **error.facts) from error


def shaped(value: Json, shape: type[_Shape]) -> _Shape:
    """Read a body's value as a shape.

    Raises:
        InvalidBody: A field is unknown, missing, or of another type; the place is in the facts.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        pointer = place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise InvalidBody(pointer, detail) from error


async def idempotency_key_of(request: Request) -> str:
    """Read the Idempotency-Key: a structured string in quotes, or the bare text.

    Raises:
        IdempotencyKeyRequired: There is none, more than one, or one that is too long or not printable ASCII.
    """
    given = request.headers.getlist("idempotency-key")
    if len(given) != 1:
        raise IdempotencyKeyRequired("the header is missing" if not given else "there is more than one")
    text = given[0].strip()
    quoted = _QUOTED.fullmatch(text)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else text
    if not key:
        raise IdempotencyKeyRequired("the header is empty")
    if len(key) > MAX_KEY:
        raise IdempotencyKeyRequired(f"the key is longer than {MAX_KEY} characters")
    if quoted is None and (text.startswith('"') or _BARE.fullmatch(text) is None):
        raise IdempotencyKeyRequired("the key is neither a quoted string nor printable ASCII")
    return key


Door = Annotated[Platform, Depends(platform_of)]
Caller = Annotated[Principal, Depends(caller_of)]
Body = Annotated[Any, Depends(json_of)]
IdempotencyKey = Annotated[str, Depends(idempotency_key_of)]
