"""Where a JSON pointer lies in the text that a person wrote: line and column."""

import json
import re

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def locate(text: str, pointer: str) -> tuple[int, int]:
    """Find the place that a JSON pointer means.

    The place of an object's member is its key, of a list's item the item itself. Where the pointer
    leads to nothing (a missing member), the place is the innermost value that exists.

    Args:
        text: JSON that parses.
        pointer: An RFC 6901 pointer; "" is the whole text.

    Returns:
        Line and column, both from 1.
    """
    place = at = _skip(text, 0)
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parts:
        found = _enter(text, at, part)
        if found is None:
            break
        place, at = found
    return text.count("\n", 0, place) + 1, place - (text.rfind("\n", 0, place) + 1) + 1


def _enter(text: str, at: int, part: str) -> tuple[int, int] | None:
    """Step into one member or item: where it is shown, and where its value begins."""
    if text[at] not in "{[":
        return None
    inside_object = text[at] == "{"
    index = 0
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        place, name = at, str(index)
        if inside_object:
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if name == part:
            return place, at
        _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at
        index += 1
    return None


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
