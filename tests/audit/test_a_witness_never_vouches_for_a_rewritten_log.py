"""A witness cosigns a head only if the log grew to it from the head that it saw last."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.audit import (
    COSIGNATURE,
    Checkpoint,
    Growth,
    HistoryRewritten,
    NoteUnverified,
    WitnessBehind,
    WitnessRequestMalformed,
    consider,
    cosign,
    open_text,
    parse_verifier_key,
    prove_consistency,
    read_growth,
    root_of,
    verifier_key,
    verify_export,
    write_growth,
)

WITNESS = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
WITNESS_KEY = verifier_key("witness.test", WITNESS.public_key().public_bytes_raw(), COSIGNATURE)


def growth(log, old: int, size: int | None = None) -> Growth:
    leaves = log.leaves[:size]
    return Growth(old, prove_consistency(leaves, old), log.note(len(leaves)))


def head(log, size: int) -> Checkpoint:
    return Checkpoint(log.origin, size, root_of(log.leaves[:size]))


def cosigned(note: str, seconds: int = 1_700_000_000) -> str:
    return note + cosign(note, parse_verifier_key(WITNESS_KEY), WITNESS.sign, seconds)


@pytest.mark.parametrize("old", range(10))
@pytest.mark.parametrize("size", range(1, 10))
def test_every_growth_is_seen_for_what_it_is(log, old: int, size: int) -> None:
    seen = head(log, old) if old else None
    if old <= size:
        assert consider(seen, growth(log, old, size), [log.signer.vkey]) == head(log, size)
    else:
        with pytest.raises(HistoryRewritten):
            consider(seen, Growth(old, (), log.note(size)), [log.signer.vkey])


@pytest.mark.parametrize("size", range(1, 10))
def test_a_fork_is_never_vouched_for(log, size: int) -> None:
    seen = head(log, size)
    log.entries[0] = log.entries[1]  # another history from the first event on
    with pytest.raises(HistoryRewritten) as refusal:
        consider(seen, growth(log, size), [log.signer.vkey])
    assert refusal.value.facts["seen"] == size


def test_a_proof_from_another_size_is_told_the_right_one(log) -> None:
    with pytest.raises(WitnessBehind) as refusal:
        consider(head(log, 4), growth(log, 3), [log.signer.vkey])
    assert refusal.value.facts == {"seen": 4, "assumed": 3}


def test_a_head_that_the_log_did_not_sign_is_not_considered(log, stranger) -> None:
    with pytest.raises(NoteUnverified):
        consider(None, growth(log, 0), [stranger.vkey])


def test_another_log_is_not_taken_for_this_one(log) -> None:
    seen = head(log, 4)
    log.origin = "audit.test/other"
    with pytest.raises(HistoryRewritten):
        consider(seen, growth(log, 4), [log.signer.vkey])


def test_a_request_reads_back(log) -> None:
    for old in range(10):
        assert read_growth(write_growth(growth(log, old))) == growth(log, old)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 1", b"old -1\n\nx", b"old 01\n\nx", b"old 1\nAA==\n\nx", b"old 1\n!!\n\nx", b"\xff\n\n",
        b"old 1\n" + (base64.b64encode(b"\0" * 32) + b"\n") * 64 + b"\nx", b"old 1\n\n" + b"x" * 70_000,
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused(body: bytes) -> None:
    with pytest.raises(WitnessRequestMalformed):
        read_growth(body)


def test_a_cosignature_covers_the_text_and_the_instant(log) -> None:
    note = log.note()
    key = parse_verifier_key(WITNESS_KEY)
    assert open_text(cosigned(note), [key])
    forged = cosigned(note).replace(f"\n{len(log.leaves)}\n", "\n1\n")
    with pytest.raises(NoteUnverified):
        open_text(forged, [key])
    line = cosign(note, key, WITNESS.sign, 5)
    raw = bytearray(base64.b64decode(line.split()[-1]))
    raw[4 + 7] ^= 1  # the instant's last byte
    later = f"{note}\u2014 witness.test {base64.b64encode(bytes(raw)).decode()}\n"
    with pytest.raises(NoteUnverified):
        open_text(later, [key])


def test_a_cosignature_has_the_published_form(log) -> None:
    """The layout of C2SP tlog-cosignature: key id, 8 bytes of time, 64 of signature, over a text with a header."""
    note = log.note()
    raw = base64.b64decode(
        cosign(note, parse_verifier_key(WITNESS_KEY), WITNESS.sign, 1_700_000_000).split()[-1]
    )
    assert raw[:4].hex() == WITNESS_KEY.split("+")[1]
    assert int.from_bytes(raw[4:12]) == 1_700_000_000
    text = note.rpartition("\n\n")[0] + "\n"
    WITNESS.public_key().verify(raw[12:], b"cosignature/v1\ntime 1700000000\n" + text.encode())


def test_what_lies_behind_the_last_witnessed_head_is_reported_as_not_covered(log) -> None:
    for size in range(1, 9):
        report = verify_export(log.export(), witnessed=[log.note(2), log.note(size)])
        assert (report.ok, report.witnessed, report.size) == (True, max(size, 2), 9)
    assert verify_export(log.export()).witnessed == 0


def test_with_witnesses_keys_only_what_they_cosigned_counts(log) -> None:
    keys = {"witnesses": [WITNESS_KEY]}
    assert verify_export(log.export(), witnessed=[log.note(5)], **keys).witnessed == 0
    assert verify_export(log.export(), witnessed=[cosigned(log.note(5))], **keys).witnessed == 5
    brought = {"witnessed": cosigned(log.note()).encode()}
    assert verify_export(log.export() | brought, **keys).witnessed == 9
    assert verify_export(log.export() | brought).witnessed == 0


def test_a_cosignature_that_does_not_verify_is_reported(log) -> None:
    wrong = cosigned(log.note(5)).replace("witness.test ", "witness.best ")
    assert verify_export(log.export(), witnessed=[wrong], witnesses=[WITNESS_KEY]).witnessed == 0
