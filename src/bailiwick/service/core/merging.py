"""Merging: reads the workspaces that a decision must merge, and stores what came of it before the decision is."""

import re

import msgspec

from bailiwick.base import Digest
from bailiwick.ports import Blobs
from bailiwick.run import Conflict, Join, Manifest, Merged, manifest_of, merge

_EMPTY = b"[]"
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


async def merged(blobs: Blobs, tenant: str, join: Join) -> Merged:
    """Merge workspaces; the result is stored and synced before any event can name it.

    With one that is not stored any more nothing can be merged: whoever wrote is in conflict, and a person chooses.
    """
    manifests: dict[str, Manifest] = {}
    for tree in join.trees:
        found = await read_tree(blobs, tenant, tree)
        if found is None:
            writers = tuple(sorted(change.step for change in join.changes))
            return Merged(Digest(join.base), (Conflict(f"workspace {tree} is not stored", writers),))
        manifests[tree] = found
    result, body = merge(join, manifests)
    if not result.conflicts:
        await blobs.put(tenant, body)
    return result


async def read_tree(blobs: Blobs, tenant: str, tree: str) -> Manifest | None:
    """Read a stored workspace; None when nothing of this name is stored, or something else."""
    if tree and not _DIGEST.match(tree):
        return None
    body = await blobs.get(tenant, Digest(tree)) if tree else _EMPTY
    try:
        return manifest_of(body) if body is not None else None
    except (msgspec.DecodeError, ValueError):
        return None
