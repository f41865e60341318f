"""Placing: which leaf each line of an export stands for, and what the event of a damaged one is called."""

import bisect
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from bailiwick.audit.export import Entry, read_entry
from bailiwick.audit.leaf import leaf_hash

ERASED: Final = b"payload.erased"
"""The kind of the event by which a payload's erasure is recorded; its `erased` names the event, `stream.seq`."""

_INDEX: Final = re.compile(rb'"index":(\d{1,18})')
_STREAM: Final = re.compile(rb'\\?"stream\\?":\\?"([^"\\]*)')
_SEQ: Final = re.compile(rb'\\?"seq\\?":(\d{1,18})')
_PREV: Final = re.compile(rb'\\?"prev\\?":\\?"([0-9a-f]{64}|)\\?",')


class Said(msgspec.Struct, frozen=True):
    """What a header says about its event's place: the names that the seal wrote."""

    stream: str
    seq: int
    prev: str
    payload: str | None = None

    @property
    def event(self) -> str:
        """Name the event."""
        return f"{self.stream}.{self.seq}"


class Placed(msgspec.Struct, frozen=True):
    """The lines of an export, sorted by what they are.

    `genuine` hash to the leaf at their index; `altered` state a leaf's index but do not hash to it;
    `broken` holds raw text around an index that no line states properly; `moved` lists indices of
    genuine entries out of order or wrongly numbered; `surplus` entries stand for no leaf, or for one that has its
    entry; `junk` counts broken lines that belong to no index.
    """

    genuine: dict[int, Entry]
    altered: dict[int, Entry]
    broken: dict[int, bytes]
    moved: tuple[int, ...]
    surplus: tuple[Entry, ...]
    junk: int


def read_header(header: bytes) -> Said | None:
    """Read a header's place; None when it is not the JSON that the seal writes."""
    try:
        return msgspec.json.decode(header, type=Said)
    except msgspec.DecodeError:
        return None


class _Erasure(msgspec.Struct, frozen=True):
    kind: str
    erased: str


def erasures(entries: Iterable[Entry]) -> frozenset[str]:
    """Name the events whose payloads were erased by acts that the entries record."""
    found: set[str] = set()
    for entry in entries:
        if ERASED in entry.header:
            with contextlib.suppress(msgspec.DecodeError):
                act = msgspec.json.decode(entry.header, type=_Erasure)
                found.add(act.erased if act.kind == ERASED.decode() else "")
    return frozenset(found)


def unexplained(entries: Sequence[Entry]) -> bool:
    """Whether a payload is gone, or half gone, of which no entry says that it was erased."""
    acts = erasures(entries)
    for entry in entries:
        said = read_header(entry.header) if entry.payload is None else None
        if said is not None and said.payload is not None and (entry.salt or said.event not in acts):
            return True
    return False


def place(body: bytes, leaves: Sequence[bytes | None]) -> Placed:
    """Find the leaf of each line: by its hash first, by the index that it states second."""
    where = {leaf: index for index, leaf in enumerate(leaves) if leaf is not None}
    genuine: dict[int, Entry] = {}
    moved: list[int] = []
    unmatched: list[Entry] = []
    surplus: list[Entry] = []
    last = -1
    entries, groups = _read_lines(body)
    for entry in entries:
        index = where.get(leaf_hash(entry.header))
        if index is None:
            unmatched.append(entry)
        elif index in genuine:
            surplus.append(entry)
        else:
            genuine[index] = entry
            if index < last or entry.index != index:
                moved.append(index)
            last = index
    altered: dict[int, Entry] = {}
    for entry in unmatched:
        if 0 <= entry.index < len(leaves) and entry.index not in genuine and entry.index not in altered:
            altered[entry.index] = entry
        else:
            surplus.append(entry)
    missing = set(range(len(leaves))) - genuine.keys() - altered.keys()
    broken, junk = _place_broken(groups, missing)
    return Placed(genuine, altered, broken, tuple(moved), tuple(surplus), junk)


def _read_lines(body: bytes) -> tuple[list[Entry], list[tuple[int, bytes]]]:
    """Split into entries and groups of neighbouring unreadable lines, each with its first line's number.

    One damaged byte can join two lines or split one; a group keeps the pieces together.
    """
    entries: list[Entry] = []
    groups: list[tuple[int, list[bytes]]] = []
    following = -1
    *lines, rest = body.split(b"\n")
    for number, line in enumerate([*lines, rest] if rest else lines):
        entry = read_entry(line) if number < len(lines) else None
        if entry is not None:
            entries.append(entry)
            continue
        if number == following:
            groups[-1][1].append(line)
        else:
            groups.append((number, [line]))
        following = number + 1
    return entries, [(number, b"\n".join(pieces)) for number, pieces in groups]


def _place_broken(groups: Sequence[tuple[int, bytes]], missing: set[int]) -> tuple[dict[int, bytes], int]:
    broken: dict[int, bytes] = {}
    junk = 0
    for number, raw in groups:
        found = {index: text for index, text in _around_indices(raw) if index in missing}
        if not found and number in missing:
            found = {number: raw}
        broken.update(found)
        junk += not found
    return broken, junk


def _around_indices(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut raw text before each index that it states: the header stands before the index."""
    start = 0
    for match in _INDEX.finditer(raw):
        yield int(match.group(1)), raw[start : match.start()]
        start = match.end()


class Names:
    """What the events are called: from their own headers, or, for damaged ones, from their neighbours'.

    An event's successor in its stream carries the event's leaf hash, so it knows the name that a damaged
    header no longer tells.
    """

    def __init__(self, placed: Placed, leaves: Sequence[bytes | None]) -> None:
        self._placed = placed
        self._leaves = leaves
        self.said = _sayings(placed.genuine)
        self._readable = list(self.said)
        self._by_prev = {said.prev: said for said in self.said.values() if said.prev}
        self._by_leaf = {leaf_of(placed.genuine[index]): said for index, said in self.said.items()}
        self._taken = {said.event for said in self.said.values()}

    def place_of(self, index: int) -> Said | None:
        """Tell the stream and seq of the event at an index, None if nothing tells it."""
        if index in self.said:
            return self.said[index]
        leaf = self._leaves[index]
        entry = self._placed.altered.get(index)
        hashes = [leaf.hex()] if leaf is not None else []
        for known in [*hashes, leaf_of(entry)] if entry else hashes:
            if known in self._by_prev:
                successor = self._by_prev[known]
                return Said(successor.stream, successor.seq - 1, "")
        claim = _claim(entry.header if entry else self._placed.broken.get(index, b""))
        if claim is None:
            return None
        if claim.prev in self._by_leaf:
            before = self._by_leaf[claim.prev]
            after = Said(before.stream, before.seq + 1, claim.prev)
            if after.event not in self._taken:
                return after
        return claim if claim.stream and claim.event not in self._taken else None

    def event(self, index: int) -> str:
        """Name the event at an index, "" if nothing tells its name."""
        said = self.place_of(index)
        return said.event if said else ""

    def neighbours(self, index: int) -> str:
        """Say between which events of the log an index lies."""
        before = bisect.bisect_left(self._readable, index)
        after = bisect.bisect_right(self._readable, index)
        left = self.said[self._readable[before - 1]].event if before else "the start"
        right = self.said[self._readable[after]].event if after < len(self._readable) else "the end"
        return f"between {left} and {right}"


def leaf_of(entry: Entry) -> str:
    """Hash an entry's header to its leaf, in hex."""
    return leaf_hash(entry.header).hex()


def _sayings(genuine: Mapping[int, Entry]) -> dict[int, Said]:
    sayings = ((index, read_header(genuine[index].header)) for index in sorted(genuine))
    return {index: said for index, said in sayings if said is not None}


def _claim(raw: bytes) -> Said | None:
    """Read what can be read of a damaged header, or of the damaged line around it."""
    streams, seqs, prevs = _STREAM.findall(raw), _SEQ.findall(raw), _PREV.findall(raw)
    if not streams or not (seqs or prevs):
        return Said("", 0, prevs[-1].decode()) if prevs and prevs[-1] else None
    prev = prevs[-1].decode() if prevs else "?"
    seq = 1 if prev == "" or not seqs else int(seqs[-1])
    return Said(streams[-1].decode(errors="replace"), seq, prev)
