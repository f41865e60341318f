"""The patch: one strict dialect of git's unified diff, written, read and applied by the same grammar.

What policy reads in a patch, what a person is shown and what lands in the commit come from this one parser,
so nothing can mean one thing here and another thing there. Text files only; no renames, copies, changes of
mode, links or submodules.
"""

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.tools.differ import Change, changes, split_lines
from bailiwick.tools.quoting import quote_path

CONTEXT = 3
MODES = ("100644", "100755")
NO_NEWLINE = b"\\ No newline at end of file\n"


class PatchDoesNotFit(Refusal, code="patch_does_not_fit", category=Category.CONFLICT):
    """A patch is well formed, but the file is not the one it was made from."""

    path: str
    reason: str
    says = "the patch does not fit {path!r}: {reason}"
    remedy = "make the patch again from the base it is to be applied to"


class NotText(Refusal, code="not_text", category=Category.INVALID):
    """A file is not UTF-8 text, so it cannot be shown, edited or compared line by line."""

    path: str
    says = "{path!r} is not UTF-8 text without NUL"
    remedy = "leave binary files as they are; only text files are shown, edited and patched"


class Hunk(msgspec.Struct, frozen=True):
    """One place of change: lines of the old file from `old_start` (index from 0), lines of the new from `new_start`.

    `lines` are (mark, line) with the mark one of b" ", b"-", b"+", each line with its ending, if it has one.
    """

    old_start: int
    new_start: int
    lines: tuple[tuple[bytes, bytes], ...]

    def old(self) -> list[bytes]:
        """List the lines as they were."""
        return [line for mark, line in self.lines if mark != b"+"]

    def new(self) -> list[bytes]:
        """List the lines as they become."""
        return [line for mark, line in self.lines if mark != b"-"]


class FilePatch(msgspec.Struct, frozen=True):
    """The change of one file. A mode of None: there is no such file before (new) or after (deleted)."""

    path: str
    old_mode: str | None
    new_mode: str | None
    hunks: tuple[Hunk, ...]

    def count(self, mark: bytes) -> int:
        """Count the lines with a mark: b"+" or b"-"."""
        return sum(1 for hunk in self.hunks for each, _ in hunk.lines if each == mark)


def compare(path: str, before: tuple[str, bytes] | None, after: tuple[str, bytes] | None) -> FilePatch:
    """Describe how one file changed; each side is (mode, content), or None where there is no file.

    Raises:
        NotText: One of the sides is binary.
    """
    old_body, new_body = (side[1] if side else b"" for side in (before, after))
    if not (is_text(old_body) and is_text(new_body)):
        raise NotText(path)
    old, new = split_lines(old_body), split_lines(new_body)
    hunks = tuple(_hunk(group, old, new) for group in _grouped(changes(old, new)))
    return FilePatch(path, before[0] if before else None, after[0] if after else None, hunks)


def is_text(body: bytes) -> bool:
    """Say whether content is UTF-8 without NUL."""
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


def apply_to(file: FilePatch, body: bytes | None) -> bytes | None:
    """Apply the change of one file exactly: every line at its place, no offset, no fuzz.

    Args:
        file: The change.
        body: The file's content, or None when it does not exist.

    Raises:
        PatchDoesNotFit: The file is not the one the patch was made from.
    """
    if (body is None) != (file.old_mode is None):
        raise PatchDoesNotFit(file.path, "it exists already" if body is not None else "there is no such file")
    old = split_lines(body) if body is not None else []
    new: list[bytes] = []
    at = 0
    for hunk in file.hunks:
        expected = hunk.old()
        if hunk.old_start < at or old[hunk.old_start : hunk.old_start + len(expected)] != expected:
            raise PatchDoesNotFit(file.path, f"line {hunk.old_start + 1} and following are different")
        new += old[at : hunk.old_start]
        if len(new) != hunk.new_start:
            raise PatchDoesNotFit(
                file.path, f"line {hunk.old_start + 1} would not become {hunk.new_start + 1}"
            )
        new += hunk.new()
        at = hunk.old_start + len(expected)
    new += old[at:]
    if any(not line.endswith(b"\n") for line in new[:-1]):
        raise PatchDoesNotFit(file.path, "a line in the middle would have no ending")
    if file.new_mode is None:
        if new:
            raise PatchDoesNotFit(file.path, "it is deleted, but the patch does not remove all of it")
        return None
    return b"".join(new)


def render(files: list[FilePatch]) -> bytes:
    """Write a patch as git would, without index lines; a parse of it gives `files` back."""
    return b"".join(_render_file(file) for file in files)


def _render_file(file: FilePatch) -> bytes:
    old_name, new_name = quote_path("a/" + file.path), quote_path("b/" + file.path)
    parts = [b"diff --git ", old_name, b" ", new_name, b"\n"]
    if file.old_mode is None:
        parts.append(f"new file mode {file.new_mode}\n".encode())
    elif file.new_mode is None:
        parts.append(f"deleted file mode {file.old_mode}\n".encode())
    elif file.old_mode != file.new_mode:
        parts.append(f"old mode {file.old_mode}\nnew mode {file.new_mode}\n".encode())
    if file.hunks:
        # git ends an unquoted name that holds a blank with a tab, so that readers find its end.
        old_end = b"\t\n" if b" " in old_name and not old_name.startswith(b'"') else b"\n"
        new_end = b"\t\n" if b" " in new_name and not new_name.startswith(b'"') else b"\n"
        parts += [b"--- /dev/null\n"] if file.old_mode is None else [b"--- ", old_name, old_end]
        parts += [b"+++ /dev/null\n"] if file.new_mode is None else [b"+++ ", new_name, new_end]
    parts += [_render_hunk(hunk) for hunk in file.hunks]
    return b"".join(parts)


def _render_hunk(hunk: Hunk) -> bytes:
    old = _span(hunk.old_start, len(hunk.old()))
    new = _span(hunk.new_start, len(hunk.new()))
    parts = [f"@@ -{old} +{new} @@\n".encode()]
    for mark, line in hunk.lines:
        parts += [mark, line] if line.endswith(b"\n") else [mark, line, b"\n", NO_NEWLINE]
    return b"".join(parts)


def _span(start: int, count: int) -> str:
    """Write a range as git does: an empty one names the line before it, a single line needs no count."""
    if count == 0:
        return f"{start},0"
    return f"{start + 1}" if count == 1 else f"{start + 1},{count}"


def _grouped(found: list[Change]) -> list[list[Change]]:
    """Put changes together whose context would touch."""
    groups: list[list[Change]] = []
    for change in found:
        if groups and change.old_start - groups[-1][-1].old_end <= 2 * CONTEXT:
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups


def _hunk(group: list[Change], old: list[bytes], new: list[bytes]) -> Hunk:
    lead = min(CONTEXT, group[0].old_start)
    lines: list[tuple[bytes, bytes]] = []
    at = group[0].old_start - lead
    for change in group:
        lines += [(b" ", line) for line in old[at : change.old_start]]
        lines += [(b"-", line) for line in old[change.old_start : change.old_end]]
        lines += [(b"+", line) for line in new[change.new_start : change.new_end]]
        at = change.old_end
    lines += [(b" ", line) for line in old[at : at + CONTEXT]]
    return Hunk(group[0].old_start - lead, group[0].new_start - lead, tuple(lines))
