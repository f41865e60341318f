"""Lines of work: a workspace belongs to a line, and what changes it builds on the newest tree of that line."""

from bailiwick.run.state import Call, Run, Step


def line_of(run: Run, step: Step) -> str:
    """Name the line that a step works on."""
    return ""


def tree_of(run: Run, step: Step) -> str:
    """Name the tree that a step's line has come to; "" for a workspace without files."""
    return run.tree


def outdated(run: Run, step: Step, call: Call) -> bool:
    """Whether the line went on since a call was dispatched, so that its tree would undo what others wrote."""
    return call.base is not None and call.base != tree_of(run, step)
