"""The way in: a directory as a tar stream with fixed owners, modes and times, read without following a link."""

import io
import os
import posixpath
import stat
import tarfile
from pathlib import Path

import msgspec

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed

MAX_ENTRIES = 20_000
_MTIME = 1_000_000_000  # a year that no tool finds implausible


class Packed(msgspec.Struct, frozen=True):
    """A tree as tar bytes; `left_out` names what a copy must not carry: links that leave it, devices, pipes."""

    body: bytes
    left_out: tuple[str, ...]


def pack(top: Path, *, limit_bytes: int) -> Packed:
    """Pack a directory; links inside it stay links, nothing outside it is ever opened.

    Raises:
        CallFailed: Not a readable directory, more than `limit_bytes` of content or 20 000 entries
            (category tool-failed, `unsent`).
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        packer = _Packer(archive, limit_bytes)
        try:
            for folder, names, files, fd in os.fwalk(top, onerror=_refuse, follow_symlinks=False):
                names.sort()
                inside = posixpath.relpath(folder, top)
                for name in sorted(names + files):
                    packer.add("" if inside == "." else inside, name, fd)
        except OSError as error:
            raise _too_bad(f"{error.filename}: {error.strerror}") from error
    return Packed(body=buffer.getvalue(), left_out=tuple(packer.left_out))


class _Packer:
    def __init__(self, archive: tarfile.TarFile, limit_bytes: int) -> None:
        self._archive = archive
        self.left_out: list[str] = []
        self._bytes_left = limit_bytes
        self._entries_left = MAX_ENTRIES

    def add(self, inside: str, name: str, folder_fd: int) -> None:
        """Add one entry of an open folder, whatever it is."""
        path = posixpath.join(inside, name)
        found = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        entry = tarfile.TarInfo(path)
        entry.mtime = _MTIME
        self._entries_left -= 1
        if self._entries_left < 0:
            raise _too_bad(f"more than {MAX_ENTRIES} entries")
        if stat.S_ISDIR(found.st_mode):
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            self._archive.addfile(entry)
        elif stat.S_ISLNK(found.st_mode):
            entry.type, entry.mode = tarfile.SYMTYPE, 0o777
            entry.linkname = os.readlink(name, dir_fd=folder_fd)
            if _leaves(inside, entry.linkname):
                self.left_out.append(path)
            else:
                self._archive.addfile(entry)
        elif stat.S_ISREG(found.st_mode):
            self._add_file(entry, name, folder_fd)
        else:
            self.left_out.append(path)

    def _add_file(self, entry: tarfile.TarInfo, name: str, folder_fd: int) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
        with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            found = os.fstat(fd)
            self._bytes_left -= found.st_size
            if self._bytes_left < 0 or not stat.S_ISREG(found.st_mode):
                raise _too_bad(f"too large for the working directory, at {entry.name}")
            entry.size = found.st_size
            entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
            self._archive.addfile(entry, file)


def _leaves(inside: str, target: str) -> bool:
    reached = posixpath.normpath(posixpath.join(inside, target))
    return posixpath.isabs(target) or reached == ".." or reached.startswith("../")


def _refuse(error: OSError) -> None:
    raise error


def _too_bad(why: str) -> CallFailed:
    return CallFailed(
        ErrorCategory.TOOL_FAILED, f"the files cannot be copied into the sandbox: {why}", unsent=True
    )
