"""The run's state, derived from its steps: each step speaks for it, and the loudest is heard."""

from msgspec.structs import replace

from bailiwick.run.naming import is_top, is_undo
from bailiwick.run.state import CONTEXT, PLAN, Run, Step, Tally
from bailiwick.run.states import ENDED, Phase, Status, StepStatus, WaitKind


def derive_status(run: Run) -> Status:
    """Derive the run's state: active while a step is, else blocked, else waiting (docs/concepts.md)."""
    if run.closed is not None:
        return run.closed
    if run.quarantine or (not run.tally.active and run.tally.blocked):
        return Status.BLOCKED
    if not run.tally.active and run.tally.waiting:
        return Status.WAITING_FOR_APPROVAL
    return _active_state(run)


def doomed(run: Run) -> bool:
    """Whether the plan can only end: the run was asked to, a step on its top level failed for good, or it rolls back."""
    if run.phase is Phase.COMPENSATING:
        return bool(run.tally.unfinished) and not any(is_undo(name) for name in run.steps)
    return run.ending or bool(run.tally.failed)


def _active_state(run: Run) -> Status:
    if run.phase is Phase.COMPENSATING:
        return Status.EXECUTING
    context = run.steps.get(CONTEXT)
    plan = run.steps.get(PLAN)
    if plan is not None and plan.status is StepStatus.SUCCEEDED:
        return Status.EXECUTING
    if plan is not None and plan.epoch > 0:
        return Status.PLANNING
    if context is not None and context.status is StepStatus.SUCCEEDED:
        return Status.CONTEXT_LOADED
    return Status.CREATED


def is_container(step: Step) -> bool:
    """Whether the instance is a block or a repeat at work, which runs in nobody's hands."""
    return step.status is StepStatus.RUNNING and step.epoch == 0


def counted(tally: Tally, before: Step | None, after: Step) -> Tally:
    """Count a step's new state instead of its old one."""
    old, new = _weight(before), _weight(after)
    lost = after.status in (StepStatus.FAILED, StepStatus.CANCELED) and is_top(after.name)
    if old == new and not lost:
        return tally
    return replace(
        tally,
        active=tally.active + new[0] - old[0],
        blocked=tally.blocked + new[1] - old[1],
        waiting=tally.waiting + new[2] - old[2],
        unfinished=tally.unfinished + new[3] - old[3],
        failed=tally.failed or (after.name if lost else ""),
    )


def _weight(step: Step | None) -> tuple[int, int, int, int]:
    """Say how a step counts: as active, blocked, waiting for people, unfinished."""
    if step is None or step.status in ENDED:
        return (0, 0, 0, 0)
    match step.status:
        case StepStatus.READY:
            return (1, 0, 0, 1)
        case StepStatus.RUNNING:
            return (0 if is_container(step) else 1, 0, 0, 1)
        case StepStatus.WAITING if step.wait is None or step.wait.kind is not WaitKind.APPROVAL:
            return (1, 0, 0, 1)
        case StepStatus.WAITING:
            return (0, 0, 1, 1)
        case StepStatus.BLOCKED:
            return (0, 1, 0, 1)
        case _:
            return (0, 0, 0, 1)
