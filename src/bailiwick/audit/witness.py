"""Witnessing (C2SP tlog-witness): another party signs a log's head only if it grew out of the last head that it saw.

Without a witness a signed log proves nothing against whoever holds its key: it could be rewritten and signed
again. A witness never needs the log, only the proof that the new head begins with the old one.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bailiwick.audit.checkpoint import Checkpoint, open_note
from bailiwick.audit.merkle import HASH_BYTES, verify_consistency
from bailiwick.audit.note import COSIGNATURE, VerifierKey, seen_at, signature_line
from bailiwick.base import Category, Refusal

MAX_PROOF: Final = 63
"""Hashes of a consistency proof: one for each bit of a log's size."""

MAX_REQUEST: Final = 65_536
"""Bytes of a request to a witness."""

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_TIME_BYTES: Final = 8


class WitnessRequestMalformed(Refusal, code="witness_request_malformed", category=Category.INVALID):
    """A request to a witness is not in the form of the protocol."""

    reason: str
    says = "not a request to a witness: {reason}"
    remedy = "send `old SIZE`, the proof's hashes in base64, a blank line and the signed checkpoint"


class WitnessBehind(Refusal, code="witness_behind", category=Category.CONFLICT):
    """The witness last saw the log at another size than the proof starts from."""

    seen: int
    assumed: int
    says = "the witness last saw the log at size {seen}, the proof starts at {assumed}"
    remedy = "prove that the log of size {seen} is its beginning"


class HistoryRewritten(Refusal, code="history_rewritten", category=Category.FORBIDDEN):
    """A head does not grow out of the one that was seen before: the log was changed, cut or forked."""

    origin: str
    seen: int
    size: int
    says = "{origin} at size {size} does not begin with what was seen of it at size {seen}"
    remedy = "keep both signed heads: together they convict whoever signed them"


class Growth(msgspec.Struct, frozen=True):
    """What a log shows a witness: the size it was last seen at, the proof from there, and its signed head."""

    old: int
    proof: tuple[bytes, ...]
    note: str


def write_growth(growth: Growth) -> bytes:
    """Write the body of a request to a witness."""
    hashes = "".join(f"{base64.b64encode(step).decode()}\n" for step in growth.proof)
    return f"old {growth.old}\n{hashes}\n{growth.note}".encode()


def read_growth(body: bytes) -> Growth:
    """Read the body of a request to a witness.

    Raises:
        WitnessRequestMalformed: It is not in the form of the protocol, or larger than `MAX_REQUEST`.
    """
    if len(body) > MAX_REQUEST:
        raise WitnessRequestMalformed(f"it has more than {MAX_REQUEST} bytes")
    try:
        head, gap, note = body.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise WitnessRequestMalformed("it is not UTF-8") from error
    first, *hashes = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not gap:
        raise WitnessRequestMalformed("it does not begin with `old SIZE` and a blank line after the proof")
    if len(hashes) > MAX_PROOF:
        raise WitnessRequestMalformed(f"the proof has more than {MAX_PROOF} hashes")
    return Growth(int(old.group(1)), tuple(map(_hash, hashes)), note)


def consider(seen: Checkpoint | None, growth: Growth, vkeys: Sequence[str]) -> Checkpoint:
    """Decide whether a log's new head may be vouched for.

    Args:
        seen: The head that was vouched for last; None when there is none.
        growth: What the log shows.
        vkeys: The keys that are the log's, known by another way than from the log.

    Returns:
        The new head; its origin, and that of `seen`, are the caller's to compare before.

    Raises:
        NoteMalformed, NoteUnverified: The head is not signed by the log's key.
        WitnessBehind: The proof starts at another size than that of `seen`.
        HistoryRewritten: The head does not begin with `seen`.
    """
    head = open_note(growth.note, vkeys)
    size, root = (seen.size, seen.root) if seen is not None else (0, b"")
    if growth.old != size:
        raise WitnessBehind(seen=size, assumed=growth.old)
    grew = (
        not growth.proof if size == 0 else verify_consistency(size, root, head.size, head.root, growth.proof)
    )
    if not grew or (seen is not None and seen.origin != head.origin):
        raise HistoryRewritten(origin=head.origin, seen=size, size=head.size)
    return head


def cosign(note: str, key: VerifierKey, sign: Callable[[bytes], bytes], seconds: int) -> str:
    """Make the line by which a witness vouches for a head (cosignature/v1), at an instant in seconds since 1970."""
    if key.algorithm != COSIGNATURE:
        raise ValueError(f"{key.name} is not the key of a witness")
    text = note.rpartition("\n\n")[0] + "\n"
    signature = sign(seen_at(seconds, text.encode()))
    return signature_line(key, seconds.to_bytes(_TIME_BYTES) + signature)


def _hash(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WitnessRequestMalformed(f"{text[:60]!r} is not base64") from error
    if len(decoded) != HASH_BYTES or base64.b64encode(decoded).decode() != text:
        raise WitnessRequestMalformed(f"{text[:60]!r} is not a SHA-256")
    return decoded
