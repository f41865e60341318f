"""Checkouts: trees as read-only folders on this machine, which the sandbox copies from; a cache, nothing more."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from bailiwick.base import Digest, digest_of
from bailiwick.tools.patch import MODES
from bailiwick.tools.workspace import File, Workspaces

KEPT = 64
_BATCH_BYTES = 8_388_608


class Checkouts:
    """Keeps at most KEPT folders, named by tenant and tree; the longest unused one goes first.

    A folder appears whole or not at all (built aside, then renamed), and one that an earlier process left is
    compared with its tree before it is handed out.

    Args:
        workspaces: Where the content comes from.
        folder: The cache's own folder; created when it is not there. Only this host may write to it.
    """

    def __init__(self, workspaces: Workspaces, folder: Path) -> None:
        self._workspaces = workspaces
        self._folder = folder
        self._verified: dict[str, None] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob("new-*"):
            _remove(left)

    async def materialise(self, tenant: str, tree: Digest) -> Path:
        """Hand out a read-only folder with the files of a tree.

        Raises:
            NoSuchTree: There is no such tree.
        """
        name = f"{digest_of(tenant.encode())[:16]}-{tree}"
        target = self._folder / name
        if name in self._verified and target.is_dir():
            self._touch(name)
            return target
        files = await self._workspaces.list(tenant, tree)
        if not await asyncio.to_thread(_matches, target, files):
            await self._build(tenant, files, target)
        self._touch(name)
        await asyncio.to_thread(self._evict)
        return target

    async def _build(self, tenant: str, files: tuple[File, ...], target: Path) -> None:
        aside = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="new-", dir=self._folder))
        try:
            batch: list[tuple[File, bytes]] = []
            size = 0
            for file in files:
                batch.append((file, await self._workspaces.content(tenant, file)))
                size += len(batch[-1][1])
                if size > _BATCH_BYTES:
                    await asyncio.to_thread(_write, aside, batch)
                    batch, size = [], 0
            await asyncio.to_thread(_write, aside, batch)
            await asyncio.to_thread(_publish, aside, target, files)
        finally:
            await asyncio.to_thread(_remove, aside)

    def _touch(self, name: str) -> None:
        self._verified.pop(name, None)
        self._verified[name] = None

    def _evict(self) -> None:
        """Remove what an earlier process left and nobody asked for, then what was not used for longest."""
        kept = {path.name for path in self._folder.iterdir() if not path.name.startswith("new-")}
        spare = len(kept) - KEPT
        for name in [*sorted(kept - self._verified.keys()), *list(self._verified)][: max(spare, 0)]:
            self._verified.pop(name, None)
            _remove(self._folder / name)


def _write(root: Path, batch: list[tuple[File, bytes]]) -> None:
    for file, body in batch:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        path.chmod(0o500 if file.mode == MODES[1] else 0o400)


def _publish(aside: Path, target: Path, files: tuple[File, ...]) -> None:
    for folder, _, _ in os.walk(aside):
        Path(folder).chmod(0o500)
    if target.exists():
        if _matches(target, files):  # another call built it meanwhile
            return
        _remove(target)
    try:
        aside.rename(target)
    except OSError:
        if not _matches(target, files):
            raise


def _matches(root: Path, files: tuple[File, ...]) -> bool:
    """Say whether a folder holds exactly these files, by content, mode and kind."""
    if not root.is_dir() or root.is_symlink():
        return False
    found = 0
    for folder, folders, names in os.walk(root):
        if any(Path(folder, name).is_symlink() for name in folders):
            return False
        found += len(names)
    return found == len(files) and all(_same(root / file.path, file) for file in files)


def _same(path: Path, file: File) -> bool:
    try:
        mode = path.lstat().st_mode
        return (
            mode == (0o100500 if file.mode == MODES[1] else 0o100400)
            and hashlib.sha256(path.read_bytes()).hexdigest() == file.digest
        )
    except OSError:
        return False


def _remove(path: Path) -> None:
    """Delete a folder, read-only parts included; nothing when it is not there."""
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
