"""Inclusion proofs as plain data: that one event stands in the log which a checkpoint signs."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bailiwick.audit.checkpoint import Checkpoint, open_note
from bailiwick.audit.leaf import leaf_hash
from bailiwick.audit.merkle import HASH_BYTES, prove_inclusion, verify_inclusion
from bailiwick.base import Category, Refusal, parse_canonical

_MAX_PATH: Final = 64


class ProofInvalid(Refusal, code="proof_invalid", category=Category.INVALID):
    """A proof does not show what it claims."""

    reason: str
    event: str
    says = "the proof of {event} fails: {reason}"
    remedy = "ask for the proof again; if it still fails, compare checkpoints with the witness"


class InclusionProof(msgspec.Struct, frozen=True):
    """One event, its place in the log, the way from its leaf to the root, and the checkpoint that signs it.

    `event` is `stream.seq`; `header` the exact text whose UTF-8 bytes are the leaf; `path` hex hashes,
    lowest first; `checkpoint` a signed note over `size` leaves.
    """

    event: str
    header: str
    index: int
    size: int
    path: tuple[str, ...]
    checkpoint: str


def prove(header: bytes, index: int, leaves: Sequence[bytes], note: str) -> InclusionProof:
    """Make the proof of one event under the checkpoint that covers exactly these leaves.

    Args:
        header: The event's stored header, as `seal` made it.
        index: Its leaf's place in the log.
        leaves: All leaf hashes up to the checkpoint's size.
        note: The signed checkpoint.

    Raises:
        ValueError: There is no leaf at `index`, or it is not this header's.
    """
    path = prove_inclusion(leaves, index)
    if leaves[index] != leaf_hash(header):
        raise ValueError(f"leaf {index} is not the hash of this header")
    return InclusionProof(
        event=_event_of(header),
        header=header.decode(),
        index=index,
        size=len(leaves),
        path=tuple(step.hex() for step in path),
        checkpoint=note,
    )


def verify_proof(proof: InclusionProof, vkeys: Sequence[str]) -> Checkpoint:
    """Check a proof against verifier keys that the caller trusts; give back the checkpoint it rests on.

    Raises:
        NoteMalformed: The checkpoint is not a signed checkpoint.
        NoteUnverified: No trusted key vouches for it.
        VerifierKeyMalformed: One of `vkeys` is not a verifier key.
        ProofInvalid: Header, name, size, index or path do not fit the checkpoint.
    """
    checkpoint = open_note(proof.checkpoint, vkeys)
    if proof.size != checkpoint.size:
        raise ProofInvalid(f"the checkpoint has size {checkpoint.size}, not {proof.size}", event=proof.event)
    try:
        header = proof.header.encode()
        path = [bytes.fromhex(step) for step in proof.path[: _MAX_PATH + 1]]
        event = _event_of(header)
    except (ValueError, KeyError, TypeError) as error:
        raise ProofInvalid("header or path cannot be read", event=proof.event) from error
    if event != proof.event:
        raise ProofInvalid(f"the header is that of {event}", event=proof.event)
    if any(len(step) != HASH_BYTES for step in path):
        raise ProofInvalid("the path holds something that is not a SHA-256", event=proof.event)
    if not verify_inclusion(leaf_hash(header), proof.index, proof.size, path, checkpoint.root):
        raise ProofInvalid("the path does not lead from the header to the signed root", event=proof.event)
    return checkpoint


def _event_of(header: bytes) -> str:
    said = parse_canonical(header)
    return f"{said['stream']}.{said['seq']}"
