"""Signed notes (C2SP signed-note): a text, and below it lines by which named Ed25519 keys vouch for it."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bailiwick.base import Category, Refusal

MAX_NOTE: Final = 65_536
MAX_SIGNATURES: Final = 100

ED25519: Final = b"\1"
"""The algorithm byte of keys that sign the text itself: logs."""

COSIGNATURE: Final = b"\4"
"""The algorithm byte of keys that sign the text and the time at which they saw it: witnesses (C2SP tlog-cosignature)."""

_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_NAME: Final = re.compile(r"[^\s+]+")
_SIGNATURE_LINE: Final = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ufffd]")


class NoteMalformed(Refusal, code="note_malformed", category=Category.INVALID):
    """A text is not a signed note, or its body is not a checkpoint."""

    reason: str
    says = "not a signed checkpoint: {reason}"
    remedy = "fetch the checkpoint again, byte for byte as it was published"


class NoteUnverified(Refusal, code="note_unverified", category=Category.FORBIDDEN):
    """No trusted key vouches for a note, or one that should does not."""

    def __init__(self, reason: str, *, signers: Sequence[str]) -> None:
        super().__init__(
            f"the checkpoint is not vouched for: {reason}",
            remedy="check that the verifier key is the log's; if it is, do not trust this checkpoint",
            reason=reason,
            signers=list(signers),
        )


class VerifierKeyMalformed(Refusal, code="verifier_key_malformed", category=Category.INVALID):
    """A text is not a verifier key `name+id+key` of an Ed25519 key."""

    reason: str
    says = "not a verifier key: {reason}"
    remedy = "copy the log's verifier key whole: name, plus sign, 8 hex digits, plus sign, base64"


class VerifierKey(msgspec.Struct, frozen=True):
    """A named Ed25519 public key; `key_id` is the 4-byte hint that signature lines carry.

    `algorithm` is `ED25519` (a log's key) or `COSIGNATURE` (a witness's: its signatures carry an instant).
    """

    name: str
    public: bytes
    algorithm: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        """Hash name and key to the hint of the signed-note format."""
        named = self.name.encode() + b"\n" + self.algorithm + self.public
        return hashlib.sha256(named).digest()[:_KEY_ID_BYTES]

    def vouches(self, body: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature over the body."""
        if self.algorithm == COSIGNATURE:
            if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
                return False
            body = seen_at(int.from_bytes(signature[:_TIME_BYTES]), body)
            signature = signature[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, body)
        except InvalidSignature:
            return False
        return True


def seen_at(seconds: int, body: bytes) -> bytes:
    """Write what a witness signs (cosignature/v1): the instant at which it saw a text, and the text."""
    return b"cosignature/v1\ntime %d\n%b" % (seconds, body)


def verifier_key(name: str, public: bytes, algorithm: bytes = ED25519) -> str:
    """Write the text form of a verifier key: what an auditor is handed, by another way than the log.

    Args:
        name: The key's name: not empty, without white space and plus signs.
        public: 32 bytes.
        algorithm: `ED25519` for a log's key, `COSIGNATURE` for a witness's.

    Raises:
        VerifierKeyMalformed: The name or the length of the key does not fit.
    """
    if not _NAME.fullmatch(name):
        raise VerifierKeyMalformed(f"the name {name[:80]!r} is empty or has white space or a plus sign")
    if len(public) != _KEY_BYTES:
        raise VerifierKeyMalformed(f"an Ed25519 key has {_KEY_BYTES} bytes, not {len(public)}")
    key = VerifierKey(name, public, algorithm)
    return f"{name}+{key.key_id.hex()}+{base64.b64encode(algorithm + public).decode()}"


def parse_verifier_key(text: str) -> VerifierKey:
    """Read the text form of a verifier key; only its one exact spelling passes.

    Raises:
        VerifierKeyMalformed: Not that form, another algorithm, or an id that does not fit the key.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    decoded = _base64(encoded)
    if decoded is None or decoded[:1] not in (ED25519, COSIGNATURE):
        raise VerifierKeyMalformed("the key is not base64 of an Ed25519 key")
    if verifier_key(name, decoded[1:], decoded[:1]) != text:
        raise VerifierKeyMalformed(f"the id {key_id[:16]!r} does not belong to this name and key")
    return VerifierKey(name, decoded[1:], decoded[:1])


def sign_text(body: str, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
    """Put a key's signature line below a text that ends with a newline.

    Raises:
        NoteUnverified: `sign` does not belong to the key: nobody could open the note.
    """
    signature = sign(body.encode())
    if not key.vouches(body.encode(), signature):
        raise NoteUnverified("the signing key is not the one of the verifier key", signers=[key.name])
    return f"{body}\n{signature_line(key, signature)}"


def signature_line(key: VerifierKey, signature: bytes) -> str:
    """Write the line by which a key vouches for a text."""
    return f"\u2014 {key.name} {base64.b64encode(key.key_id + signature).decode()}\n"


def open_text(note: str, keys: Sequence[VerifierKey]) -> str:
    """Give back the text of a note that at least one of the keys vouches for.

    Signature lines of unknown keys are ignored; a known key's line that does not verify refuses the note.

    Raises:
        NoteMalformed: Not in the form of a signed note.
        NoteUnverified: No known key signed, or a known key's signature is wrong.
    """
    body, lines = _split(note)
    known = {(key.name, key.key_id): key for key in keys}
    signers: list[str] = []
    vouched = False
    for name, key_id, signature in map(_parse_line, lines):
        signers.append(name)
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.vouches(body.encode(), signature):
            raise NoteUnverified(f"the signature of {name} does not fit the text", signers=signers)
        vouched = True
    if not vouched:
        raise NoteUnverified("no known key signed it", signers=signers)
    return body


def _split(note: str) -> tuple[str, list[str]]:
    if len(note) > MAX_NOTE:
        raise NoteMalformed(f"more than {MAX_NOTE} characters")
    if _CONTROL.search(note):
        raise NoteMalformed("it holds control characters")
    body, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise NoteMalformed("no signature lines below a blank line")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed(f"more than {MAX_SIGNATURES} signatures")
    return body + "\n", lines


def _parse_line(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE_LINE.fullmatch(line)
    decoded = _base64(match.group(2)) if match else None
    if match is None or decoded is None or len(decoded) <= _KEY_ID_BYTES:
        raise NoteMalformed(f"{line[:80]!r} is not a signature line")
    return match.group(1), decoded[:_KEY_ID_BYTES], decoded[_KEY_ID_BYTES:]


def _base64(text: str) -> bytes | None:
    """Decode base64 in its one canonical spelling: padded, spare bits zero."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None
