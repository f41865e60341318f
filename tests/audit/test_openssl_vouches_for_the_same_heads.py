"""Heads that we sign verify with a program that shares no line with ours: openssl, and a hash tree after the letter of RFC 9162."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.audit import COSIGNATURE, cosign, parse_verifier_key, verifier_key

# What RFC 8410 puts before the 32 bytes of an Ed25519 public key.
SUBJECT_PUBLIC_KEY_INFO = bytes.fromhex("302a300506032b6570032100")


def openssl_says(folder: Path, public: bytes, message: bytes, signature: bytes) -> bool:
    pem = base64.encodebytes(SUBJECT_PUBLIC_KEY_INFO + public).decode()
    (folder / "key.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n")
    (folder / "message").write_bytes(message)
    (folder / "signature").write_bytes(signature)
    files = ["-inkey", "key.pem", "-in", "message", "-sigfile", "signature"]
    asked = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", *files]
    return subprocess.run(asked, cwd=folder, capture_output=True, check=False).returncode == 0


def taken_apart(note: str, line: int = 0) -> tuple[str, bytes, bytes, bytes]:
    """Give a note's name, key id, signature and text, by the letter of C2SP signed-note."""
    text, _, lines = note.rpartition("\n\n")
    dash, name, blob = lines.splitlines()[line].split(" ")
    assert dash == "\u2014"
    raw = base64.b64decode(blob)
    return name, raw[:4], raw[4:], text.encode() + b"\n"


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, over entries (not their hashes), as written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + tree_hash(leaves[:half]) + tree_hash(leaves[half:])).digest()


@pytest.mark.parametrize("size", range(10))
def test_a_head_verifies_without_a_line_of_ours(log, tmp_path: Path, size: int) -> None:
    name, key_id, signature, text = taken_apart(log.note(size))
    public = log.signer.public
    assert key_id == hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    assert openssl_says(tmp_path, public, text, signature)
    root = tree_hash([entry.header for entry in log.entries[:size]])
    assert text == f"{log.origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def test_openssl_refuses_every_changed_bit_of_the_text(log, tmp_path: Path) -> None:
    _, _, signature, text = taken_apart(log.note())
    for at in range(len(text)):
        changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
        assert not openssl_says(tmp_path, log.signer.public, changed, signature), at


def test_a_witnesss_line_verifies_with_openssl_and_says_when(log, tmp_path: Path) -> None:
    witness = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    public = witness.public_key().public_bytes_raw()
    key = parse_verifier_key(verifier_key("witness.test", public, COSIGNATURE))
    note = log.note()
    name, key_id, stamped, text = taken_apart(note + cosign(note, key, witness.sign, 1_700_000_000), 1)
    assert key_id == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    assert int.from_bytes(stamped[:8]) == 1_700_000_000
    said = b"cosignature/v1\ntime 1700000000\n" + text
    assert openssl_says(tmp_path, public, said, stamped[8:])
    assert not openssl_says(tmp_path, public, said.replace(b"17", b"18"), stamped[8:])
