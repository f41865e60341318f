"""The deployment's own keys: made at first start, readable by the owner alone, kept beside the data."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bailiwick.service import Signer

_SEED_BYTES = 32


class DeploymentKeys:
    """Signing key, pepper of API keys, and key of blob names.

    Args:
        folder: Where they lie; created with mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._signing = Ed25519PrivateKey.from_private_bytes(_secret(folder / "signing.key"))
        self.pepper = _secret(folder / "pepper.key")
        self.blob_key = _secret(folder / "blobs.key")

    def signer(self, deployment: str) -> Signer:
        """Offer the signing key under the deployment's name."""
        public = self._signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Signer(deployment, public, self._signing.sign)


def _secret(path: Path) -> bytes:
    """Read a secret, or make one; a half-written one cannot stay: it is written aside and renamed."""
    if path.is_file():
        return path.read_bytes()
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_SEED_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside.replace(path)
    return path.read_bytes()
