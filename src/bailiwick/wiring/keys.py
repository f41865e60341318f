"""The deployment's own keys: made at first start, readable by the owner alone, kept beside the data."""

import contextlib
import os
import secrets
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
from bailiwick.stores import DirectoryLock, make_folder, sync_folder
from bailiwick.wiring.settings import Settings

SIGNING = "signing.key"
NEXT = "signing.next"
ROTATIONS = "rotations"
_SEED_BYTES = 32


class DeploymentKeys:
    """Signing key, pepper of API keys, and key of blob names.

    Args:
        folder: Where they lie; created with mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self._finish_rotation()
        self._signing = Ed25519PrivateKey.from_private_bytes(read_secret(folder / SIGNING))
        self.pepper = read_secret(folder / "pepper.key")
        self.blob_key = read_secret(folder / "blobs.key")

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
        old, new = self._signing, Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(_SEED_BYTES))
        rotation = Rotation(verifier_key(deployment, _public(old)), verifier_key(deployment, _public(new)))
        statement = sign_rotation(rotation, old.sign, new.sign)
        _write(self._folder / NEXT, new.private_bytes_raw())
        _write(self._folder / ROTATIONS, (self.rotations + statement).encode())
        self._finish_rotation()
        self._signing = new
        return rotation

    def _finish_rotation(self) -> None:
        """Let the next key take its place if its statement is there; without one it was never announced."""
        path = self._folder / NEXT
        if not path.is_file():
            return
        public = _public(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
        last = [open_rotation(note).new for note in notes_in(self.rotations)][-1:]
        if any(parse_verifier_key(vkey).public == public for vkey in last):
            path.replace(self._folder / SIGNING)
            sync_folder(self._folder)
        else:
            path.unlink()


def rotate_signing_key(settings: Settings) -> Rotation:
    """Rotate the signing key of a data directory that no server holds; the next start signs with the new one.

    Raises:
        DataDirInUse: A server holds it.
    """
    make_folder(settings.shared_folder)
    lock = DirectoryLock(settings.shared_folder)
    try:
        return DeploymentKeys(settings.shared_folder / "keys").rotate(settings.deployment)
    finally:
        lock.release()


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def read_secret(path: Path) -> bytes:
    """Read a secret, or make one; of several processes that make it at once one does, and all read that."""
    if not path.is_file():
        aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        _fill(aside, secrets.token_bytes(_SEED_BYTES))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
        sync_folder(path.parent)
    return path.read_bytes()


def _write(path: Path, body: bytes) -> None:
    """Write a file whole or not at all: aside, synced, and renamed."""
    aside = path.with_suffix(".new")
    _fill(aside, body)
    aside.replace(path)
    sync_folder(path.parent)


def _fill(path: Path, body: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, body)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
