"""Reads objects that an author wrote, strictly: each fault is noted with its JSON pointer, none is passed over."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bailiwick.base import Json
from bailiwick.plan.findings import Finding

T = TypeVar("T")

Check = Callable[[Json], str | None]
"""Answers None for a good value, else a sentence that says what it should be."""


def child(pointer: str, part: str | int) -> str:
    """Extend a JSON pointer by one member name or index."""
    return f"{pointer}/{str(part).replace('~', '~0').replace('/', '~1')}"


class Reader:
    """Walks one author's value and collects what is wrong with it."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def note(self, code: str, pointer: str, detail: str) -> None:
        """Note a fault."""
        self.findings.append(Finding(code, pointer, detail))

    def members(self, value: Json, pointer: str, known: tuple[str, ...]) -> Mapping[str, Json]:
        """Read an object whose members all have known names; anything else is noted and left out."""
        if not isinstance(value, dict):
            self.note("wrong_type", pointer, "an object is expected here")
            return {}
        for name in value:
            if name not in known:
                self.note("unknown_field", child(pointer, name), f"unknown; known are {', '.join(known)}")
        return {name: item for name, item in value.items() if name in known}

    def items(self, value: Json, pointer: str, most: int) -> list[Any]:
        """Read a list of at most `most` items."""
        if not isinstance(value, list):
            self.note("wrong_type", pointer, "a list is expected here")
            return []
        if len(value) > most:
            self.note("too_many", pointer, f"{len(value)} items are over the limit of {most}")
            return []
        return value

    def value(self, members: Mapping[str, Json], pointer: str, name: str, check: Check, default: T) -> T:
        """Read one member; a missing one yields the default, a bad one is noted."""
        if name not in members:
            return default
        found = members[name]
        wrong = check(found)
        if wrong is not None:
            self.note("bad_value", child(pointer, name), wrong)
            return default
        return found  # type: ignore[no-any-return]  # `check` has said that it is a T

    def required(self, members: Mapping[str, Json], pointer: str, name: str, check: Check) -> str:
        """Read one text member that must be there."""
        if name not in members:
            self.note("missing_field", pointer, f"{name!r} is missing")
        return self.value(members, pointer, name, check, "")


def text(most: int, least: int = 0) -> Check:
    """Expect a string of `least` to `most` characters."""

    def check(value: Json) -> str | None:
        if isinstance(value, str) and least <= len(value) <= most:
            return None
        return f"a string of {least} to {most} characters is expected here"

    return check


def whole(least: int, most: int) -> Check:
    """Expect an integer of `least` to `most`."""

    def check(value: Json) -> str | None:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return None
        return f"an integer from {least} to {most} is expected here"

    return check


def number(least: float, most: float) -> Check:
    """Expect a number of `least` to `most`."""

    def check(value: Json) -> str | None:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return None
        return f"a number from {least:g} to {most:g} is expected here"

    return check


def record(value: Json) -> str | None:
    """Expect an object."""
    return None if isinstance(value, dict) else "an object is expected here"
