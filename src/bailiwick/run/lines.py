"""Lines of work: a workspace belongs to a line, and what changes it builds on the newest tree of that line."""

from bailiwick.run.state import Call, Run, Step


def line_of(run: Run, step: Step) -> str:
    """Name the line that a step works on; a run from before there were lines has one."""
    return step.name if run.lines else ""


def tree_of(run: Run, step: Step) -> str:
    """Name the tree that a step's line has come to; "" for a workspace without files."""
    if run.lines and step.tree_before is not None:
        return step.tree_after or step.tree_before
    return run.tree


def outdated(run: Run, step: Step, call: Call, tree: str = "") -> bool:
    """Whether the line went on since a call was dispatched, so that its tree would undo what others wrote.

    Of a tree whose base nobody names that is not known; a run from before there were lines has such.
    """
    if call.base is None:
        return run.lines and bool(tree)
    return call.base != tree_of(run, step)
