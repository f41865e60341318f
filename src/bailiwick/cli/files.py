"""Files and flags that a person wrote: strict JSON, and the place of what is wrong with it."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bailiwick.base import BadInput, Category, Json, Refusal, parse_strict
from bailiwick.plan import locate

MAX_BYTES = 1_048_576
_AT = re.compile(r"at line (\d+) column (\d+)")


class Unusable(Refusal, code="invalid_file", category=Category.INVALID):
    """A file or a flag does not say what it should; the place is in the facts."""

    def __init__(self, place: str, reason: str, remedy: str, **facts: object) -> None:
        super().__init__(f"{place}: {reason}", remedy=remedy, place=place, **facts)


def read_text(path: Path) -> str:
    """Read a file, or standard input for `-`.

    Raises:
        Unusable: It cannot be read, or is not UTF-8.
    """
    try:
        body = sys.stdin.buffer.read(MAX_BYTES + 1) if str(path) == "-" else path.read_bytes()
        return body.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(str(path), str(error), "name a UTF-8 file that can be read") from error


def parse_at(name: str, text: str) -> Json:
    """Parse strict JSON.

    Raises:
        Unusable: It is not; the place is NAME:LINE:COLUMN as far as it is known.
    """
    try:
        return parse_strict(text.encode("utf-8", "surrogatepass"), limit=MAX_BYTES)
    except BadInput as refusal:
        raise Unusable(f"{name}{_place(text, refusal)}", refusal.message, refusal.remedy) from refusal


def pairs(flag: str, given: Sequence[str]) -> dict[str, Json]:
    """Read NAME=VALUE flags.

    Raises:
        Unusable: One has no `=`.
    """
    found: dict[str, Json] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise Unusable(flag, f"{item!r} is not NAME=VALUE", f"write {flag} team=payments")
        found[name] = value
    return found


def _place(text: str, refusal: BadInput) -> str:
    at = _AT.search(refusal.message)
    if at is not None:
        return f":{at[1]}:{at[2]}"
    pointer = str(refusal.facts.get("pointer", ""))
    return ":{}:{}".format(*locate(text, pointer)) if pointer else ""
