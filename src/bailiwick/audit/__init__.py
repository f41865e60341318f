"""Floor 2: the Merkle log over all events, its signed checkpoints, proofs and offline verification."""

from bailiwick.audit.checkpoint import Checkpoint, open_note, sign_note
from bailiwick.audit.export import EXPORT_FILES, VERIFIERS, Entry, build_export
from bailiwick.audit.leaf import commitment, leaf_hash, seal
from bailiwick.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from bailiwick.audit.note import (
    NoteMalformed,
    NoteUnverified,
    VerifierKey,
    VerifierKeyMalformed,
    open_text,
    parse_verifier_key,
    sign_text,
    verifier_key,
)
from bailiwick.audit.proof import InclusionProof, ProofInvalid, prove, verify_proof
from bailiwick.audit.verify import Fault, Finding, Report, verify_export

__all__ = [
    "EMPTY_ROOT",
    "EXPORT_FILES",
    "VERIFIERS",
    "Checkpoint",
    "Entry",
    "Fault",
    "Finding",
    "Frontier",
    "InclusionProof",
    "NoteMalformed",
    "NoteUnverified",
    "ProofInvalid",
    "Report",
    "VerifierKey",
    "VerifierKeyMalformed",
    "build_export",
    "commitment",
    "leaf_hash",
    "open_note",
    "open_text",
    "parse_verifier_key",
    "prove",
    "prove_consistency",
    "prove_inclusion",
    "root_of",
    "seal",
    "sign_note",
    "sign_text",
    "verifier_key",
    "verify_consistency",
    "verify_export",
    "verify_inclusion",
    "verify_proof",
]
