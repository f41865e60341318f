"""The wire of the worker's port: plain data from a process that need not be honest, read in bounds or refused."""

from typing import Any, TypeVar

import msgspec

from bailiwick.base import BadInput, Category, Json, Long, Refusal, parse_strict

MAX_MESSAGE_BYTES = 16 * 1_048_576
MAX_NAME = 1_024
_FREE = ("arguments", "outcome", "output", "body", "reason", "findings")
"""Fields whose text is content, bounded by the message alone; all other texts are names."""
_T = TypeVar("_T")


class InvalidMessage(Refusal, code="invalid_message", category=Category.INVALID):
    """A message to the worker's port is not what the method takes."""

    detail: Long
    spoken = ("detail",)
    says = "the message is not what this method takes: {detail}"
    remedy = "use a worker of this platform's version"


def read_wire(body: bytes, shape: type[_T]) -> _T:
    """Read one argument of the worker's port.

    Raises:
        TooLarge: More than 16 MiB; not parsed.
        InvalidMessage: Not strict JSON, not of the shape, a number below zero, or a name beyond 1,024 characters.
    """
    try:
        value = parse_strict(body, limit=MAX_MESSAGE_BYTES)
        _check_names(value)
        return msgspec.convert(value, shape)
    except (BadInput, msgspec.ValidationError) as error:
        raise InvalidMessage(str(error)) from error


def _check_names(value: Json) -> None:
    for message in value if isinstance(value, list) else [value]:
        for name, field in message.items() if isinstance(message, dict) else ():
            if name not in _FREE:
                _check(name, field)


def _check(name: str, field: Any) -> None:
    match field:
        case str() if len(field) > MAX_NAME:
            raise InvalidMessage(f"{name} has more than {MAX_NAME} characters")
        case int() | float() if field < 0:
            raise InvalidMessage(f"{name} is below zero")
        case list():
            for each in field:
                _check(name, each)
        case dict():
            for inner, each in field.items():
                _check(inner, each)
        case _:
            pass
