"""The forms in which a value travels: escaped, encoded, packed; each as a pattern that finds it in a text."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import re2  # type: ignore[import-untyped]

MIN_LENGTH = 8
_MIN_LINE = 16
_MAX_UNPACKED = 1_048_576
_DEPTH = 3
_BASE64 = re.compile(r"(?:H4sI|e[AFJN][A-Za-z0-9+/_-])[A-Za-z0-9+/_\-\r\n]{16,}={0,2}")
_HEX = re.compile(r"(?:1f8b08|78(?:01|5e|9c|da))[0-9a-f]{24,}", re.IGNORECASE)
_RAW = re.compile("\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")


def literal_forms(value: str) -> set[str]:
    """List the texts in which a value stands letter by letter."""
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value)}
    forms |= {re.sub(r"%..", _lower, form) for form in forms}
    forms |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    forms |= {line for line in value.splitlines() if len(line) >= _MIN_LINE}
    for raw in _raw_forms(value):
        forms |= {raw.hex(), raw.hex().upper()}
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            forms |= {_core(encode, raw, shift) for shift in range(3)}
    return {form for form in forms if len(form) >= MIN_LENGTH - 1}


def patterns(value: str) -> Iterator[str]:
    """Write the patterns of a value that is escaped, each character in a way of its own, or broken into lines."""
    for part in {value, *(line for line in value.splitlines() if len(line) >= _MIN_LINE)}:
        yield "".join(_escaped(character) for character in part)
    for raw in _raw_forms(value):
        yield r"[\s:,-]{0,2}".join(f"(?i:{byte:02x})" for byte in raw)
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            for shift in range(3):
                yield r"(?:\\[rn]|[\r\n])*".join(map(re2.escape, _core(encode, raw, shift)))


def longest(value: str) -> int:
    """Tell how long a form of the value can be that holds an escape, in characters."""
    return 12 * len(value)


def unpacked(text: str, depth: int = 0) -> Iterator[tuple[int, int, str]]:
    """Find what is packed in a text (gzip or zlib; raw, hexadecimal or base64) and yield where it stands and what it holds.

    At most a MiB of each is looked at, and what is packed in what was packed, three deep.
    """
    if depth == _DEPTH:
        return
    for pattern, decode in ((_BASE64, _from_base64), (_HEX, bytes.fromhex)):
        for match in pattern.finditer(text):
            held = _inflated(_decoded(decode, match[0]))
            if held:
                yield match.start(), match.end(), held
    raw = _RAW.search(text)
    if raw is not None:
        held = _inflated(text[raw.start() :].encode("latin-1", "replace"))
        if held:
            yield raw.start(), len(text), held


def _decoded(decode: Callable[[str], bytes], text: str) -> bytes:
    try:
        return decode(text)
    except (ValueError, binascii.Error):
        return b""


def _from_base64(text: str) -> bytes:
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text.replace("-", "+").replace("_", "/"))
    return base64.b64decode(letters[: len(letters) // 4 * 4])


def _inflated(packed: bytes) -> str:
    if not packed:
        return ""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        return unpacker.decompress(packed, _MAX_UNPACKED).decode("latin-1")
    except zlib.error:
        return ""


def _raw_forms(value: str) -> tuple[bytes, ...]:
    return value.encode(), value.encode("utf-16-le"), value.encode("utf-16-be")


def _escaped(character: str) -> str:
    """Write the ways in which one character stands in a text; NULs around it are those of UTF-16 and UTF-32."""
    code = ord(character)
    units = character.encode("utf-16-be").hex()
    points = "".join(rf"\\+u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    octets = character.encode()
    ways = [
        re2.escape(character),
        points,
        rf"\\+u\{{0*(?i:{code:x})\}}",
        "".join(rf"\\+x(?i:{octet:02x})" for octet in octets),
        "".join(rf"\\+{octet:03o}" for octet in octets),
        "".join(rf"%(?:25)*(?i:{octet:02x})" for octet in octets),
        "".join(rf"=(?:\r?\n)?(?i:{octet:02x})" for octet in octets),
        rf"&(?:amp;)*#0*{code};",
        rf"&(?:amp;)*#[xX]0*(?i:{code:x});",
    ]
    # Latin letters that UTF-8 spells with two bytes look like two characters where bytes are read as latin-1.
    ways += [re2.escape(octets.decode("latin-1"))] if code > 127 else []
    ways += [rf"\\+{mark}" for mark, meant in _SHORT.items() if meant == character]
    ways += [f"&{name};" for name, meant in _NAMED.items() if meant == character]
    return rf"\x00*(?:{'|'.join(ways)})\x00*"


_SHORT = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", r"\\": "\\", "/": "/"}
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _lower(match: re.Match[str]) -> str:
    return match[0].lower()


def _core(encode: Callable[[bytes], bytes], raw: bytes, shift: int) -> str:
    """Encode a value behind `shift` unknown bytes and keep the characters that only the value decides."""
    text = encode(b"\0" * shift + raw).decode().rstrip("=")
    first = (8 * shift + 5) // 6
    whole = (8 * (shift + len(raw))) // 6
    return text[first:whole]
