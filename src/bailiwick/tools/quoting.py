"""Quoting of paths in patches, as git does it: C escapes and octal bytes inside double quotes."""

_ESCAPES = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r", 34: b'"', 92: b"\\"}
_PLAIN = {escape[0]: code for code, escape in _ESCAPES.items()}
_OCTAL = frozenset(b"01234567")


def quote_path(path: str) -> bytes:
    """Write a path for a patch header; quoted only when it holds a quote, a control or a non-ASCII byte."""
    raw = path.encode()
    if all(32 <= byte < 127 and byte not in (34, 92) for byte in raw):
        return raw
    parts = []
    for byte in raw:
        if byte in _ESCAPES:
            parts.append(b"\\" + _ESCAPES[byte])
        elif 32 <= byte < 127:
            parts.append(bytes([byte]))
        else:
            parts.append(b"\\%03o" % byte)
    return b'"' + b"".join(parts) + b'"'


def unquote_path(text: bytes) -> str | None:
    """Read a path from a patch header; None when it is not one (bad escape, stray quote, not UTF-8)."""
    raw = _unescape(text[1:-1]) if len(text) >= 2 and text[:1] == text[-1:] == b'"' else text
    if raw is None or (raw is text and b'"' in text):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _unescape(text: bytes) -> bytes | None:
    found = bytearray()
    at = 0
    while at < len(text):
        byte = text[at]
        if byte == 34:
            return None
        if byte != 92:
            found.append(byte)
            at += 1
            continue
        following = text[at + 1 : at + 4]
        if len(following) == 3 and all(digit in _OCTAL for digit in following) and following[0] <= 0x33:
            found.append(int(following, 8))
            at += 4
        elif following and following[0] in _PLAIN:
            found.append(_PLAIN[following[0]])
            at += 2
        else:
            return None
    return bytes(found)
