"""A small log with everything in it that logs have: streams side by side, lone events, erased payloads."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.audit import (
    Checkpoint,
    Entry,
    build_export,
    commitment,
    leaf_hash,
    root_of,
    seal,
    sign_note,
    verifier_key,
)
from bailiwick.base import canonical

DECOY = canonical({"text": "größer\n", "index": 2, "header": '{"prev":"","seq":9,"stream":"run_z"}'})


@dataclass
class Signer:
    """An Ed25519 key under a name."""

    seed: int = 1
    name: str = "audit.test"

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.seed]) * 32)

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    @property
    def vkey(self) -> str:
        return verifier_key(self.name, self.public)

    def sign(self, body: bytes) -> bytes:
        return self._key.sign(body)

    def note(self, checkpoint: Checkpoint) -> str:
        return sign_note(checkpoint, self.name, self.sign, self.public)


@dataclass
class Log:
    """A log that a test fills, and may forge before it is signed."""

    signer: Signer = field(default_factory=Signer)
    origin: str = "audit.test/acme"
    entries: list[Entry] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(
        self, stream: str, payload: bytes | None = None, *, erased: bool = False, says=None, **forged
    ) -> None:
        last, prev = self.heads.get(stream, (0, ""))
        index = len(self.entries)
        salt = b"" if payload is None else hashlib.sha256(b"salt %d" % index).digest()[:16]
        place = {"stream": stream, "seq": last + 1, "prev": prev, **forged}
        committed = None if payload is None else commitment(salt, payload)
        fields = {"kind": "moved", "actor": {"agent": "writer"}, "at": 1_700_000_000_000_000 + index}
        header = seal(fields | (says or {}), payload=committed, **place)
        kept = (b"", None) if erased else (salt, payload)
        self.entries.append(Entry(index, header, *kept))
        self.names.append(f"{stream}.{last + 1}")
        self.heads[stream] = (place["seq"], leaf_hash(header).hex())

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(entry.header) for entry in self.entries]

    def note(self, size: int | None = None, leaves: Sequence[bytes] | None = None) -> str:
        signed = (leaves or self.leaves)[:size]
        return self.signer.note(Checkpoint(self.origin, len(signed), root_of(signed)))

    def export(self) -> dict[str, bytes]:
        return build_export(self.entries, self.leaves, self.note(), self.signer.vkey)


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def stranger() -> Signer:
    return Signer(seed=2, name="audit.stranger")


@pytest.fixture
def empty_log() -> Log:
    return Log()


@pytest.fixture
def log() -> Log:
    log = Log()
    log.add("run_a", b'{"step":"plan"}')
    log.add("tenant:acme")
    log.add("run_a", DECOY)
    log.add("run_b", b'{"alone":true}')
    log.add("run_a", b'{"secret":"gone"}', erased=True)
    log.add("tenant:acme", b"[]")
    log.add("run_a")
    log.add("run_a", b'{"step":"last"}')
    log.add("tenant:acme", says={"kind": "payload.erased", "erased": "run_a.3"})
    return log
