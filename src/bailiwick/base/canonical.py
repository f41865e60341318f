"""Canonical bytes: one JSON text per value, in the form of RFC 8785, and the SHA-256 that names it."""

import hashlib
import math
from typing import Any, NewType

import orjson

Digest = NewType("Digest", str)
"""A SHA-256 in 64 lower-case hexadecimal digits."""

Json = Any
"""A JSON value: dict with str keys, list, str, int, finite float, bool or None."""

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_LEAVES = frozenset((str, int, bool, type(None)))
_SEQUENCES = (list, tuple)
_PLAIN_BELOW = 10.0**21  # ECMAScript writes larger numbers, and those under 10**-6, with an exponent
_PLAIN_FROM = -6


def canonical(value: Json) -> bytes:
    """Encode a JSON value to the bytes that are hashed, stored and executed.

    For what may be hashed here (ASCII keys, integers, finite doubles) these are the bytes of RFC 8785. Sorted
    orjson gives them at a fiftieth of the cost, except for doubles, which are then written out here; a property
    test holds all three together.

    Raises:
        TypeError: The value is not JSON (a set, bytes, NaN, a non-string key, an integer over 64 bits).
    """
    body = orjson.dumps(value, option=_OPTIONS)
    return orjson.dumps(_with_written_doubles(value), option=_OPTIONS) if _holds_a_double(value) else body


def memo_key(value: Json) -> bytes | None:
    """Write a value down for a look into a memo, at a fraction of the cost; None where only `canonical` can.

    Equal bytes are equal values. They are not those that are hashed: doubles may be written otherwise.

    Raises:
        TypeError: The value is not JSON.
    """
    body = orjson.dumps(value, option=_OPTIONS)
    return None if b"null" in body else body  # NaN would be written so


def parse_canonical(body: bytes) -> Json:
    """Read back bytes that `canonical` wrote; not for input from outside (see `parse_strict`)."""
    return orjson.loads(body)


def digest_of(body: bytes) -> Digest:
    """Name bytes by their SHA-256."""
    return Digest(hashlib.sha256(body).hexdigest())


def _holds_a_double(value: Json) -> bool:
    """Look for a double; whatever is hashed comes by here, so leaves are passed over without a call.

    A search of the bytes for what may be one costs five times as much: it reads every text.
    """
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, _SEQUENCES):
        return isinstance(value, float)
    for child in value:  # noqa: SIM110 - a generator costs as much again
        if type(child) not in _LEAVES and _holds_a_double(child):
            return True
    return False


def _with_written_doubles(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _with_written_doubles(child) for name, child in value.items()}
    if isinstance(value, _SEQUENCES):
        return [_with_written_doubles(child) for child in value]
    return orjson.Fragment(_written(value)) if isinstance(value, float) else value


def _written(number: float) -> str:
    """Write a double as ECMAScript does: its shortest digits, plain from 10**-6 up to 10**21."""
    if not math.isfinite(number):
        raise TypeError(f"{number} is not JSON")
    if number == 0:
        return "0"
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = len(digits) - len(fraction) + int(exponent or "0")  # where the point stands in the digits
    shown = digits.rstrip("0")
    sign = "-" if number < 0 else ""
    if _PLAIN_FROM < power <= 0:
        return f"{sign}0.{'0' * -power}{shown}"
    if abs(number) < _PLAIN_BELOW and power > 0:
        padded = shown.ljust(power, "0")
        return f"{sign}{padded[:power]}{'.' if padded[power:] else ''}{padded[power:]}"
    return f"{sign}{shown[0]}{'.' if shown[1:] else ''}{shown[1:]}e{power - 1:+d}"
