"""Remembering: how far each log was signed, in files beside the keys, where a writer to the database does not reach."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bailiwick.audit import Frontier
from bailiwick.ports import Seen
from bailiwick.stores import make_folder, write_private


class _Kept(msgspec.Struct, frozen=True):
    log: str
    size: int
    root: str
    base_size: int = 0
    base: tuple[str, ...] = ()


class RememberedHeads:
    """Implements `ports.Remembered`: one small file a log, of which a crash may leave an older one.

    A head is stored in the database before it is remembered, so what is remembered is never ahead of a sound one.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self._known = {kept.log: _seen(kept) for kept in map(_read, sorted(folder.glob("*.json"))) if kept}

    def logs(self) -> Sequence[str]:
        """Name the logs that are remembered."""
        return sorted(self._known)

    def read(self, log: str) -> Seen | None:
        """Read what is remembered of a log."""
        return self._known.get(log)

    def keep(self, log: str, seen: Seen) -> None:
        """Remember a log as it was just signed."""
        self._known[log] = seen
        base = tuple(part.hex() for part in seen.base.subtrees)
        kept = _Kept(log, seen.size, seen.root.hex(), seen.base.size, base)
        name = hashlib.sha256(log.encode()).hexdigest()[:32]
        write_private(self._folder / f"{name}.json", msgspec.json.encode(kept), sync=False)


def _read(path: Path) -> _Kept | None:
    """Read a file; None for one that a crash has torn."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None


def _seen(kept: _Kept) -> Seen:
    base = Frontier(kept.base_size, tuple(map(bytes.fromhex, kept.base)))
    return Seen(kept.size, bytes.fromhex(kept.root), base)
