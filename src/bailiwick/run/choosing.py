"""Choosing: a person decides with which workspace a joining step in conflict goes on."""

from msgspec.structs import replace

from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.run.commands import Choose
from bailiwick.run.events import Event, Move, StepsMoved
from bailiwick.run.joining import Choice, run_end
from bailiwick.run.naming import is_turn, node_id
from bailiwick.run.opening import opened
from bailiwick.run.refusals import NotAllowed, NotOfTheConflict
from bailiwick.run.sight import Sight
from bailiwick.run.state import END, Run, Step
from bailiwick.run.states import StepStatus
from bailiwick.run.walk import open_node, turn_passed

CHOSEN_BY = "its workspace was chosen by "


def choose(run: Run, plan: Plan, command: Choose, sight: Sight) -> tuple[Event, ...]:
    """Let a joining step go on: what the step `take` left holds wherever it is a party, or with another workspace.

    Raises:
        NotAllowed: The step is in no conflict.
        NotOfTheConflict: The step to take has no part in it.
        StillInConflict: It is a party to some of its paths only.
    """
    step = run.steps.get(command.step)
    if step is None or step.status is not StepStatus.BLOCKED or step.category is not ErrorCategory.CONFLICT:
        state = "absent" if step is None else f"{step.status}, in no conflict"
        raise NotAllowed(command="choosing a workspace", state=state, run=run.id, of=command.step)
    if command.take and command.take not in step.joined:
        raise NotOfTheConflict(run=run.id, step=step.name, take=command.take, of=step.joined)
    move = _going_on(run, plan, step, Choice(command.take, command.tree), sight)
    if not move.reason:
        taken = f": what {command.take} left" if command.take else ""
        move = replace(move, reason=f"{CHOSEN_BY}{command.by}{taken}")
    return (StepsMoved(sight.at, (move,)),)


def _going_on(run: Run, plan: Plan, step: Step, choice: Choice, sight: Sight) -> Move:
    if step.name == END:
        return run_end(run, plan, sight, choice)
    node = plan.node(node_id(step.name))
    if step.tree_before is not None:
        return turn_passed(run, plan, node, step, sight, choice)
    if is_turn(step.name):
        return opened(run, plan, node, step.name, sight, choice=choice)
    return open_node(run, plan, node, step.name, sight, choice)
