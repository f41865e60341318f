"""The strict door: JSON from outside has one meaning, or is refused with the place of the fault."""

import json
import re
from typing import Any, NoReturn

from bailiwick.base.canonical import Json
from bailiwick.base.refusal import Category, Refusal

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_DIGITS = 400
_REMEDY = "send strict JSON: no duplicate keys, NaN, NUL, lone surrogates; depth <= 32; integers below 2^53"


class BadInput(Refusal, code="bad_input", category=Category.INVALID):
    """A text from outside is not what this door takes."""

    def __init__(self, message: str, *, pointer: str, remedy: str = _REMEDY, **facts: object) -> None:
        super().__init__(message, remedy=remedy, pointer=pointer, **facts)


class TooLarge(Refusal, code="too_large", category=Category.TOO_LARGE):
    """A text from outside is larger than this door takes; it was not parsed."""

    size: int
    limit: int
    says = "{size} bytes are over the limit of {limit}"
    remedy = "store large content as an artifact and send its digest"


def parse_strict(body: bytes, *, limit: int = 1_048_576) -> Json:
    """Parse one JSON text from outside.

    Keys must be ASCII (they are hashed sorted), objects must not repeat a key, numbers must be
    finite and integers within +-(2**53 - 1), text must hold neither NUL nor lone surrogates.
    Size and depth are checked before the parser runs.

    Raises:
        TooLarge: More than `limit` bytes.
        BadInput: Anything else; `facts["pointer"]` holds the place as far as it is known.
    """
    if len(body) > limit:
        raise TooLarge(size=len(body), limit=limit)
    _check_depth(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"not UTF-8 at byte {error.start}", pointer="") from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_bounded_integer,
            parse_float=_finite_float,
        )
    except json.JSONDecodeError as error:
        raise BadInput(
            f"not JSON: {error.msg} at line {error.lineno} column {error.colno}", pointer=""
        ) from error
    _check_text(value, "")
    return value


def _check_depth(body: bytes) -> None:
    depth = 0
    for match in _BRACKETS.finditer(body):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadInput(f"nested deeper than {MAX_DEPTH} at byte {match.start()}", pointer="")
        elif token in (b"]", b"}"):
            depth -= 1


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadInput(f"the key {twice[:80]!r} stands twice in one object", pointer="")
    return value


def _no_constant(name: str) -> NoReturn:
    raise BadInput(f"{name} is not a JSON number", pointer="")


def _bounded_integer(digits: str) -> int:
    if len(digits) > len(str(MAX_INTEGER)) + 1 or abs(int(digits)) > MAX_INTEGER:
        raise BadInput(f"the integer {digits[:24]} is beyond 2^53 - 1", pointer="")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits) if len(digits) < _LONG_DIGITS else float("inf")
    if number in (float("inf"), float("-inf")):
        raise BadInput(f"the number {digits[:24]} is not finite", pointer="")
    return number


def _check_text(value: Json, pointer: str) -> None:
    if isinstance(value, str):
        if "\0" in value or _SURROGATE.search(value):
            raise BadInput("text holds NUL or a lone surrogate", pointer=pointer)
    elif isinstance(value, dict):
        for name, child in value.items():
            if not name.isascii() or "\0" in name:
                raise BadInput(f"the key {name[:80]!r} is not plain ASCII", pointer=pointer)
            escaped = name.replace("~", "~0").replace("/", "~1")
            _check_text(child, f"{pointer}/{escaped}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _check_text(child, f"{pointer}/{index}")
