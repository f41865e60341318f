"""The side rows of a change: queue entries and the run's head, derived from the state before and after."""

from collections.abc import Iterable

from bailiwick.base import Instant
from bailiwick.plan import Plan
from bailiwick.ports import MoveTask, RunHead, Task, TaskState
from bailiwick.run import (
    CONTEXT,
    PLAN,
    CallState,
    Run,
    Status,
    Step,
    StepStatus,
    WaitKind,
    capability_of,
    node_id,
    queue_key,
    waits_for_probe,
)
from bailiwick.service.core.turns import NORMAL

DEFAULT_TIMEOUT_SECONDS = 600
_MICROSECONDS = 1_000_000
AHEAD_MICROSECONDS = 60_000_000
"""What is ready is due so long before its run began: no clock's error can hide it, and runs stay in their order."""


def task_id(run: str, step: str) -> str:
    """Name the queue entry of a step instance; it has at most one."""
    return f"{run}/{step}"


def task_rows(
    before: Run | None, after: Run, plan: Plan, names: Iterable[str]
) -> tuple[tuple[Task, ...], tuple[MoveTask, ...]]:
    """Derive the queue entries that a change opens and moves, each move fenced by state and epoch.

    `names` are the steps that it moved: no other's entry can change, and a run may have thousands.
    """
    new: list[Task] = []
    moved: list[MoveTask] = []
    for name in names:
        step = after.steps[name]
        old = before.steps.get(name) if before is not None else None
        was = _task_state(old)
        now = _task_state(step)
        if now is None:
            if was is not None and old is not None:
                moved.append(MoveTask(was, old.epoch, _row(after, plan, step, TaskState.DONE)))
        elif was is None or old is None:
            new.append(_row(after, plan, step, now))
        elif (was, old.epoch, old.call, old.wait) != (now, step.epoch, step.call, step.wait):
            moved.append(MoveTask(was, old.epoch, _row(after, plan, step, now)))
    return tuple(new), tuple(moved)


def _task_state(step: Step | None) -> TaskState | None:
    if step is None:
        return None
    match step.status:
        case StepStatus.READY:
            return TaskState.QUEUED
        case StepStatus.RUNNING:
            return TaskState.LEASED if step.epoch > 0 else None
        case StepStatus.WAITING if step.wait is not None and step.wait.kind is WaitKind.RETRY:
            return TaskState.QUEUED
        case StepStatus.BLOCKED if waits_for_probe(step):
            return TaskState.QUEUED
        case _:
            return None


def _row(run: Run, plan: Plan, step: Step, state: TaskState) -> Task:
    if step.wait is not None:
        due = since = step.wait.until
    else:
        due, since = Instant(max(run.created_at - AHEAD_MICROSECONDS, 0)), step.since
    timeout = Instant(0)
    if state is TaskState.LEASED:
        timeout = Instant(step.since + timeout_of(plan, step) * _MICROSECONDS)
    return Task(
        id=task_id(run.id, step.name),
        tenant=run.tenant,
        run=run.id,
        step=step.name,
        call=step.call,
        capability=queue_key(capability_of(run, plan, step)) if state is not TaskState.DONE else "",
        pool="default",
        priority=NORMAL + run.priority,
        state=state,
        epoch=step.epoch,
        session=step.session if state is TaskState.LEASED else "",
        due_at=due,
        timeout_at=timeout,
        app=run.app,
        since=since,
    )


def timeout_of(plan: Plan, step: Step) -> int:
    """Tell how long an attempt of the step may run, in seconds."""
    if step.name in (CONTEXT, PLAN):
        return DEFAULT_TIMEOUT_SECONDS
    return plan.node(node_id(step.name)).timeout_seconds or DEFAULT_TIMEOUT_SECONDS


def head_row(run: Run) -> RunHead:
    """Derive the projection that lists read."""
    return RunHead(
        id=run.id,
        tenant=run.tenant,
        app=run.app,
        workflow=run.workflow,
        title=run.title,
        status=run.status,
        version=run.version,
        requested_by=run.requested_by,
        feature=run.feature,
        team=run.team,
        created_at=run.created_at,
        updated_at=run.updated_at,
        deadline=run.deadline,
        allotment_micro_usd=run.allotment.limit,
        reserved_micro_usd=run.allotment.reserved,
        spent_micro_usd=run.allotment.spent,
        waiting_for=waiting_for(run),
    )


def waiting_for(run: Run) -> str:
    """Say in a sentence what a waiting or blocked run waits for, and who can act; else empty."""
    match run.status:
        case Status.WAITING_FOR_APPROVAL:
            held = [call for call in run.calls.values() if call.state is CallState.HELD]
            return "; ".join(f"approval {call.approval} of {call.capability}" for call in held)
        case Status.BLOCKED if run.quarantine:
            return run.quarantine
        case Status.BLOCKED:
            blocked = [step for step in run.steps.values() if step.status is StepStatus.BLOCKED]
            return "; ".join(f"{step.name}: {step.reason}" for step in blocked)
        case _:
            return run.reason


def differences(stored: RunHead, derived: RunHead) -> list[str]:
    """Say where a projection is not what the log says, column by column; empty when it is."""
    return [
        f"{name} is {getattr(stored, name)!r}, the log says {getattr(derived, name)!r}"
        for name in RunHead.__struct_fields__
        if getattr(stored, name) != getattr(derived, name)
    ]
