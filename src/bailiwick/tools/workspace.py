"""Workspaces: a run's working tree as content, named by the digest of its manifest."""

import asyncio
import re
from collections.abc import Iterable, Mapping

import msgspec

from bailiwick.base import Category, Digest, Refusal, Short, canonical
from bailiwick.ports import Blobs
from bailiwick.tools.patch import MODES, compare, render
from bailiwick.tools.paths import BadPath, check_layout, check_path

MAX_FILES = 5_000
MAX_FILE_BYTES = 1_048_576
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class TooMuch(Refusal, code="workspace_limit", category=Category.TOO_LARGE):
    """A tree or a file is larger than a workspace keeps."""

    def __init__(self, what: str, *, size: int, limit: int) -> None:
        super().__init__(
            f"{what}: {size} is over the limit of {limit}",
            remedy=f"keep a tree to {MAX_FILES} files and a file to {MAX_FILE_BYTES} bytes; take a narrower selection",
            size=size,
            limit=limit,
        )


class NoSuchFile(Refusal, code="no_such_file", category=Category.ABSENT):
    """The workspace holds no file of that path."""

    path: str
    says = "there is no file {path!r} in the workspace"
    remedy = "list the files with files.list"


class FileThere(Refusal, code="file_there", category=Category.CONFLICT):
    """A file would be moved to where another one is."""

    path: str
    says = "there is a file {path!r} in the workspace already"
    remedy = "delete it first with files.delete, or choose another path"


class NoSuchTree(Refusal, code="no_such_tree", category=Category.ABSENT):
    """A digest does not name a tree of this tenant, or its content is gone."""

    tree: Short
    reason: str
    says = "{tree} does not name a tree: {reason}"
    remedy = "use a tree that git.snapshot or a call on the workspace has returned"


class File(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entry of a manifest; in the stored form a list [path, mode, digest]."""

    path: str
    mode: str
    digest: Digest


class Workspaces:
    """Reads and writes trees. A tree never changes: a write stores its files, then the tree that names them."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def empty(self, tenant: str) -> Digest:
        """Name the tree without files."""
        return await self.store(tenant, ())

    async def list(self, tenant: str, tree: Digest) -> tuple[File, ...]:
        """List a tree's files, sorted by path.

        Raises:
            NoSuchTree: The digest names nothing, or something that is no manifest.
        """
        body = await self._blobs.get(tenant, tree) if _DIGEST.match(tree) else None
        if body is None:
            raise NoSuchTree(tree, "nothing of this name is stored")
        try:
            files = msgspec.json.decode(body, type=tuple[File, ...])
            _check_files(files)
        except (msgspec.DecodeError, BadPath, TooMuch) as error:
            raise NoSuchTree(tree, "its content is no manifest") from error
        if canonical(msgspec.to_builtins(files)) != body:
            raise NoSuchTree(tree, "its content is not in canonical form")
        return files

    async def read(self, tenant: str, tree: Digest, path: str) -> bytes:
        """Read one file of a tree.

        Raises:
            NoSuchFile: The tree has no such file.
            NoSuchTree: There is no such tree.
        """
        check_path(path)
        for file in await self.list(tenant, tree):
            if file.path == path:
                return await self.content(tenant, file)
        raise NoSuchFile(path)

    async def content(self, tenant: str, file: File) -> bytes:
        """Read the content of an entry that `list` gave."""
        body = await self._blobs.get(tenant, file.digest)
        if body is None:
            raise NoSuchTree(file.digest, f"the content of {file.path!r} is not stored")
        return body

    async def write(self, tenant: str, tree: Digest, edits: Mapping[str, bytes | None]) -> Digest:
        """Store the tree that differs from `tree` by the edits; None deletes a file.

        A file that exists keeps its mode, a new one is not executable.

        Returns:
            The new tree's name; content and manifest are synced.

        Raises:
            BadPath: A path is not one, or runs through a file.
            NoSuchFile: A file to delete is not there.
            TooMuch: A file or the tree would be too large.
        """
        files = {file.path: file for file in await self.list(tenant, tree)}
        for path, body in edits.items():
            check_path(path)
            if body is None:
                if files.pop(path, None) is None:
                    raise NoSuchFile(path)
            else:
                mode = files[path].mode if path in files else MODES[0]
                files[path] = await self.put(tenant, path, mode, body)
        return await self.store(tenant, files.values())

    async def move(self, tenant: str, tree: Digest, path: str, to: str) -> Digest:
        """Store the tree in which a file has another path; its content and mode stay.

        Raises:
            BadPath: A path is not one, or runs through a file.
            NoSuchFile: There is no such file.
            FileThere: There is one under the new path.
        """
        check_path(to)
        files = {file.path: file for file in await self.list(tenant, tree)}
        if to in files:
            raise FileThere(to)
        if path not in files:
            raise NoSuchFile(path)
        file = files.pop(path)
        return await self.store(tenant, [*files.values(), File(to, file.mode, file.digest)])

    async def mark(self, tenant: str, tree: Digest, path: str, *, executable: bool) -> Digest:
        """Store the tree in which a file is executable, or is not.

        Raises:
            NoSuchFile: There is no such file.
        """
        files = {file.path: file for file in await self.list(tenant, tree)}
        if path not in files:
            raise NoSuchFile(path)
        files[path] = File(path, MODES[executable], files[path].digest)
        return await self.store(tenant, files.values())

    async def put(self, tenant: str, path: str, mode: str, body: bytes) -> File:
        """Store the content of one file; it joins a tree by `store`."""
        if len(body) > MAX_FILE_BYTES:
            raise TooMuch(f"the bytes of {path!r}", size=len(body), limit=MAX_FILE_BYTES)
        return File(path, mode, await self._blobs.put(tenant, body))

    async def store(self, tenant: str, files: Iterable[File]) -> Digest:
        """Store the manifest of files whose content is stored already, and name the tree."""
        ordered = tuple(sorted(files, key=lambda file: file.path))
        _check_files(ordered)
        return await self._blobs.put(tenant, canonical(msgspec.to_builtins(ordered)))

    async def diff(self, tenant: str, before: Digest, after: Digest) -> bytes:
        """Write the patch that leads from one tree to another; the same bytes each time, empty when equal.

        Raises:
            NotText: A file that differs is binary.
        """
        old = {file.path: file for file in await self.list(tenant, before)}
        new = {file.path: file for file in await self.list(tenant, after)}
        patches = []
        for path in sorted(old.keys() | new.keys()):
            if old.get(path) == new.get(path):
                continue
            sides = [
                (side[path].mode, await self.content(tenant, side[path])) if path in side else None
                for side in (old, new)
            ]
            # In a thread: a large file may take a second, and others stream meanwhile.
            patches.append(await asyncio.to_thread(compare, path, *sides))
        return await asyncio.to_thread(render, patches)


def _check_files(files: tuple[File, ...]) -> None:
    if len(files) > MAX_FILES:
        raise TooMuch("the number of files", size=len(files), limit=MAX_FILES)
    for index, file in enumerate(files):
        check_path(file.path)
        if file.mode not in MODES or not _DIGEST.match(file.digest):
            raise BadPath(file.path, "its entry has no known mode or no digest")
        if index and files[index - 1].path >= file.path:
            raise BadPath(file.path, "it is not in order, or stands twice")
    check_layout(file.path for file in files)
