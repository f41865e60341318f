"""The lock of a data directory: one process at a time, and the next one is told who holds it."""

import fcntl
import os
import secrets
from pathlib import Path

from bailiwick.stores.folders import write_private
from bailiwick.stores.refusals import DataDirInUse


class DirectoryLock:
    """Holds a data directory until `release` or the end of the process, however it ends.

    `node` names the directory among those of one deployment; it is the same at every start.

    Raises:
        DataDirInUse: Another process (or this one, earlier) holds it.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._handle, 200).decode("utf-8", "replace").strip()
            os.close(self._handle)
            raise DataDirInUse(path=str(directory), holder=holder or "a process that just starts") from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"process {os.getpid()}\n".encode())
        self.node = _node(directory / "node")

    def release(self) -> None:
        """Let the next process in; a second call does nothing."""
        if self._handle < 0:
            return
        os.ftruncate(self._handle, 0)
        os.close(self._handle)
        self._handle = -1


def _node(path: Path) -> str:
    """Read the directory's name, or give it one; whoever calls holds the lock."""
    if not path.exists():
        write_private(path, secrets.token_hex(6).encode())
    return path.read_text()
