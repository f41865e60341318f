"""The patch parser: reads the dialect that `patch` writes, and git's own of it, or refuses the place."""

import re

from bailiwick.base import Category, Refusal
from bailiwick.tools.differ import split_lines
from bailiwick.tools.patch import MODES, NO_NEWLINE, FilePatch, Hunk, is_text
from bailiwick.tools.paths import BadPath, check_layout, check_path
from bailiwick.tools.quoting import unquote_path

MAX_PATCH_BYTES = 8_388_608
MAX_PATCH_FILES = 1_000
_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: [^\n]*)?\n\Z")
_INDEX = re.compile(rb"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: 100(?:644|755))?\n\Z")
_MODE = re.compile(rb"(new|deleted) file mode (\d{6})\n\Z")
_FORBIDDEN = {
    b"rename ": "it renames a file",
    b"copy ": "it copies a file",
    b"similarity ": "it renames or copies a file",
    b"dissimilarity ": "it rewrites a file as a rename would",
    b"old mode ": "it changes the mode of a file",
    b"new mode ": "it changes the mode of a file",
    b"GIT binary ": "it changes a binary file",
    b"Binary files ": "it changes a binary file",
}


class BadPatch(Refusal, code="bad_patch", category=Category.INVALID):
    """A text is not a patch of the dialect that is applied."""

    reason: str
    line: int
    says = "the patch is refused at line {line}: {reason}"
    remedy = "make the patch with git.diff: text files only; no renames, modes, links, submodules or binaries"


def parse_patch(body: bytes) -> list[FilePatch]:
    """Read a patch: at least one file, each once, every path safe, every count right, nothing left over.

    Raises:
        BadPatch: Anything else.
    """
    if len(body) > MAX_PATCH_BYTES:
        raise BadPatch(f"it is larger than {MAX_PATCH_BYTES} bytes", line=0)
    if not is_text(body):
        raise BadPatch("it is not UTF-8 text without NUL", line=0)
    reader = _Reader(split_lines(body))
    files: list[FilePatch] = []
    while reader.peek():
        files.append(_read_file(reader))
        if len(files) > MAX_PATCH_FILES:
            raise reader.refuse(f"it changes more than {MAX_PATCH_FILES} files")
    paths = [file.path for file in files]
    if not files or len(set(paths)) != len(paths):
        raise reader.refuse("it changes no file, or one file twice")
    try:
        check_layout(file.path for file in files if file.new_mode)
    except BadPath as refusal:
        raise reader.refuse(refusal.message) from refusal
    return files


class _Reader:
    """The lines of a patch and the place in them."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._at = 0

    def peek(self) -> bytes:
        return self._lines[self._at] if self._at < len(self._lines) else b""

    def take(self) -> bytes:
        line = self.peek()
        if not line.endswith(b"\n"):
            raise self.refuse("it ends in the middle")
        self._at += 1
        return line

    def refuse(self, reason: str) -> BadPatch:
        return BadPatch(reason, line=self._at + 1)


def _read_file(reader: _Reader) -> FilePatch:
    path = _read_name(reader)
    old_mode: str | None = MODES[0]
    new_mode: str | None = MODES[0]
    mode = _MODE.match(reader.peek())
    if mode:
        if mode[2].decode() not in MODES:
            raise reader.refuse(f"the mode {mode[2].decode()} is a link, a submodule or unknown")
        old_mode, new_mode = (None, mode[2].decode()) if mode[1] == b"new" else (mode[2].decode(), None)
        reader.take()
    for start, reason in _FORBIDDEN.items():
        if reader.peek().startswith(start):
            raise reader.refuse(reason)
    if _INDEX.match(reader.peek()):
        reader.take()
    hunks = _read_hunks(reader, path, old_mode, new_mode) if reader.peek().startswith(b"--- ") else ()
    if not mode and not hunks:
        raise reader.refuse("it does not say what changes")
    return FilePatch(path, old_mode, new_mode, hunks)


def _read_name(reader: _Reader) -> str:
    """Read the `diff --git` line: the same path twice, so its middle is where the names meet."""
    line = reader.peek()
    rest = line.removeprefix(b"diff --git ").removesuffix(b"\n")
    middle = len(rest) // 2
    old, new = unquote_path(rest[:middle]), unquote_path(rest[middle + 1 :])
    if (
        not line.startswith(b"diff --git ")
        or rest[middle : middle + 1] != b" "
        or old is None
        or new is None
        or not old.startswith("a/")
        or not new.startswith("b/")
        or old[2:] != new[2:]
    ):
        raise reader.refuse("expected `diff --git a/PATH b/PATH` with one PATH")
    try:
        path = check_path(new[2:])
    except BadPath as refusal:
        raise reader.refuse(refusal.message) from refusal
    reader.take()
    return path


def _read_hunks(reader: _Reader, path: str, old_mode: str | None, new_mode: str | None) -> tuple[Hunk, ...]:
    for start, name in (
        (b"--- ", f"a/{path}" if old_mode else "/dev/null"),
        (b"+++ ", f"b/{path}" if new_mode else "/dev/null"),
    ):
        text = reader.peek().removesuffix(b"\n").removeprefix(start).removesuffix(b"\t")
        if not reader.peek().startswith(start) or unquote_path(text) != name:
            raise reader.refuse(f"expected `{start.decode()}` with the name {name!r}")
        reader.take()
    hunks: list[Hunk] = []
    while reader.peek().startswith(b"@@"):
        hunks.append(_read_hunk(reader))
    if not hunks:
        raise reader.refuse("expected a hunk")
    return tuple(hunks)


def _read_hunk(reader: _Reader) -> Hunk:
    header = _HUNK.match(reader.peek())
    if not header:
        raise reader.refuse("the hunk's header is malformed")
    old_start, old_count = _range(reader, header[1], header[2])
    new_start, new_count = _range(reader, header[3], header[4])
    reader.take()
    lines: list[tuple[bytes, bytes]] = []
    while old_count or new_count:
        line = reader.take()
        mark, text = line[:1], line[1:]
        if mark not in (b" ", b"-", b"+"):
            raise reader.refuse("a line of a hunk starts with neither blank, - nor +")
        old_count -= mark != b"+"
        new_count -= mark != b"-"
        if old_count < 0 or new_count < 0:
            raise reader.refuse("a hunk holds more lines than its header says")
        if reader.peek() == NO_NEWLINE:
            reader.take()
            text = text[:-1]
            if not text:
                raise reader.refuse("an empty line has no ending")
        lines.append((mark, text))
    if all(mark == b" " for mark, _ in lines):
        raise reader.refuse("a hunk changes nothing")
    return Hunk(old_start, new_start, tuple(lines))


def _range(reader: _Reader, start: bytes, count: bytes | None) -> tuple[int, int]:
    """Read a range as (index of its first line from 0, count); an empty one names the line before it."""
    lines = 1 if count is None else int(count)
    if lines and not int(start):
        raise reader.refuse("a hunk starts before the first line")
    return (int(start) - 1 if lines else int(start)), lines
