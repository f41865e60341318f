"""Leaves: what of an event enters the Merkle tree, a header and the salted commitment to its payload."""

import hashlib
from typing import Final

from bailiwick.base import Json, canonical

MIN_SALT: Final = 16
"""Bytes of randomness that keep a short payload from being guessed out of its commitment."""

_DOMAIN: Final = b"bailiwick.payload.v1\0"
_RESERVED: Final = frozenset({"stream", "seq", "prev", "payload"})


def commitment(salt: bytes, body: bytes) -> str:
    """Commit to a payload without revealing it: SHA-256 over a domain, the salt's length, salt and body.

    Args:
        salt: 16..255 random bytes, new for each payload; erased together with it.
        body: The payload's exact stored bytes.

    Returns:
        64 lower-case hexadecimal digits, the `payload` of the event's header.

    Raises:
        ValueError: The salt is shorter than 16 or longer than 255 bytes.
    """
    if not MIN_SALT <= len(salt) <= 255:
        raise ValueError(f"a salt has {MIN_SALT}..255 bytes, not {len(salt)}")
    return hashlib.sha256(b"%b%c%b%b" % (_DOMAIN, len(salt), salt, body)).hexdigest()


def seal(fields: dict[str, Json], *, stream: str, seq: int, prev: str, payload: str | None) -> bytes:
    """Write an event's header: the canonical bytes that are stored, hashed and proven.

    Args:
        fields: What the event says in the open (kind, versions, decisions), canonical JSON.
        stream: The stream that the event extends.
        seq: Its place there, from 1 without gaps.
        prev: The hex leaf hash of the stream's previous event; "" for the first.
        payload: The commitment to the payload; None when the event has none.

    Raises:
        ValueError: `fields` holds a name that only the seal may write.
    """
    if not _RESERVED.isdisjoint(fields):
        taken = sorted(_RESERVED.intersection(fields))
        raise ValueError(f"header fields hold the reserved names {taken}")
    header = {**fields, "stream": stream, "seq": seq, "prev": prev}
    if payload is not None:
        header["payload"] = payload
    return canonical(header)


def leaf_hash(header: bytes) -> bytes:
    """Hash a header to its leaf, as RFC 6962 does: SHA-256 over a zero byte and the header."""
    return hashlib.sha256(b"\0" + header).digest()
