"""The line differ: which lines of one text became which lines of another, in bounded time (Myers, O(ND))."""

from array import array
from collections.abc import Sequence

import msgspec

MAX_EDITS = 1_000
MAX_STEPS = 4_000_000


class Change(msgspec.Struct, frozen=True):
    """Lines [old_start, old_end) were replaced by [new_start, new_end); counted from 0, ends excluded."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def split_lines(body: bytes) -> list[bytes]:
    """Split at line feeds only, each line with its ending: a lone carriage return is content."""
    lines = body.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def changes(old: Sequence[bytes], new: Sequence[bytes]) -> list[Change]:
    """List the changes from `old` to `new`, in order, with at least one common line between two of them.

    The shortest edit script is found as long as it has at most MAX_EDITS edits and costs at most MAX_STEPS
    comparisons; beyond that, everything between the common head and tail counts as one change.
    """
    head = 0
    shorter = min(len(old), len(new))
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    numbers: dict[bytes, int] = {}
    left = [numbers.setdefault(line, len(numbers)) for line in old[head : len(old) - tail]]
    right = [numbers.setdefault(line, len(numbers)) for line in new[head : len(new) - tail]]
    found: list[Change] = []
    at_old = at_new = 0
    for match_old, match_new in [*_common(left, right), (len(left), len(right))]:
        if match_old > at_old or match_new > at_new:
            found.append(Change(head + at_old, head + match_old, head + at_new, head + match_new))
        at_old, at_new = match_old + 1, match_new + 1
    return found


def _common(old: list[int], new: list[int]) -> list[tuple[int, int]]:
    """Pair the lines that stay, as (index in old, index in new), rising; none when it would cost too much."""
    if not old or not new:
        return []
    most = min(len(old) + len(new), MAX_EDITS)
    furthest = array("i", bytes(4 * (2 * most + 3)))  # by diagonal; negative ones count from the end
    trail: list[array[int]] = []
    steps = 0
    for edits in range(most + 1):
        trail.append(furthest[: edits + 2] + furthest[-edits - 1 :])
        for diagonal in range(-edits, edits + 1, 2):
            start = x = _entry(furthest, diagonal, edits)
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x += 1
                y += 1
            furthest[diagonal] = x
            steps += 1 + x - start
            if x >= len(old) and y >= len(new):
                return _walk_back(trail, len(old), len(new))
        if steps > MAX_STEPS:
            break
    return []


def _by_insertion(furthest: "array[int]", diagonal: int, edits: int) -> bool:
    """Say whether the furthest path comes onto a diagonal by an insertion (else by a deletion)."""
    return diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])


def _entry(furthest: "array[int]", diagonal: int, edits: int) -> int:
    if _by_insertion(furthest, diagonal, edits):
        return furthest[diagonal + 1]
    return furthest[diagonal - 1] + 1


def _walk_back(trail: "list[array[int]]", x: int, y: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        diagonal = x - y
        entry = _entry(trail[edits], diagonal, edits)
        while x > entry:
            x -= 1
            y -= 1
            pairs.append((x, y))
        if _by_insertion(trail[edits], diagonal, edits):
            y -= 1
        else:
            x -= 1
    pairs.reverse()
    return pairs
