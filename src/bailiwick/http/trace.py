"""Trace context (W3C): which trace a request belongs to, read from its header or begun here."""

import re
import secrets

from starlette.datastructures import Headers
from starlette.types import Scope

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_SAMPLED = "01"
_KEY = "bailiwick.traceparent"


def incoming(header: str) -> tuple[str, str] | None:
    """Read a traceparent header: trace id and flags; None when it is not one, and then it counts as absent."""
    match = _PARENT.fullmatch(header)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    if version == "ff" or trace == _NO_TRACE or span == _NO_SPAN or (version == "00" and more is not None):
        return None
    return trace, flags


def begin(scope: Scope) -> str:
    """Give the request its own span, in the caller's trace if there is one; answer the traceparent."""
    given = Headers(scope=scope).getlist("traceparent")
    found = incoming(given[0].strip(" \t")) if len(given) == 1 else None
    trace, flags = found if found is not None else (secrets.token_hex(16), _SAMPLED)
    scope[_KEY] = f"00-{trace}-{secrets.token_hex(8)}-{flags}"
    return str(scope[_KEY])


def traceparent_of(scope: Scope) -> str:
    """Tell the request's traceparent, to be kept by the run that it starts."""
    return str(scope[_KEY])


def trace_id_of(scope: Scope) -> str:
    """Tell the request's trace id."""
    return traceparent_of(scope).split("-")[1]
