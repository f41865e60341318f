"""A text that looks as one in a file does, in other characters: its line ends, its byte order mark, its Unicode form."""

import re
import unicodedata

_BOM = "\ufeff"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_SHOWN = 2_000


def nearest(body: str, text: str) -> tuple[str, str] | None:
    """Find the lines of a file that read like a text which does not stand in it.

    Returns:
        What differs, and the lines as they are in the file (2,000 characters at most); None where no place, or more
        than one, reads so.
    """
    alike, wanted = _plain(body), _plain(text)
    at = alike.find(wanted) if wanted else -1
    if at < 0 or alike.find(wanted, at + 1) >= 0:
        return None
    first = alike.count("\n", 0, at)
    there = "".join(_LINE.findall(body)[first : first + wanted.count("\n") + 1])
    return _difference(there, text), there[:_SHOWN]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", re.sub(r"\r\n?", "\n", text.replace(_BOM, "")))


def _difference(there: str, text: str) -> str:
    if "\r" in there and unicodedata.normalize("NFC", there) == there:
        return "line ends"
    return "a byte order mark" if _BOM in text else "Unicode forms"
