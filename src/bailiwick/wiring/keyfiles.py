"""Key files: secrets of this deployment that lie beside its data, each in a file of its own, made once."""

import contextlib
import hashlib
import secrets
from pathlib import Path
from typing import Final

from bailiwick.base import Category, Refusal
from bailiwick.stores import sync_folder, write_private

SIGNING: Final = "signing.key"
PEPPER: Final = "pepper.key"
BLOBS: Final = "blobs.key"
KEY_FILES: Final = (SIGNING, PEPPER, BLOBS)
"""The keys of a deployment: of the log's signatures, of the hashes of API keys, of the names of blobs."""

SECRET_BYTES: Final = 32
_DOMAIN: Final = b"bailiwick.fingerprint.v1\0"


class KeyMissing(Refusal, code="key_missing", category=Category.UNAVAILABLE):
    """A key is not there, though the ledger was written with it; another one in its place would break it."""

    def __init__(self, paths: list[Path]) -> None:
        names = ", ".join(str(path) for path in paths)
        super().__init__(
            f"missing: {names}; what is recorded here was written with it",
            remedy=(
                "restore it from the backup of the keys, or copy the folder of keys from another host of this deployment "
                f"(or name the folder that they share with shared_dir); if it is lost for good: {_lost(paths[0])}"
            ),
            files=[str(path) for path in paths],
        )


class KeyUnusable(Refusal, code="key_unusable", category=Category.UNAVAILABLE):
    """A key's file cannot be read, or holds no key."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} holds no key that can be used: {reason}",
            remedy=f"restore it from the backup of the keys; if it is lost for good: {_lost(path)}",
            file=str(path),
            reason=reason,
        )


class KeyWrong(Refusal, code="key_wrong", category=Category.UNAVAILABLE):
    """A key is not the one that the ledger was written with."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is not the key that this ledger was written with: {reason}",
            remedy=(
                "restore it from the backup of the keys, or copy the folder of keys from another host of this deployment "
                f"(or name the folder that they share with shared_dir); if it is lost for good: {_lost(path)}"
            ),
            file=str(path),
            reason=reason,
        )


def read_key(path: Path) -> bytes:
    """Read a key.

    Raises:
        KeyMissing: There is no such file.
        KeyUnusable: It cannot be read, or has another length than a key.
    """
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise KeyMissing([path]) from None
    except OSError as error:
        raise KeyUnusable(path, error.strerror or str(error)) from error
    if len(body) != SECRET_BYTES:
        raise KeyUnusable(path, f"it has {len(body)} bytes, a key has {SECRET_BYTES}")
    return body


def make_key(path: Path) -> None:
    """Make a key unless it is there; of several processes that make it at once one does, and all have that.

    Its name is synced also if another made it, who may have died before: nothing is ever written under a key that a
    power cut can take away.
    """
    if not path.exists():
        aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        write_private(aside, secrets.token_bytes(SECRET_BYTES))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    sync_folder(path.parent)


def fingerprint(name: str, secret: bytes) -> str:
    """Hash a key under its name: it tells nothing of the key, and one key under two names has two of them."""
    return hashlib.sha256(_DOMAIN + name.encode() + b"\0" + secret).hexdigest()


def _lost(path: Path) -> str:
    if path.name in KEY_FILES:
        return f"bailiwick audit replace-lost-key {path.name} --reason TEXT"
    return "begin another witness in an empty folder, and tell its key to those who trusted this one"
