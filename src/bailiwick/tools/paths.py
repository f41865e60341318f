"""Paths inside a tree: relative, POSIX, one spelling each, and never into git's own folder."""

import unicodedata
from collections.abc import Iterable

from bailiwick.base import Category, Refusal

MAX_PART_BYTES = 255
MAX_PATH_BYTES = 1024
MAX_PARTS = 32
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class BadPath(Refusal, code="bad_path", category=Category.INVALID):
    """A text is not a path that a tree may hold."""

    def __init__(self, path: str, reason: str) -> None:
        shown = ascii(path[:120])
        super().__init__(
            f"the path {shown} is refused: {reason}",
            remedy="give a relative path such as src/app.py: parts joined by /, no . or .., no .git, visible NFC characters",
            path=shown,
            reason=reason,
        )


def check_path(path: str) -> str:
    """Hand back a path that is safe to store, to write below a folder and to show to a person.

    Characters that a reader cannot see (control, format, direction marks) are refused with the rest:
    approvals show paths.

    Raises:
        BadPath: The path is absolute, climbs, names git's folder in any spelling, or is malformed.
    """
    reason = _fault(path)
    if reason:
        raise BadPath(path, reason)
    return path


def check_layout(paths: Iterable[str]) -> None:
    """Check that no path is both a file and a folder of the same tree.

    Raises:
        BadPath: One of the paths runs through another.
    """
    files = frozenset(paths)
    for path in sorted(files):
        parts = path.split("/")
        for length in range(1, len(parts)):
            folder = "/".join(parts[:length])
            if folder in files:
                raise BadPath(path, f"{folder!a} is a file")


def _fault(path: str) -> str:
    plain = path.isascii() and path.isprintable() and "\\" not in path
    for character in "" if plain else path:
        if character == "\\" or unicodedata.category(character) in _UNSEEN:
            return f"it holds the character U+{ord(character):04X}"
    parts = path.split("/")
    if not path or path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        return "it is empty or absolute"
    if len(path.encode()) > MAX_PATH_BYTES or len(parts) > MAX_PARTS:
        return f"it is longer than {MAX_PATH_BYTES} bytes or {MAX_PARTS} parts"
    if not unicodedata.is_normalized("NFC", path):
        return "it is not in the normal form NFC"
    return next((fault for part in parts if (fault := _part_fault(part))), "")


def _part_fault(part: str) -> str:
    if part in ("", ".", ".."):
        return "a part is empty, . or .."
    if len(part.encode()) > MAX_PART_BYTES:
        return f"a part is longer than {MAX_PART_BYTES} bytes"
    # Some file systems ignore case, trailing dots and blanks, and what follows a colon; one has short names.
    plain = unicodedata.normalize("NFKC", part).casefold().partition(":")[0].rstrip(" .")
    if plain in (".git", "git~1"):
        return "git's own folder is out of bounds"
    return ""
