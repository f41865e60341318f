"""Blobs on disk: one file per tenant and content, under a name that another tenant cannot guess."""

import asyncio
import contextlib
import errno
import hmac
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bailiwick.base import Digest, digest_of
from bailiwick.stores.folders import FILE_MODE, FOLDER_MODE, make_folder, sync_folder
from bailiwick.stores.refusals import BlobDamaged, BlobTooLarge, StoreBroken, StoreFull

MAX_BLOB: Final = 256 * 1024 * 1024
"""Bytes that one blob may have unless a deployment says otherwise."""

_UNFINISHED: Final = "unfinished"
_PROBE_BYTES: Final = 65_536
"""What must be storable for a disk to have room: less may fit where nothing that matters does."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class DiskBlobs:
    """Keeps blobs below one directory (a `ports.Blobs`).

    Args:
        root: The directory; made when absent, readable by its owner alone.
        key: At least 16 secret bytes of this deployment; names are hashed under it, so it must not change. Empty: it is
            not known yet, and `unlock` hands it in before the first use.
        owner: This process among those that share the directory; empty when there are no others.
        max_bytes: The size of the largest blob, in bytes.
    """

    def __init__(self, root: Path, key: bytes = b"", *, owner: str = "", max_bytes: int = MAX_BLOB) -> None:
        self._root = root
        self._key = b""
        if key:
            self.unlock(key)
        self._owner = owner
        self._max_bytes = max_bytes
        self._broken = ""
        self._full = ""
        self._stored: dict[str, int] = {}
        self._renaming = threading.Lock()
        make_folder(root / _UNFINISHED)

    def unlock(self, key: bytes) -> None:
        """Hand in the key of the names."""
        if len(key) < 16:
            raise ValueError(f"a blob key has at least 16 bytes, not {len(key)}")
        self._key = key

    async def put(self, tenant: str, body: bytes) -> Digest:
        """Store and sync a blob, then name it; a damaged copy of it is replaced.

        Raises:
            BlobTooLarge: More than `max_bytes`; nothing was written.
            StoreFull: The disk is full; nothing was stored, and storing goes on by itself once there is room.
            StoreBroken: The disk failed, now or earlier; only a restart tells what it holds.
        """
        if len(body) > self._max_bytes:
            raise BlobTooLarge(size=len(body), limit=self._max_bytes)
        if self._broken:
            raise StoreBroken(self._broken)
        try:
            digest, written = await asyncio.to_thread(self._put, tenant, body)
        except OSError as error:
            if error.errno in _FULL:
                self._full = str(error)
                raise StoreFull(self._full) from error
            if error.errno == errno.EIO:
                # A sync that failed once may succeed the next time without having written anything.
                self._broken = f"a blob could not be stored: {error}"
                raise StoreBroken(self._broken) from error
            raise
        if self._full and len(body) >= _PROBE_BYTES:
            self._full = ""
        self._add(tenant, written)
        return digest

    @property
    def trouble(self) -> str:
        """Why nothing can be stored, as far as was seen last; empty while it can."""
        return self._broken or self._full

    async def probe(self) -> str:
        """See whether there is room, by storing something and removing it; answer why there is none."""
        if self._broken:
            return self._broken
        try:
            await asyncio.to_thread(self._try)
        except OSError as error:
            if error.errno == errno.EIO:
                self._broken = f"nothing can be stored: {error}"
            self._full = str(error)
        else:
            self._full = ""
        return self.trouble

    def _try(self) -> None:
        unfinished = self._unfinished()
        try:
            self._fill(unfinished, bytes(_PROBE_BYTES))
        finally:
            unfinished.unlink(missing_ok=True)

    async def get(self, tenant: str, digest: Digest) -> bytes | None:
        """Read a blob and check it against its name; None when this tenant has none of that name.

        Raises:
            BlobDamaged: The bytes no longer match the name.
        """
        return await asyncio.to_thread(self._get, tenant, digest)

    async def has(self, tenant: str, digest: Digest) -> bool:
        """Say whether the blob is stored (without reading it)."""
        return await asyncio.to_thread(self._path(tenant, digest).exists)

    async def remove(self, tenant: str, digest: Digest) -> None:
        """Remove a blob and sync that; one that is not there is removed already.

        Raises:
            StoreBroken: The disk failed; the blob may still be there.
        """
        path = self._path(tenant, digest)
        try:
            # On the loop, not on a thread: whoever decided that nothing needs it is still right when it goes.
            size = _size_of(path)
            path.unlink(missing_ok=True)
            self._add(tenant, -size)
            if path.parent.is_dir():
                sync_folder(path.parent)
        except OSError as error:
            raise StoreBroken(f"a blob could not be removed: {error}") from error

    def stored(self, tenant: str) -> int | None:
        """Tell how many bytes of a tenant are stored, by the last count and what was done here since; None before it."""
        return self._stored.get(tenant)

    async def count(self, tenant: str) -> int:
        """Count how many bytes of a tenant are stored."""
        self._stored[tenant] = found = await asyncio.to_thread(_bytes_below, self.space(tenant))
        return found

    def _add(self, tenant: str, size: int) -> None:
        if tenant in self._stored:
            self._stored[tenant] += size

    def sweep(self) -> None:
        """Remove what a crash of this owner left unfinished; what others are writing stays."""
        for leftover in (self._root / _UNFINISHED).glob(f"{self._owner}-*" if self._owner else "*"):
            leftover.unlink()

    def spaces(self) -> list[Path]:
        """List the folders of which each holds one tenant's blobs, under whatever key they were named."""
        return sorted(
            path for path in self._root.iterdir() if path.name != _UNFINISHED and not path.is_symlink()
        )

    def space(self, tenant: str) -> Path:
        """Name the folder of a tenant's blobs under this key."""
        return self._root / self._mac("tenant", tenant)[:32]

    def contents(self, space: Path) -> dict[Digest, Path]:
        """Read a tenant's folder, and find each blob by what it holds."""
        return {digest_of(path.read_bytes()): path for path in sorted(space.glob("*/*"))}

    def rename(self, tenant: str, found: Mapping[Digest, Path]) -> None:
        """Give blobs the names that they have under this key, in the folder of a tenant."""
        for digest, path in found.items():
            target = self._path(tenant, digest)
            if path == target:
                continue
            make_folder(target.parent)
            path.replace(target)
            sync_folder(target.parent)
        for folder in {folder for path in found.values() for folder in (path.parent, path.parent.parent)}:
            with contextlib.suppress(OSError):  # something else is still there
                folder.rmdir()

    def _put(self, tenant: str, body: bytes) -> tuple[Digest, int]:
        """Store a blob; answer its name, and by how many bytes the tenant's have grown."""
        digest = digest_of(body)
        path = self._path(tenant, digest)
        grown = self._write(path, body) if _read(path) != body else 0
        # Also when the file was there: whoever renamed it may have died before these syncs.
        for folder in (path.parent, path.parent.parent, self._root):
            sync_folder(folder)
        return digest, grown

    def _write(self, path: Path, body: bytes) -> int:
        """Write a blob; answer by how many bytes that has grown the tenant's."""
        try:
            path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        except FileNotFoundError:
            path.parent.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        unfinished = self._unfinished()
        try:
            self._fill(unfinished, body)
            with self._renaming:  # of several that write the same blob, one grows
                grown = len(body) - _size_of(path)
                unfinished.replace(path)
            return grown
        finally:
            unfinished.unlink(missing_ok=True)

    def _unfinished(self) -> Path:
        return self._root / _UNFINISHED / f"{self._owner}-{secrets.token_hex(16)}"

    def _fill(self, path: Path, body: bytes) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())

    def _get(self, tenant: str, digest: Digest) -> bytes | None:
        body = _read(self._path(tenant, digest))
        if body is not None and digest_of(body) != digest:
            raise BlobDamaged(digest=digest)
        return body

    def _path(self, tenant: str, digest: str) -> Path:
        name = self._mac("blob", tenant, digest)
        return self.space(tenant) / name[:2] / name

    def _mac(self, *parts: str) -> str:
        if not self._key:
            raise ValueError("the key of blob names was not handed in")
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _bytes_below(folder: Path) -> int:
    """Add up the sizes of all files."""
    return sum(_size_of(path) for path in folder.glob("*/*"))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
