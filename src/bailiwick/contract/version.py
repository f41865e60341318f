"""Versions of capabilities, and the references that name a range of them."""

import re
from collections.abc import Iterable

import msgspec

from bailiwick.base import Category, Refusal, Short

_NUMBER = "(?:0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})")
_REF = re.compile(
    rf"(?P<name>[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*)(?:@(?P<range>{_NUMBER}(?:\.{_NUMBER}){{0,2}}))?"
)


class InvalidReference(Refusal, code="invalid_reference", category=Category.INVALID):
    """A text does not name a capability."""

    text: Short
    says = "{text!r} does not name a capability"
    remedy = "write NAME, NAME@1, NAME@1.2 or NAME@1.2.3, for example git.apply@1"


class CapabilityRef(msgspec.Struct, frozen=True):
    """A capability and the versions that will do: `floor` is a prefix (1, 1.2 or 1.2.3) of the lowest."""

    name: str
    floor: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}@{'.'.join(map(str, self.floor))}" if self.floor else self.name


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read MAJOR.MINOR.PATCH; None when the text is not one."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def parse_ref(text: str) -> CapabilityRef:
    """Read `name`, `name@1`, `name@1.2` or `name@1.2.3`.

    Raises:
        InvalidReference: Anything else.
    """
    match = _REF.fullmatch(text) if len(text) <= 200 else None
    if match is None:
        raise InvalidReference(text)
    floor = tuple(int(part) for part in match["range"].split(".")) if match["range"] else ()
    return CapabilityRef(match["name"], floor)


def satisfies(version: str, ref: CapabilityRef) -> bool:
    """Say whether a version serves a reference: same major, not below the floor (three parts: exact)."""
    parsed = parse_version(version)
    if parsed is None:
        return False
    if not ref.floor:
        return True
    if len(ref.floor) == 3:
        return parsed == ref.floor
    return parsed[0] == ref.floor[0] and parsed[: len(ref.floor)] >= ref.floor


def select_version(versions: Iterable[str], ref: CapabilityRef) -> str | None:
    """Choose the highest version that serves the reference; None when none does."""
    fitting = [version for version in versions if satisfies(version, ref)]
    return max(fitting, key=lambda version: parse_version(version) or (0, 0, 0), default=None)
