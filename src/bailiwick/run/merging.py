"""Merging: the workspaces of steps that ran side by side become one, path by path, in one pure pass.

What a step wrote is where its end differs from its beginning; a join that decided a path otherwise than its
predecessors left it has written that path too. The last writers of a path are those that nobody who wrote it follows.
Where they agree, their content holds; where they do not, the path is in conflict and nothing is chosen.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bailiwick.base import Digest, canonical, digest_of

MAX_FILES = 5_000
"""Files of one workspace."""

MAX_NAMED = 20
"""Paths that a conflict names; of more, the number is told."""

Content = tuple[str, str]
"""A file's mode and the digest of its bytes."""

Manifest = Mapping[str, Content]
"""A workspace by path."""


class Change(msgspec.Struct, frozen=True):
    """What one step made of its workspace: the tree that it began with, and the one that it left.

    `follows` names the steps of the same join that had ended before it began.
    """

    step: str
    before: str
    after: str
    follows: tuple[str, ...] = ()


class Join(msgspec.Struct, frozen=True):
    """What is to be merged: changes since a tree that all of them go back to; each after those that it follows.

    `take` names the step whose content holds wherever it is a party to a conflict; "" for none.
    """

    base: str
    changes: tuple[Change, ...]
    take: str = ""

    @property
    def trees(self) -> tuple[str, ...]:
        """Name all trees that the merge reads, each once."""
        names = (self.base, *(tree for each in self.changes for tree in (each.before, each.after)))
        return tuple(dict.fromkeys(names))


class Conflict(msgspec.Struct, frozen=True):
    """A path whose last writers ran side by side and left different contents."""

    path: str
    writers: tuple[str, ...]


class Merged(msgspec.Struct, frozen=True):
    """What came of a merge. With conflicts, `tree` holds at each such path what the first writer named left there."""

    tree: Digest
    conflicts: tuple[Conflict, ...] = ()


class TreesNeeded(Exception):
    """`decide` must merge workspaces that were not handed in merged; do it and decide again."""

    def __init__(self, join: Join) -> None:
        super().__init__(f"workspaces {join.trees}")
        self.join = join


def manifest_of(body: bytes) -> dict[str, Content]:
    """Read a stored tree.

    Raises:
        msgspec.DecodeError: It is none.
    """
    files = msgspec.json.decode(body, type=list[tuple[str, str, str]])
    return {path: (mode, digest) for path, mode, digest in files}


def manifest_bytes(manifest: Manifest) -> bytes:
    """Write a tree as it is stored; equal workspaces have equal bytes."""
    return canonical([[path, *manifest[path]] for path in sorted(manifest)])


def merge(join: Join, manifests: Mapping[str, Manifest]) -> tuple[Merged, bytes]:
    """Merge what steps made side by side; the order of those that do not follow each other makes no difference.

    Args:
        join: What is merged.
        manifests: The workspace that each of its trees names.

    Returns:
        The result, and the bytes of its tree.
    """
    base = manifests[join.base]
    found = dict(base)
    conflicts: dict[str, tuple[str, ...]] = {}
    touched: dict[str, tuple[str, ...]] = {}
    for path in _differing(base, (manifests[tree] for tree in join.trees)):
        last = _last_writers(join.changes, path, base.get(path), manifests)
        if not last:
            continue
        touched[path] = tuple(sorted(last))
        chosen = join.take if join.take in last else touched[path][0]
        if len(dict.fromkeys(last.values())) > 1 and chosen != join.take:
            conflicts[path] = touched[path]
        content = last[chosen]
        if content is None:
            found.pop(path, None)
        else:
            found[path] = content
    conflicts |= _misplaced(found, touched, join.take)
    if len(found) > MAX_FILES:
        everybody = tuple(sorted(each.step for each in join.changes))
        conflicts[f"{len(found)} files, over the limit of {MAX_FILES}"] = everybody
    body = manifest_bytes(found)
    named = tuple(Conflict(path, writers) for path, writers in sorted(conflicts.items()))
    return Merged(digest_of(body), named), body


def _differing(base: Manifest, others: Iterable[Manifest]) -> list[str]:
    """List the paths at which any workspace is not as the base."""
    wanted = base.items()
    return sorted(dict.fromkeys(path for other in others for path, _ in wanted ^ other.items()))


def _last_writers(
    changes: Sequence[Change], path: str, base: Content | None, manifests: Mapping[str, Manifest]
) -> dict[str, Content | None]:
    """Find who wrote a path and was followed by nobody who wrote it, with what each left there (None: no file)."""
    follows: dict[str, tuple[str, ...]] = {}
    wrote: dict[str, Content | None] = {}
    for change in changes:
        before, after = manifests[change.before].get(path), manifests[change.after].get(path)
        known = _unfollowed({name: wrote[name] for name in wrote if name in change.follows}, follows)
        given = tuple(known.values()) or (base,)
        if before == after and all(content == before for content in given):
            continue
        wrote[change.step] = after
        follows[change.step] = change.follows
    return _unfollowed(wrote, follows)


def _unfollowed(
    wrote: dict[str, Content | None], follows: Mapping[str, tuple[str, ...]]
) -> dict[str, Content | None]:
    return {
        name: content for name, content in wrote.items() if not any(name in follows[other] for other in wrote)
    }


def _misplaced(
    found: dict[str, Content], touched: Mapping[str, tuple[str, ...]], take: str
) -> dict[str, tuple[str, ...]]:
    """Find files that others took for a folder: whoever wrote the file and whoever wrote below it disagree.

    One of both is taken out of the merged workspace, so that it stays one; the conflict names both sides.
    """
    conflicts: dict[str, tuple[str, ...]] = {}
    for path in sorted(path for path in touched if path in found):
        parts = path.split("/")
        for folder in ("/".join(parts[:length]) for length in range(1, len(parts))):
            if folder not in found or path not in found:
                continue
            below = take in touched[path]
            found.pop(folder if below else path)
            if not below and take not in touched.get(folder, ()):
                writers = (*conflicts.get(folder, ()), *touched.get(folder, ()), *touched[path])
                conflicts[folder] = tuple(sorted(dict.fromkeys(writers)))
    return conflicts


def told(conflicts: Sequence[Conflict]) -> str:
    """Say in words which paths are in conflict, and who wrote them."""
    named = [f"{each.path} ({', '.join(each.writers)})" for each in conflicts[:MAX_NAMED]]
    more = len(conflicts) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")
