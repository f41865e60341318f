"""Floor 2: the Merkle log over all events, its signed checkpoints, proofs and offline verification."""

from bailiwick.audit.checkpoint import Checkpoint, open_note, sign_note
from bailiwick.audit.export import EXPORT_FILES, VERIFIER, VERIFIERS, WITNESSED, Entry, build_export
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
    COSIGNATURE,
    NoteMalformed,
    NoteUnverified,
    VerifierKey,
    VerifierKeyMalformed,
    open_text,
    parse_verifier_key,
    sign_text,
    verifier_key,
)
from bailiwick.audit.placing import unexplained
from bailiwick.audit.proof import InclusionProof, ProofInvalid, prove, verify_proof
from bailiwick.audit.rotation import Rotation, linked, notes_in, open_rotation, sign_rotation
from bailiwick.audit.verify import Fault, Finding, Report, verify_export
from bailiwick.audit.witness import (
    MAX_REQUEST,
    Growth,
    HistoryRewritten,
    WitnessBehind,
    WitnessRequestMalformed,
    consider,
    cosign,
    read_growth,
    write_growth,
)

__all__ = [
    "COSIGNATURE",
    "EMPTY_ROOT",
    "EXPORT_FILES",
    "MAX_REQUEST",
    "VERIFIER",
    "VERIFIERS",
    "WITNESSED",
    "Checkpoint",
    "Entry",
    "Fault",
    "Finding",
    "Frontier",
    "Growth",
    "HistoryRewritten",
    "InclusionProof",
    "NoteMalformed",
    "NoteUnverified",
    "ProofInvalid",
    "Report",
    "Rotation",
    "VerifierKey",
    "VerifierKeyMalformed",
    "WitnessBehind",
    "WitnessRequestMalformed",
    "build_export",
    "commitment",
    "consider",
    "cosign",
    "leaf_hash",
    "linked",
    "notes_in",
    "open_note",
    "open_rotation",
    "open_text",
    "parse_verifier_key",
    "prove",
    "prove_consistency",
    "prove_inclusion",
    "read_growth",
    "root_of",
    "seal",
    "sign_note",
    "sign_rotation",
    "sign_text",
    "unexplained",
    "verifier_key",
    "verify_consistency",
    "verify_export",
    "verify_inclusion",
    "verify_proof",
    "write_growth",
]
