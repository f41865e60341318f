"""Bounds: how long a text may be that somebody hands in, and how large what an agent asks or answers."""

from collections.abc import Mapping

from bailiwick.base import Category, Refusal

MAX_NAME = 128
"""Characters of a name: of an app, a workflow, a step, a label, a scope."""
MAX_TITLE = 200
MAX_REASON = 2_000
"""Characters of what a person says for the record."""
MAX_LABELS = 16
MAX_CONSTRAINTS = 32
MAX_BYTES = 8 * 1_048_576
"""Canonical bytes of an intent's input, of the arguments of an action, and of a step's output."""
MAX_FAULT = 500
"""Characters of what is told of a step that failed, and of each of its findings."""
MAX_FINDINGS = 50


class TextTooLong(Refusal, code="text_too_long", category=Category.INVALID):
    """A text is longer than its place in the record."""

    pointer: str
    length: int
    limit: int
    says = "{pointer} has {length} characters, at most {limit} are kept"
    remedy = "say it shortly; put long text into the input, or into a file"


class TooMany(Refusal, code="too_many", category=Category.INVALID):
    """A list or an object has more members than are kept."""

    pointer: str
    count: int
    limit: int
    says = "{pointer} has {count} members, at most {limit} are kept"
    remedy = "name fewer"


class InputTooLarge(Refusal, code="input_too_large", category=Category.TOO_LARGE):
    """An input is larger than a run takes."""

    size: int
    limit: int
    says = "the input has {size} bytes of canonical JSON, at most {limit} are taken"
    remedy = "hand over less, or the name of what holds it"


def within(limit: int, **texts: str) -> None:
    """Hold texts to a number of characters.

    Raises:
        TextTooLong: One is longer; it is named.
    """
    for name, text in texts.items():
        if len(text) > limit:
            raise TextTooLong(f"/{name}", len(text), limit)


def labels_within(name: str, labels: Mapping[str, str]) -> None:
    """Hold labels to a number, and each name and value to a length.

    Raises:
        TooMany, TextTooLong: There are more, or one is longer.
    """
    if len(labels) > MAX_LABELS:
        raise TooMany(f"/{name}", len(labels), MAX_LABELS)
    for key, value in labels.items():
        if len(key) > MAX_NAME:
            raise TextTooLong(f"/{name}", len(key), MAX_NAME)
        if len(value) > MAX_NAME:
            raise TextTooLong(f"/{name}/{key}", len(value), MAX_NAME)


def told(reason: str) -> str:
    """Cut what is told of a failure: it stands in an event's header."""
    return reason if len(reason) <= MAX_FAULT else f"{reason[:MAX_FAULT]} …"
