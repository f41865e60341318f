"""Power cuts: a recorded trace of all that was written is replayed to a moment, and what was not synced is in doubt.

The model is strict: the content of a file is durable when the file was synced, a name when the folder that
holds it was. Everything since is kept, dropped, or torn at sectors of 512 bytes, each by a seeded throw.
"""

import codecs
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SECTOR = 512
TRACED = (
    "openat,?open,?creat,write,pwrite64,?pwritev,?writev,fsync,fdatasync,ftruncate,?rename,?renameat,?renameat2,"
    "?link,?linkat,?mkdir,?mkdirat,?unlink,?unlinkat,sendto"
)
STRACE = ("-y", "-xx", "-s", "1000000", "-e", f"trace={TRACED}", "-e", "signal=none")


class Act(NamedTuple):
    """One thing that a process did: `kind`, the path or paths, and for writes offset (-1: at the end) and bytes."""

    kind: str
    path: str
    other: str = ""
    at: int = -1
    body: bytes = b""


_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
_STARTED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_FD = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def read_trace(log: Path, folder: Path) -> list[Act]:
    """Read what happened below a folder, and what was said, in the order in which the calls came back."""
    acts: list[Act] = []
    begun: dict[str, str] = {}
    for line in log.read_text().splitlines():
        if (started := _STARTED.match(line)) is not None:
            begun[started[1]] = started[2]
            continue
        whole = line
        if (resumed := _RESUMED.match(line)) is not None:
            whole = f"{resumed[1]} {begun.pop(resumed[1])}{resumed[2]}"
        found = _LINE.match(whole)
        if found is not None and int(found[4]) >= 0:
            act = _act(found[2], found[3], int(found[4]))
            if act is not None and (act.kind == "said" or act.path.startswith(str(folder))):
                acts.append(act)
    return acts


def _act(call: str, given: str, result: int) -> Act | None:
    texts = [_bytes(text) for text in _TEXT.findall(given)]
    opened = _FD.match(given)
    path = _path(opened[1]) if opened is not None else ""
    names = [text.decode("utf-8", "replace") for text in texts]
    match call:
        case "sendto":
            return Act("said", "", body=texts[0]) if texts and texts[0].startswith(b"{") else None
        case "pwrite64":
            return Act("write", path, at=int(given.rsplit(",", 1)[1]), body=texts[0][:result])
        case "write":
            return Act("write", path, body=texts[0][:result] if texts else b"")
        case "fsync" | "fdatasync":
            return Act("sync", path)
        case "ftruncate":
            return Act("truncate", path, at=int(given.rsplit(",", 1)[1]))
        case "rename" | "renameat" | "renameat2":
            return Act("rename", names[0], names[1])
        case "link" | "linkat":
            return Act("link", names[0], names[1])
        case "mkdir" | "mkdirat":
            return Act("mkdir", names[0])
        case "unlink" | "unlinkat":
            return Act("unlink", names[0])
        case "openat" | "open" | "creat" if "O_CREAT" in given:
            return Act("create", names[0])
        case "pwritev" | "writev":
            raise AssertionError(f"the model does not know {call}")
        case _:
            return None


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _path(text: str) -> str:
    return codecs.decode(text, "unicode_escape") if "\\x" in text else text


class _File:
    """A file: what is durable of it, and the writes and truncations since its last sync."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.now = bytearray()
        self.pending: list[tuple[int, bytes]] = []

    def write(self, at: int, body: bytes) -> None:
        at = len(self.now) if at < 0 else at
        _put(self.now, at, body)
        self.pending.append((at, body))

    def truncate(self, size: int) -> None:
        _cut(self.now, size)
        self.pending.append((size, b""))

    def sync(self) -> None:
        self.durable = bytearray(self.now)
        self.pending.clear()

    def cut(self, chance: random.Random) -> bytes:
        """Throw for each write since the last sync: kept, dropped or torn."""
        body = bytearray(self.durable)
        mood = chance.random()
        for at, part in self.pending:
            fate = chance.random()
            if mood < 0.15 or (mood >= 0.3 and fate < 0.4):
                continue
            if not part:
                _cut(body, at)
            elif mood < 0.3 or fate < 0.7:
                _put(body, at, part)
            else:
                _tear(body, at, part, chance)
        return bytes(body)


def _put(body: bytearray, at: int, part: bytes) -> None:
    if len(body) < at:
        body.extend(bytes(at - len(body)))
    body[at : at + len(part)] = part


def _cut(body: bytearray, size: int) -> None:
    del body[size:]
    body.extend(bytes(size - len(body)))


def _tear(body: bytearray, at: int, part: bytes, chance: random.Random) -> None:
    start = at
    while start < at + len(part):
        end = min((start // SECTOR + 1) * SECTOR, at + len(part))
        if chance.random() < 0.5:
            _put(body, start, part[start - at : end - at])
        start = end


class Disk:
    """A disk below one folder: durable names, names now, and the changes of names that no sync has covered."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._now: dict[str, _File | None] = {self._root: None}
        self._durable: dict[str, _File | None] = {self._root: None}
        self._doubtful: list[tuple[str, _File | None, bool]] = []

    def apply(self, act: Act) -> None:
        match act.kind:
            case "create":
                if act.path not in self._now:
                    self._name(act.path, _File())
            case "mkdir":
                self._name(act.path, None)
            case "unlink":
                self._name(act.path, None, gone=True)
            case "rename":
                file = self._now[act.path]
                self._name(act.other, file)
                self._name(act.path, None, gone=True)
            case "link":
                self._name(act.other, self._now[act.path])
            case "write" | "truncate" | "sync":
                self._inside(act)

    def _inside(self, act: Act) -> None:
        file = self._now.get(act.path)
        if file is None:
            if act.kind == "sync" and act.path in self._now:
                self._sync_names(act.path)
            return
        match act.kind:
            case "write":
                file.write(act.at, act.body)
            case "truncate":
                file.truncate(act.at)
            case _:
                file.sync()

    def _name(self, path: str, file: _File | None, *, gone: bool = False) -> None:
        if gone:
            self._now.pop(path, None)
        else:
            self._now[path] = file
        self._doubtful.append((path, file, gone))

    def _sync_names(self, folder: str) -> None:
        rest = []
        for path, file, gone in self._doubtful:
            if path.rpartition("/")[0] != folder:
                rest.append((path, file, gone))
            else:
                _rename(self._durable, path, file, gone=gone)
        self._doubtful = rest

    def image(self, chance: random.Random, to: Path) -> None:
        """Write what a machine may find after the power came back."""
        names = dict(self._durable)
        mood = chance.random()
        for path, file, gone in self._doubtful:
            if mood < 0.3 or (mood < 0.8 and chance.random() < 0.5):
                _rename(names, path, file, gone=gone)
        to.mkdir()
        for path, file in sorted(names.items()):
            target = to / path[len(self._root) :].lstrip("/")
            if not target.parent.is_dir() or path == self._root:
                continue  # a name in a folder that is not there
            if file is None:
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(file.cut(chance))


def _rename(names: dict[str, _File | None], path: str, file: _File | None, *, gone: bool) -> None:
    if gone:
        names.pop(path, None)
    else:
        names[path] = file


def images(
    acts: list[Act], root: Path, count: int, seed: int
) -> Iterator[tuple[Disk, random.Random, list[dict[str, Any]]]]:
    """Cut the power at `count` moments spread over a trace; yield the disk, its throws, and what was said by then."""
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(1, len(acts) + 1) for _ in range(count))
    disk, said, done = Disk(root), [], 0
    for cut in cuts:
        for act in acts[done:cut]:
            if act.kind == "said":
                said += [json.loads(line) for line in act.body.splitlines()]
            else:
                disk.apply(act)
        done = cut
        yield disk, random.Random(chance.getrandbits(64)), list(said)
