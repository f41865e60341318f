"""Names of step instances: `build[2].test` is the step `test` in the second turn of the repeat `build`."""

from bailiwick.plan import UNDO, Node, Plan
from bailiwick.run.state import Run


def node_id(instance: str) -> str:
    """Name the plan's node that an instance came from; `poll~undo` is that of `poll[2]~undo`."""
    forward = undone_by(instance)
    return forward.rpartition(".")[2].partition("[")[0] + instance[len(forward) :]


def is_undo(instance: str) -> bool:
    """Whether the instance is a compensation: `build[1].code~undo` undoes `build[1].code`."""
    return instance.endswith(UNDO)


def undone_by(instance: str) -> str:
    """Name the instance that a compensation undoes."""
    return instance.removesuffix(UNDO)


def scope_of(instance: str) -> str:
    """Name the prefix that an instance shares with its siblings: `build[2].` for `build[2].test`."""
    head, dot, _ = instance.rpartition(".")
    return head + dot


def is_turn(instance: str) -> bool:
    """Whether the instance is one turn of a repeated single step (`poll[3]`)."""
    return instance.endswith("]")


def is_top(instance: str) -> bool:
    """Whether the instance stands on the plan's top level, where a failure is the run's failure."""
    return "." not in instance and "[" not in instance


def parent_of(instance: str) -> str:
    """Name the block or repeat that an instance stands directly in; "" on the top level."""
    head = instance if is_turn(instance) else instance.rpartition(".")[0]
    return head.rpartition("[")[0] if is_turn(head) else head


def current_instance(run: Run, plan: Plan, target: str, seen_from: str) -> str:
    """Name the instance of a node that a reference means: in the turn of the reader, else in the last turn."""
    path = ""
    for block in reversed(plan.ancestors(target)):
        path = _enter(run, path, block, seen_from) + "."
    node = plan.node(target)
    if seen_from.startswith(f"{path}{node.id}["):
        return _enter(run, path, node, seen_from) if node.uses else path + node.id
    return last_turn(run, node, path + node.id)


def last_turn(run: Run, node: Node, name: str) -> str:
    """Name the instance that holds a step's output: the last turn of a repeated single step, else itself."""
    step = run.steps.get(name)
    if node.repeat is None or not node.uses or step is None or not step.iteration:
        return name
    return f"{name}[{step.iteration}]"


def _enter(run: Run, path: str, node: Node, seen_from: str) -> str:
    name = path + node.id
    if node.repeat is None:
        return name
    if seen_from.startswith(name + "["):
        turn = seen_from[len(name) + 1 :].partition("]")[0]
        return f"{name}[{turn}]"
    step = run.steps.get(name)
    return f"{name}[{step.iteration if step else 0}]"


def previous_turn(instance: str) -> str | None:
    """Name the scope of the turn before the reader's innermost one; None in the first turn or outside loops."""
    head, bracket, _ = instance.rpartition("[")
    if not bracket:
        return None
    turn = int(instance[len(head) + 1 :].partition("]")[0])
    return f"{head}[{turn - 1}]" if turn > 1 else None
