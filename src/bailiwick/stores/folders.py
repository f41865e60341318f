"""Folders and files for their owner's eyes alone, whatever the umask; a name is durable once its folder was synced."""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, TextIO

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_OTHERS: Final = 0o077
_OURS: Final = (
    "ledger.db",
    "ledger.db-wal",
    "ledger.db-shm",
    "lock",
    "node",
    "server.json",
    "bailiwick.log",
    "keys",
    "blobs",
    "work",
    "repositories",
)


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone can enter, with those above it; each new name is synced.

    One that is there is left as it is: see `tighten`.
    """
    missing = [] if folder.exists() else [folder]
    while missing and not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for new in reversed(missing):
        new.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_private(path: Path, body: bytes, *, sync: bool = True) -> None:
    """Write a file that its owner alone can read, whole or not at all, and sync it unless an older one will do."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    if sync:
        sync_folder(path.parent)


def open_private(path: Path, mode: Literal["a", "w"]) -> TextIO:
    """Open a text file to write or to append, made when absent; afterwards its owner alone can read it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if mode == "a" else os.O_TRUNC)
    descriptor = os.open(path, flags, FILE_MODE)
    found = os.fstat(descriptor).st_mode
    if stat.S_ISREG(found) and found & _OTHERS:
        os.fchmod(descriptor, FILE_MODE)
    return os.fdopen(descriptor, mode, encoding="utf-8")


def tighten(folder: Path) -> list[Path]:
    """Take from everybody but the owner what they may do with a data directory and all that belongs to it.

    Only what a data directory is made of is looked at: the folder may hold other things of its owner, and one that
    everybody shares (with the sticky bit) stays shared. A folder below `blobs` or `work` that was closed is taken
    to have kept its files from others, so that a start reads no more than the folders there.

    Returns:
        What is open to others and belongs to somebody else, who alone can close it.
    """
    ours = [folder / name for name in _OURS]
    left = [] if not folder.is_dir() or folder.stat().st_mode & stat.S_ISVTX else _closed([folder])
    for path in (*ours, *folder.glob("*.key")):
        if path.is_dir():
            left += _closed(_within(path, every=path.name == "keys"))
        elif path.exists():
            left += _closed([path])
    return left


def _within(top: Path, *, every: bool) -> Iterator[Path]:
    """Walk a folder from above, itself first, without following links; files of closed folders if `every`."""
    folders = [top]
    while folders:
        folder = folders.pop()
        was_open = bool(folder.stat().st_mode & _OTHERS)
        yield folder
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif (every or was_open) and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)


def _closed(paths: Iterable[Path]) -> list[Path]:
    left: list[Path] = []
    for path in paths:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            try:
                path.chmod(mode & ~_OTHERS)
            except PermissionError:
                left.append(path)
    return left
