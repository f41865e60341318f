"""Checkpoints (C2SP tlog-checkpoint): the signed head of a log, its origin, size and root."""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bailiwick.audit.merkle import HASH_BYTES
from bailiwick.audit.note import (
    NoteMalformed,
    VerifierKey,
    open_text,
    parse_verifier_key,
    sign_text,
    verifier_key,
)

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_MOST: Final = 2**63 - 1
_ROOT: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_ORIGIN: Final = re.compile(r"[^\x00-\x1f\ufffd]+")


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a log at one size.

    `origin` names the log (`audit.<deployment>/<tenant>`), one line; `root` is 32 bytes.
    """

    origin: str
    size: int
    root: bytes


def sign_note(checkpoint: Checkpoint, name: str, sign: Callable[[bytes], bytes], public_key: bytes) -> str:
    """Write a checkpoint as a signed note.

    Args:
        checkpoint: The head to sign.
        name: The key's name, as in its verifier key.
        sign: Makes the Ed25519 signature of the bytes it is given; the key stays with the caller.
        public_key: The 32 bytes that belong to `sign`.

    Raises:
        NoteMalformed: The checkpoint's origin, size or root cannot be written.
        VerifierKeyMalformed: The name or the public key cannot be written.
        NoteUnverified: `sign` and `public_key` do not belong together.
    """
    if not _ORIGIN.fullmatch(checkpoint.origin):
        raise NoteMalformed("the origin is not one line of text")
    if not _sized(str(checkpoint.size)) or len(checkpoint.root) != HASH_BYTES:
        raise NoteMalformed("the size is negative or the root is not a SHA-256")
    root = base64.b64encode(checkpoint.root).decode()
    key = parse_verifier_key(verifier_key(name, public_key))
    return sign_text(f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n", key, sign)


def open_note(text: str, vkeys: Sequence[str]) -> Checkpoint:
    """Read a checkpoint that at least one of the verifier keys vouches for.

    Signatures by other keys are ignored, as are extension lines below the root.

    Raises:
        NoteMalformed: Not a signed note, or not a checkpoint in it.
        NoteUnverified: No known key signed it, or a known key's signature is wrong.
        VerifierKeyMalformed: One of `vkeys` is not a verifier key.
    """
    keys: list[VerifierKey] = [parse_verifier_key(vkey) for vkey in vkeys]
    lines = open_text(text, keys)[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteMalformed("fewer than three lines, or an empty one")
    origin, size, root = lines[:3]
    if not _sized(size):
        raise NoteMalformed(f"{size[:24]!r} is not a size")
    decoded = base64.b64decode(root) if _ROOT.fullmatch(root) else b""
    if base64.b64encode(decoded).decode() != root:
        raise NoteMalformed("the root is not base64 of a SHA-256, in its one canonical spelling")
    return Checkpoint(origin=origin, size=int(size), root=decoded)


def _sized(text: str) -> bool:
    return _SIZE.fullmatch(text) is not None and int(text) <= _MOST
