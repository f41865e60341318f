"""Joining: with which workspace a step begins, and which one a block, a loop's turn or a run leaves.

A step works on a line of its own. It begins with what its predecessors left; where several of them wrote side by
side, their workspaces are merged, and where that is not possible the joining step is blocked until a person decides.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from bailiwick.contract import ErrorCategory
from bailiwick.plan import Node, Plan
from bailiwick.run.events import Move
from bailiwick.run.merging import Change, Conflict, Join, told
from bailiwick.run.path import Path, path_of
from bailiwick.run.refusals import StillInConflict
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import END, PLAN, Run, Step
from bailiwick.run.states import StepStatus

CONFLICT = "conflict: "
CHOSEN = "a person's choice"


class Joined(msgspec.Struct, frozen=True):
    """A workspace that steps have left: merged from those named in `sources`, or in conflict."""

    tree: str
    sources: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def end_of(step: Step) -> str:
    """Name the tree that a step's line has come to; "" for a workspace without files."""
    return step.tree_after or step.tree_before or ""


class Choice(msgspec.Struct, frozen=True):
    """What a person chose in a conflict: the content of the step `take` wherever it is a party, or a whole `tree`."""

    take: str = ""
    tree: str = ""


def beginning(run: Run, plan: Plan, name: str, sight: Sight, take: str = "") -> Joined:
    """Find the workspace with which a step instance of the plan begins.

    Raises:
        TreesNeeded: Workspaces must be merged first.
    """
    path = path_of(name)
    around = path.around
    outer = run.steps[around.name] if around is not None else None
    if path.last.turn is not None and outer is not None:
        before = run.steps.get(path.at(path.last.turn - 1).name)
        return Joined(end_of(before if before is not None else outer))
    base = end_of(outer) if outer is not None else _begun(run)
    node = plan.node(path.node)
    return _joined(run, plan, base, plan.children(node.parent), path, plan.before(node.id), sight, take)


def ending(
    run: Run, plan: Plan, turn: Path | None, nodes: tuple[Node, ...], sight: Sight, take: str = ""
) -> Joined:
    """Find the workspace that sibling steps leave: those of a block, of a loop's turn, or of the run (None).

    Raises:
        TreesNeeded: Workspaces must be merged first.
    """
    if turn is None:
        base = _begun(run)
    elif not nodes:
        return Joined(end_of(run.steps[turn.name]))
    else:
        base = end_of(run.steps[turn.unnumbered.name])
    inside = turn.child("any") if turn is not None else path_of("any")
    return _joined(run, plan, base, nodes, inside, tuple(node.id for node in nodes), sight, take)


def _begun(run: Run) -> str:
    """Name the tree with which the plan's first steps begin."""
    return end_of(run.steps[PLAN])


def _joined(
    run: Run,
    plan: Plan,
    base: str,
    siblings: tuple[Node, ...],
    beside: Path,
    wanted: tuple[str, ...],
    sight: Sight,
    take: str,
) -> Joined:
    changes: list[Change] = []
    around = beside.sibling("").name
    for node in siblings:
        name = around + node.id
        step = run.steps.get(name) if node.id in wanted else None
        if step is None or (not step.joined and step.tree_after in ("", step.tree_before)):
            continue
        follows = tuple(around + each for each in plan.before(node.id))
        changes.append(Change(name, step.tree_before or "", end_of(step), follows))
    changes.sort(key=lambda change: len(change.follows))
    base, changes = _since_all_agreed(base, changes)
    if not changes:
        return Joined(base)
    known = tuple(sorted(change.step for change in changes))
    join = Join(base, tuple(_among(each, known) for each in changes), take)
    merged = sight.merged(join)
    return Joined(merged.tree, known, merged.conflicts)


def _among(change: Change, known: tuple[str, ...]) -> Change:
    return replace(change, follows=tuple(name for name in change.follows if name in known))


def _since_all_agreed(base: str, changes: Sequence[Change]) -> tuple[str, list[Change]]:
    """Leave out what nobody ran beside: its end is what all that came after it began with."""
    for at in range(len(changes) - 1, -1, -1):
        change = changes[at]
        alone = all(
            other is change or other.step in change.follows or change.step in other.follows
            for other in changes
        )
        if alone:
            return change.after, [other for other in changes if change.step in other.follows]
    return base, list(changes)


def begun(run: Run, plan: Plan, move: Move, sight: Sight, choice: Choice | None = None) -> Move:
    """Let a step that is about to begin do so with its workspace; in a conflict it is blocked instead.

    Args:
        run: The state.
        plan: Its plan.
        move: The step's move: ready, or running for a block or loop.
        sight: Where merged workspaces are found.
        choice: What a person chose where its predecessors are in conflict.
    """
    step = run.steps.get(move.step)
    fresh = step is None or step.tree_before is None
    if not run.lines or not fresh or path_of(move.step).undo or move.to not in _BEGINS:
        return move
    if choice is not None:
        tree = choice.tree or settled(run, move.step, beginning(run, plan, move.step, sight, choice.take))
        return replace(move, tree=tree, merged=(CHOSEN,))
    joined = beginning(run, plan, move.step, sight)
    if joined.conflicts:
        return in_conflict(run, Move(move.step, StepStatus.BLOCKED, when=move.when), joined)
    return replace(move, tree=None if joined.tree == run.tree else joined.tree, merged=joined.sources)


_BEGINS = (StepStatus.READY, StepStatus.RUNNING)


def settled(run: Run, step: str, joined: Joined) -> str:
    """Name the workspace in which a choice has settled every conflict.

    Raises:
        StillInConflict: It has not: the step that is taken is no party to some of them.
    """
    if joined.conflicts:
        raise StillInConflict(run=run.id, step=step, left=told(joined.conflicts))
    return joined.tree


def in_conflict(run: Run, move: Move, joined: Joined) -> Move:
    """Block a joining step: which paths, who wrote them, and what a person can do."""
    reason = (
        f"{CONFLICT}steps that ran side by side left different contents: {told(joined.conflicts)}; "
        f"choose: bailiwick runs resolve {run.id} '{move.step}' --take STEP, or --tree DIGEST"
    )
    return replace(
        move,
        to=StepStatus.BLOCKED,
        category=ErrorCategory.CONFLICT,
        reason=reason,
        merged=joined.sources,
        standing=Standing(StandingKind.CONFLICT),
    )


def run_end(run: Run, plan: Plan, sight: Sight, choice: Choice | None = None) -> Move:
    """Join what the last steps of the plan left, as the run's workspace; `choice` is a person's in their conflict."""
    take = choice.take if choice is not None else ""
    if choice is not None and choice.tree:
        return Move(END, StepStatus.SUCCEEDED, tree=choice.tree, merged=(CHOSEN,))
    joined = ending(run, plan, None, plan.children(""), sight, take)
    if choice is not None:
        return Move(END, StepStatus.SUCCEEDED, tree=settled(run, END, joined), merged=(CHOSEN,))
    if joined.conflicts:
        return in_conflict(run, Move(END, StepStatus.BLOCKED), joined)
    return Move(END, StepStatus.SUCCEEDED, tree=joined.tree, merged=joined.sources)
