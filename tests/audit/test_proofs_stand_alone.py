"""An inclusion proof convinces by itself, of exactly one event, and survives the way through JSON."""

import msgspec
import pytest

from bailiwick.audit import InclusionProof, NoteUnverified, ProofInvalid, prove, verify_proof


def proof_of(log, index: int) -> InclusionProof:
    return prove(log.entries[index].header, index, log.leaves, log.note())


def test_every_event_has_a_proof_that_holds(log, signer) -> None:
    for index, name in enumerate(log.names):
        proof = proof_of(log, index)
        sent = msgspec.json.decode(msgspec.json.encode(proof), type=InclusionProof)
        assert sent.event == name
        assert verify_proof(sent, [signer.vkey]).size == len(log.names)


@pytest.mark.parametrize(
    "change",
    [
        {"event": "run_a.2"},
        {"index": 3},
        {"index": -1},
        {"size": 7},
        {"path": ()},
        {"path": ("zz",)},
        {"path": ("ab",)},
        {"header": "{}"},
        {"header": "nonsense"},
        {"header": "\ud800"},
        {"header": "[]"},
    ],
)
def test_a_proof_with_any_part_changed_fails(log, signer, change: dict[str, object]) -> None:
    proof = msgspec.structs.replace(proof_of(log, 4), **change)
    with pytest.raises(ProofInvalid) as refusal:
        verify_proof(proof, [signer.vkey])
    assert refusal.value.facts["event"] == proof.event


def test_no_changed_character_of_a_header_is_believed(log, signer) -> None:
    proof = proof_of(log, 4)
    for at, char in enumerate(proof.header):
        header = proof.header[:at] + chr(ord(char) ^ 1) + proof.header[at + 1 :]
        with pytest.raises(ProofInvalid):
            verify_proof(msgspec.structs.replace(proof, header=header), [signer.vkey])


def test_a_proof_under_a_checkpoint_of_a_stranger_fails(log, stranger) -> None:
    with pytest.raises(NoteUnverified):
        verify_proof(proof_of(log, 0), [stranger.vkey])


def test_no_proof_is_made_of_a_header_that_is_not_there(log) -> None:
    with pytest.raises(ValueError, match="not the hash"):
        prove(log.entries[1].header, 0, log.leaves, log.note())
    with pytest.raises(ValueError, match="no leaf"):
        prove(log.entries[1].header, 99, log.leaves, log.note())
