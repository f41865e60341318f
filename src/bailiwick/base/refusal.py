"""The one family of errors that a caller can act on: a stable code, the deciding facts, and the way out."""

from enum import StrEnum
from typing import ClassVar


class Category(StrEnum):
    """What sort of "no" a refusal is; the doors (HTTP, CLI) map it to a status or an exit code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"
    CONFLICT = "conflict"
    EXHAUSTED = "exhausted"
    LIMITED = "limited"
    TOO_LARGE = "too-large"
    UNAVAILABLE = "unavailable"


class Refusal(Exception):
    """Something was asked that is not done, and nothing was changed.

    Subclasses set `code` (stable, snake_case, part of the public API) and `category`.

    Args:
        message: One sentence for a person, with the facts in it.
        remedy: What the caller can do about it.
        facts: The deciding values, plain JSON, safe to show to the caller.
    """

    code: ClassVar[str] = "refused"
    category: ClassVar[Category] = Category.INVALID
    noted = False
    """Whether it is on record that this was refused."""

    def __init__(self, message: str, *, remedy: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = facts
