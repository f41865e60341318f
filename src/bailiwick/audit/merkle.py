"""The Merkle tree of RFC 6962 and RFC 9162: roots, inclusion and consistency proofs, over leaf hashes."""

import hashlib
from collections.abc import Sequence
from typing import Final, Self

import msgspec

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of a log without leaves."""


class Frontier(msgspec.Struct, frozen=True):
    """All that an append-only log needs to grow: the roots of its complete subtrees, largest first.

    `subtrees` holds one hash for each bit set in `size`: at most 64 hashes, however long the log is.
    """

    size: int = 0
    subtrees: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or self.size.bit_count() != len(self.subtrees):
            raise ValueError(f"{len(self.subtrees)} subtrees cannot make a tree of size {self.size}")

    def extend(self, leaves: Sequence[bytes]) -> Self:
        """Append leaf hashes in order; the frontier itself stays as it is."""
        subtrees, size = list(self.subtrees), self.size
        for leaf in leaves:
            joined, below = leaf, size
            while below & 1:
                joined = _node(subtrees.pop(), joined)
                below >>= 1
            subtrees.append(joined)
            size += 1
        return type(self)(size=size, subtrees=tuple(subtrees))

    def root(self) -> bytes:
        """Hash the whole tree to its root."""
        if not self.subtrees:
            return EMPTY_ROOT
        *larger, joined = self.subtrees
        for subtree in reversed(larger):
            joined = _node(subtree, joined)
        return joined


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Hash leaf hashes to the root of their tree, in time linear in their number."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def prove_inclusion(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """List the hashes that lead from one leaf to the root, lowest first; linear in the number of leaves.

    Raises:
        ValueError: There is no leaf at `index`.
    """
    if not 0 <= index < len(leaves):
        raise ValueError(f"a log of size {len(leaves)} has no leaf {index}")
    level, at = list(leaves), index
    path: list[bytes] = []
    while len(level) > 1:
        if at ^ 1 < len(level):
            path.append(level[at ^ 1])
        level, at = _parents(level), at >> 1
    return tuple(path)


def prove_consistency(leaves: Sequence[bytes], earlier: int) -> tuple[bytes, ...]:
    """List the hashes which show that the first `earlier` leaves are a prefix of all of them.

    Empty for `earlier` 0 and for all leaves: there is nothing to show.

    Raises:
        ValueError: `earlier` is negative or larger than the log.
    """
    if not 0 <= earlier <= len(leaves):
        raise ValueError(f"a log of size {len(leaves)} never had size {earlier}")
    if earlier in (0, len(leaves)):
        return ()
    return tuple(_subproof(leaves, earlier, whole=True))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Check that the tree of `size` leaves with this root holds the leaf at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or any(len(step) != HASH_BYTES for step in path):
        return False
    at, last, joined = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            joined = _node(step, joined)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            joined = _node(joined, step)
        at, last = at >> 1, last >> 1
    return last == 0 and joined == root


def verify_consistency(
    earlier: int, earlier_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> bool:
    """Check that the tree of `size` leaves begins with the tree of `earlier` leaves (RFC 9162, 2.1.4.2)."""
    if not 0 <= earlier <= size or any(len(step) != HASH_BYTES for step in path):
        return False
    if earlier == size:
        return not path and earlier_root == root
    if earlier == 0:
        return not path and earlier_root == EMPTY_ROOT
    steps = [earlier_root, *path] if earlier.bit_count() == 1 else list(path)
    if not steps:
        return False
    at, last = earlier - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = _node(step, old), _node(step, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = _node(new, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old == earlier_root and new == root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _parents(level: list[bytes]) -> list[bytes]:
    """Join neighbours; an odd last one moves up as it is, which is RFC 6962's split at a power of two."""
    above = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _subproof(leaves: Sequence[bytes], earlier: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1; `whole`: the verifier already knows the root of the first `earlier`."""
    size = len(leaves)
    if earlier == size:
        return [] if whole else [root_of(leaves)]
    split = 1 << (size - 1).bit_length() - 1
    if earlier <= split:
        return [*_subproof(leaves[:split], earlier, whole=whole), root_of(leaves[split:])]
    return [*_subproof(leaves[split:], earlier - split, whole=False), root_of(leaves[:split])]
