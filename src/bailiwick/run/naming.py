"""Names of step instances: which node they come from, what they stand in, and which of them a reference means."""

from functools import lru_cache

from bailiwick.plan import UNDO, Node, Plan
from bailiwick.run.path import REMEMBERED, Level, Path, path_of
from bailiwick.run.state import Run


@lru_cache(maxsize=REMEMBERED)
def node_id(instance: str) -> str:
    """Name the plan's node that an instance came from; `poll~undo` is that of `poll[2]~undo`."""
    return path_of(instance).node


def is_undo(instance: str) -> bool:
    """Whether the instance is a compensation: `build[1].code~undo` undoes `build[1].code`."""
    return instance.endswith(UNDO)


def undone_by(instance: str) -> str:
    """Name the instance that a compensation undoes."""
    return instance.removesuffix(UNDO)


@lru_cache(maxsize=REMEMBERED)
def is_turn(instance: str) -> bool:
    """Whether the instance is one turn of a repeated single step (`poll[3]`)."""
    path = path_of(instance)
    return path.last.numbered and not path.undo


@lru_cache(maxsize=REMEMBERED)
def is_top(instance: str) -> bool:
    """Whether the instance stands on the plan's top level, where a failure is the run's failure."""
    path = path_of(instance)
    return len(path.levels) == 1 and not path.last.numbered


@lru_cache(maxsize=REMEMBERED)
def parent_of(instance: str) -> str:
    """Name the block or repeat that an instance stands directly in; "" on the top level."""
    around = path_of(instance).around
    return around.name if around is not None else ""


def current_instance(run: Run, plan: Plan, target: str, seen_from: str) -> str:
    """Name the instance of a node that a reference means: in the turn of the reader, else in the last turn."""
    reader = path_of(seen_from).levels
    levels: tuple[Level, ...] = ()
    for block in reversed(plan.ancestors(target)):
        levels = (*levels, _entered(run, levels, block, reader))
    node = plan.node(target)
    own = _turn_of(reader, levels, node.id)
    if own is not None:
        return Path((*levels, own if node.uses else Level(node.id))).name
    return last_turn(run, node, Path((*levels, Level(node.id))).name)


def last_turn(run: Run, node: Node, name: str) -> str:
    """Name the instance that holds a step's output: the last turn of a repeated single step, else itself."""
    step = run.steps.get(name)
    if node.repeat is None or not node.uses or step is None or not step.iteration:
        return name
    return path_of(name).at(step.iteration).name


def _entered(run: Run, outer: tuple[Level, ...], node: Node, reader: tuple[Level, ...]) -> Level:
    """Say in which turn of a block a node is meant: in the reader's own, else in the last one."""
    if node.repeat is None:
        return Level(node.id)
    own = _turn_of(reader, outer, node.id)
    if own is not None:
        return own
    step = run.steps.get(Path((*outer, Level(node.id))).name)
    return Level(node.id, step.iteration if step else 0)


def _turn_of(reader: tuple[Level, ...], outer: tuple[Level, ...], node: str) -> Level | None:
    """Find the turn of a node that the reader stands in; None when it stands in none."""
    at = len(outer)
    if len(reader) <= at or reader[:at] != outer:
        return None
    level = reader[at]
    return level if level.node == node and level.turn is not None else None


def previous_turn(instance: str) -> Path | None:
    """Name the turn before the reader's innermost one, of all blocks around it; None in the first, or in no loop."""
    around = path_of(instance).levels[:-1]
    while around and around[-1].turn is None:
        around = around[:-1]
    if not around or around[-1].turn is None or around[-1].turn <= 1:
        return None
    return Path(around).at(around[-1].turn - 1)
