"""The one JSON object of an answer, where its model put it: alone, in a fence, after prose, after thinking."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from bailiwick.base import Refusal, canonical, parse_strict

_TRIES = 64
_THINKING = "</think>"
_BEGUN = re.compile(r'\{\s*(?:"|\})')


class Unread(Exception):
    """An answer holds no JSON object that could be meant, or more than one; the message says which."""


def object_in(text: str, fits: Callable[[Any], bool]) -> dict[str, Any]:
    """Find the answer in a text.

    Args:
        text: What the model wrote.
        fits: Whether an object is what was asked for; of several, it is the one that is.

    Raises:
        Unread: There is none, it is broken, or two different ones fit.
    """
    if not text.strip():
        raise Unread("the answer is empty")
    try:
        whole = parse_strict(text.encode())
    except Refusal as refusal:
        found = list(_objects(text.rpartition(_THINKING)[2], refusal.message))
        if not found:
            raise Unread(f"the answer is not one JSON object: {refusal.message}") from None
        return _chosen(found, fits)
    if not isinstance(whole, dict):
        raise Unread("the answer is not a JSON object")
    return whole


def _chosen(found: list[dict[str, Any]], fits: Callable[[Any], bool]) -> dict[str, Any]:
    fitting = {canonical(each): each for each in found if fits(each)}
    if len(fitting) > 1:
        raise Unread(f"the answer is ambiguous: {len(fitting)} different JSON objects in it fit; give one")
    return next(iter(fitting.values()), found[-1])


def _objects(text: str, complaint: str) -> Iterator[dict[str, Any]]:
    """Give each object that stands in a text; what is inside one is a part of it, also where it is broken."""
    decoder = json.JSONDecoder()
    at, tries = text.find("{"), 0
    while at >= 0:
        tries += 1
        try:
            _, end = decoder.raw_decode(text, at)
            read = parse_strict(text[at:end].encode())
        except (ValueError, RecursionError, Refusal) as error:
            if _BEGUN.match(text, at) or tries == _TRIES:
                said = error.message if isinstance(error, Refusal) else complaint
                raise Unread(f"the answer is not one JSON object: {said}") from None
            end = at + 1
        else:
            if isinstance(read, dict):
                yield read
        at = text.find("{", end)
