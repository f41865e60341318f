"""The deployment's own keys: made at first start, readable by the owner alone, kept beside the data."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bailiwick.audit import (
    Rotation,
    notes_in,
    open_rotation,
    parse_verifier_key,
    sign_rotation,
    verifier_key,
)
from bailiwick.service import Signer
from bailiwick.stores import make_folder, sync_folder, write_private
from bailiwick.wiring.keyfiles import (
    BLOBS,
    KEY_FILES,
    PEPPER,
    SECRET_BYTES,
    SIGNING,
    KeyMissing,
    KeyWrong,
    fingerprint,
    make_key,
    read_key,
)

NEXT = "signing.next"
ROTATIONS = "rotations"


class DeploymentKeys:
    """Signing key, pepper of API keys, and key of blob names, read from their folder.

    Args:
        folder: Where they lie.

    Raises:
        KeyMissing, KeyUnusable: One of them is not there, or is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._finish_rotation()
        missing = [folder / name for name in KEY_FILES if not (folder / name).exists()]
        if missing:
            raise KeyMissing(missing)
        self._read = {name: read_key(folder / name) for name in KEY_FILES}
        self._signing = Ed25519PrivateKey.from_private_bytes(self._read[SIGNING])
        self.pepper = self._read[PEPPER]
        self.blob_key = self._read[BLOBS]

    @classmethod
    def made(cls, folder: Path) -> "DeploymentKeys":
        """Make those that are not there: what may happen at first start alone."""
        make_folder(folder)
        for name in KEY_FILES:
            if name != SIGNING or not (folder / NEXT).exists():
                make_key(folder / name)
        return cls(folder)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What the ledger records of the keys, by name."""
        return {name: fingerprint_of(name, secret) for name, secret in self._read.items()}

    def hold_to(self, recorded: Mapping[str, str]) -> bool:
        """Hold the keys to what the ledger records of them; whether the signing key was rotated since.

        Raises:
            KeyWrong: One of them is another.
        """
        own = self.fingerprints
        wrong = [name for name in KEY_FILES if recorded.get(name, own[name]) != own[name]]
        rotated = SIGNING in wrong and recorded[SIGNING] in self._before()
        for name in wrong:
            if name != SIGNING or not rotated:
                raise KeyWrong(self._folder / name, self._mistaken(name, recorded))
        return rotated

    def _before(self) -> set[str]:
        """List the public halves, in hex, of the keys whose place the signing key took by statements of both sides."""
        before: set[str] = set()
        newest = _public(self._signing).hex()
        for note in reversed(notes_in(self.rotations)):
            rotation = open_rotation(note)
            if _half(rotation.new) == newest:
                newest = _half(rotation.old)
                before.add(newest)
        return before

    def _mistaken(self, name: str, recorded: Mapping[str, str]) -> str:
        secret = self._read[name]
        for other in KEY_FILES:
            if other != name and recorded.get(other) == fingerprint_of(other, secret):
                return f"it holds what belongs into {other}"
        return "its fingerprint is not the one on record"

    @property
    def rotations(self) -> str:
        """The statements of all rotations so far, one signed note below the other."""
        path = self._folder / ROTATIONS
        return path.read_text("utf-8") if path.is_file() else ""

    def signer(self, deployment: str) -> Signer:
        """Offer the signing key under the deployment's name."""
        return Signer(deployment, _public(self._signing), self._signing.sign, self.rotations)

    def rotate(self, deployment: str) -> Rotation:
        """Make a new signing key, link it to the old one, and destroy the old one; who runs must start anew to use it.

        The statement is synced before the new key takes its place, so that no crash leaves a key without it.
        """
        old, new = self._signing, Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(SECRET_BYTES))
        rotation = Rotation(verifier_key(deployment, _public(old)), verifier_key(deployment, _public(new)))
        statement = sign_rotation(rotation, old.sign, new.sign)
        write_private(self._folder / NEXT, new.private_bytes_raw())
        write_private(self._folder / ROTATIONS, (self.rotations + statement).encode())
        self._finish_rotation()
        self._signing = new
        return rotation

    def _finish_rotation(self) -> None:
        """Let the next key take its place if its statement is there; without one it was never announced."""
        path = self._folder / NEXT
        if not path.is_file():
            return
        public = _public(Ed25519PrivateKey.from_private_bytes(read_key(path)))
        last = [open_rotation(note).new for note in notes_in(self.rotations)][-1:]
        if any(parse_verifier_key(vkey).public == public for vkey in last):
            path.replace(self._folder / SIGNING)
            sync_folder(self._folder)
        else:
            path.unlink()


def fingerprint_of(name: str, secret: bytes) -> str:
    """Tell what the ledger records of a key: of the signing key its public half, by which heads are checked."""
    if name == SIGNING:
        return _public(Ed25519PrivateKey.from_private_bytes(secret)).hex()
    return fingerprint(name, secret)


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _half(vkey: str) -> str:
    return parse_verifier_key(vkey).public.hex()
