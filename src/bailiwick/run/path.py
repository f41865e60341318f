"""Paths: the name of a step instance as data, one level for each block around it; one parser, one printer."""

import re
from functools import lru_cache

import msgspec

from bailiwick.plan import UNDO

REMEMBERED = 4_096
_NUMBER = r"0|[1-9][0-9]{0,17}"
_LEVEL = re.compile(rf"([^.\[\]{{}}~]+)(?:\[({_NUMBER})\]|\{{({_NUMBER})\}})?\Z")


class Level(msgspec.Struct, frozen=True):
    """A node in a turn of its loop (`turn`, from 1), or for an item of its list (`item`, from 0), or once."""

    node: str
    turn: int | None = None
    item: int | None = None

    @property
    def name(self) -> str:
        """Print it: `build`, `build[2]`, `research{3}`."""
        if self.turn is not None:
            return f"{self.node}[{self.turn}]"
        return self.node if self.item is None else f"{self.node}{{{self.item}}}"

    @property
    def numbered(self) -> bool:
        """Whether it is one of several: a turn or an item."""
        return self.turn is not None or self.item is not None


class Path(msgspec.Struct, frozen=True):
    """A step instance: `build[2].test` is the step `test` in the second turn of `build`.

    With `undo` it is the compensation of the instance at this place, `build[2].test~undo`.
    """

    levels: tuple[Level, ...]
    undo: bool = False

    @property
    def name(self) -> str:
        """Print it; the same bytes that it was parsed from."""
        return ".".join(level.name for level in self.levels) + (UNDO if self.undo else "")

    @property
    def last(self) -> Level:
        """The innermost level."""
        return self.levels[-1]

    @property
    def node(self) -> str:
        """The id of the plan's node that it is an instance of."""
        return self.last.node + (UNDO if self.undo else "")

    @property
    def around(self) -> "Path | None":
        """The block or loop that it stands directly in; None on the top level."""
        if self.last.numbered and not self.undo:
            return Path((*self.levels[:-1], Level(self.last.node)))
        if len(self.levels) == 1:
            return None
        return Path((*self.levels[:-2], Level(self.levels[-2].node)))

    def inside(self, outer: "Path") -> bool:
        """Whether it stands in a block, a loop, or one of its turns, however deep; never in itself."""
        depth = len(outer.levels)
        if len(self.levels) < depth or self.levels[: depth - 1] != outer.levels[:-1]:
            return False
        mine = self.levels[depth - 1]
        if mine == outer.last:
            return len(self.levels) > depth
        return not outer.last.numbered and mine.node == outer.last.node

    @property
    def unnumbered(self) -> "Path":
        """The loop or list that it is a turn or an item of; itself where it is neither."""
        return self.sibling(self.last.node)

    def sibling(self, node: str) -> "Path":
        """Name the instance of another node beside it."""
        return Path((*self.levels[:-1], Level(node)))

    def child(self, node: str) -> "Path":
        """Name the instance of a node that stands directly in it."""
        return Path((*self.levels, Level(node)))

    def at(self, turn: int) -> "Path":
        """Name one of its turns."""
        return Path((*self.levels[:-1], Level(self.last.node, turn)))


@lru_cache(maxsize=REMEMBERED)
def path_of(name: str) -> Path:
    """Read a name; what no plan could have named is one level as it stands, so that every name is printed back."""
    forward = name.removesuffix(UNDO)
    found = [_LEVEL.match(part) for part in forward.split(".")]
    levels = tuple(Level(each[1], _number(each[2]), _number(each[3])) for each in found if each is not None)
    path = Path(levels, undo=forward != name)
    return path if len(levels) == len(found) else Path((Level(name),))


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)
