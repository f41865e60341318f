"""The one family of errors that a caller can act on: a stable code, the deciding facts, and the way out."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, ClassVar, dataclass_transform, get_origin, overload


def _first(most: int) -> Callable[[str], str]:
    return lambda text: text[:most]


Short = Annotated[str, _first(80)]
"""A text that somebody handed in: a sentence and its facts show the first 80 characters."""

Long = Annotated[str, _first(200)]
"""The same, with 200 characters."""


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


class _Sentences(Formatter):
    """Formats sentences; `{names!l}` lists several."""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return ", ".join(map(str, value)) if conversion == "l" else super().convert_field(value, conversion)


_SENTENCES = _Sentences()


@dataclass_transform()
class Refusal(Exception):
    """Something was asked that is not done, and nothing was changed.

    A subclass names its code (stable, snake_case, part of the public API) and its category, the facts as fields, and
    two templates that are filled with them::

        class LeaseLost(Refusal, code="lease_lost", category=Category.CONFLICT):
            step: str
            epoch: int
            says = "epoch {epoch} of step {step} was superseded"
            remedy = "stop working on this step; its current holder goes on"

    Fields named in `spoken` are in the sentences only. One whose sentences need more than that writes an `__init__`.

    Args:
        message: One sentence for a person, with the facts in it.
        remedy: What the caller can do about it.
        facts: The deciding values, plain JSON, safe to show to the caller.
    """

    code: ClassVar[str] = "refused"
    category: ClassVar[Category] = Category.INVALID
    says: ClassVar[str] = ""
    spoken: ClassVar[tuple[str, ...]] = ()
    remedy: str
    noted = False
    """Whether it is on record that this was refused."""
    _fields: ClassVar[Mapping[str, Callable[[Any], object]]] = {}

    def __init_subclass__(cls, *, code: str = "", category: Category | None = None) -> None:
        cls.code, cls.category = code or cls.code, category or cls.category
        if "says" in cls.__dict__:
            fields = cls.__annotations__.items() if "__annotations__" in cls.__dict__ else ()
            cls._fields = {**cls._fields, **{name: _told_as(kind) for name, kind in fields}}
            cls.__init__ = _state  # type: ignore[method-assign]  # typed by its fields

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, message: str, *, remedy: str, **facts: object) -> None: ...
    def __init__(self, message: str = "", *, remedy: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = facts


def _state(self: Refusal, *args: object, **given: object) -> None:
    """Fill the templates of a refusal's class with its fields, of which `args` are the first."""
    fields, kind = self._fields, type(self)
    given = {**dict(zip(fields, args, strict=False)), **given}
    if len(args) > len(fields) or not given.keys() <= fields.keys():
        raise TypeError(f"{kind.__name__} has the fields {', '.join(fields)}")
    told = {
        name: tell(given[name] if name in given else getattr(kind, name)) for name, tell in fields.items()
    }
    message, remedy = (_SENTENCES.vformat(text, (), told) for text in (kind.says, kind.remedy))
    facts = {name: value for name, value in told.items() if name not in kind.spoken}
    Refusal.__init__(self, message, remedy=remedy, **facts)


def _told_as(kind: Any) -> Callable[[Any], object]:
    """Find how a value is told: as its annotation says (`Annotated[TYPE, FUNCTION]`), and else as JSON knows it."""
    if hasattr(kind, "__metadata__"):
        tell: Callable[[Any], object] = kind.__metadata__[0]
        return tell
    if kind is Path:
        return str
    return list if get_origin(kind) is tuple else lambda value: value
