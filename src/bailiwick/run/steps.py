"""Decisions about steps: claimed, succeeded, failed, released, parked, resumed."""

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.plan import OnError, Plan
from bailiwick.run.commands import Claim, Fail, Park, Release, Resume, Succeed
from bailiwick.run.events import AllotmentRaised, CallMoved, Event, Move, StepsMoved
from bailiwick.run.lease import DEFAULT_RETRY, MAX_CLAIMS, may_retry, retry_delay
from bailiwick.run.naming import node_id
from bailiwick.run.refusals import LeaseLost, NotAllowed, OutcomeUnknown
from bailiwick.run.sight import Sight
from bailiwick.run.state import Run, Step, Wait
from bailiwick.run.states import CallState, StepStatus, WaitKind
from bailiwick.run.walk import doomed, open_leaf

_MICROSECONDS = 1_000_000


def held_step(run: Run, name: str, epoch: int) -> Step:
    """Find the step that the caller says it holds.

    Raises:
        LeaseLost: It does not hold it.
    """
    step = run.steps.get(name)
    if step is None or step.epoch != epoch or step.status is not StepStatus.RUNNING:
        raise LeaseLost(step=name, epoch=epoch, held=step.epoch if step else 0)
    return step


def claim(run: Run, command: Claim, sight: Sight) -> tuple[Event, ...]:
    """A session takes a ready step; one that was taken too often without any record is poison."""
    step = run.steps.get(command.step)
    if step is None or not claimable(step):
        raise NotAllowed(
            command="claim", state=step.status if step else "absent", run=run.id, of=command.step
        )
    if command.epoch != step.epoch + 1:
        raise LeaseLost(step=command.step, epoch=command.epoch, held=step.epoch)
    if step.claims >= MAX_CLAIMS:
        reason = f"claimed {step.claims} times with nothing new recorded"
        return _moved(
            sight,
            Move(
                step.name,
                StepStatus.FAILED,
                attempt=step.attempt,
                category=ErrorCategory.POISON,
                reason=reason,
            ),
        )
    return _moved(
        sight,
        Move(
            step.name,
            StepStatus.RUNNING,
            attempt=step.attempt,
            epoch=command.epoch,
            session=command.session,
            served=command.served,
            call=step.call,
        ),
    )


def claimable(step: Step) -> bool:
    """Whether a worker may take the step (a retry's due time is checked by the queue, in SQL)."""
    if step.status is StepStatus.READY:
        return True
    return step.status is StepStatus.WAITING and step.wait is not None and step.wait.kind is WaitKind.RETRY


def succeed(run: Run, command: Succeed, sight: Sight) -> tuple[Event, ...]:
    """The holder hands in the output; after a cancel it counts as canceled, not as work done late."""
    step = held_step(run, command.step, command.epoch)
    return _moved(
        sight,
        Move(
            step.name,
            StepStatus.SUCCEEDED,
            attempt=step.attempt,
            output=True,
            output_digest=command.output_digest,
            attests=command.attests,
            rules=command.rules,
        ),
    )


def fail(run: Run, plan: Plan, command: Fail, sight: Sight) -> tuple[Event, ...]:
    """The attempt failed: block if an action's outcome is unknown, else retry, fall back, ask, or fail."""
    step = held_step(run, command.step, command.epoch)
    lost, unknown = lose_calls(run, step, sight)
    if unknown:
        return (*lost, StepsMoved(sight.at, (blocked_unknown(step),)))
    return (*lost, StepsMoved(sight.at, (failure(run, plan, step, command, sight),)))


def failure(run: Run, plan: Plan, step: Step, command: Fail, sight: Sight) -> Move:
    """Route a failed attempt by its category and the step's policy."""
    told = Move(
        step.name,
        StepStatus.FAILED,
        attempt=step.attempt,
        category=command.category,
        reason=command.reason,
        rules=command.rules,
        findings=command.findings,
    )
    if doomed(run, plan) or command.category is ErrorCategory.CANCELED:
        return replace(told, to=StepStatus.CANCELED)
    node = None if step.name.startswith("$") else plan.node(node_id(step.name))
    retry = (node.retry if node is not None else None) or DEFAULT_RETRY
    if may_retry(retry, step.attempt, command.category):
        delay = retry_delay(retry, step.attempt, command.spread, command.retry_after)
        due = Instant(sight.at + int(delay * _MICROSECONDS))
        wait = Wait(WaitKind.RETRY, until=due)
        return replace(told, to=StepStatus.WAITING, attempt=step.attempt + 1, wait=wait)
    if node is not None and node.on_error is OnError.FALLBACK and not step.fallback:
        opened = open_leaf(run, plan, node, step.name, sight, fallback=True)
        return replace(opened, attempt=step.attempt + 1, fallback=True)
    if node is not None and node.on_error is OnError.HUMAN and command.category is not ErrorCategory.POISON:
        return replace(told, to=StepStatus.BLOCKED)
    return told


def release(run: Run, plan: Plan, command: Release, sight: Sight) -> tuple[Event, ...]:
    """The holder is gone. What it had on the way is judged by its class; the step goes on by itself."""
    step = held_step(run, command.step, command.epoch)
    lost, unknown = lose_calls(run, step, sight, ending=doomed(run, plan))
    if unknown:
        move = blocked_unknown(step)
    elif doomed(run, plan):
        move = Move(step.name, StepStatus.CANCELED, attempt=step.attempt, category=ErrorCategory.CANCELED)
    else:
        move = Move(step.name, StepStatus.READY, attempt=step.attempt, reason=command.reason, call=step.call)
    return (*lost, StepsMoved(sight.at, (move,)))


def lose_calls(run: Run, step: Step, sight: Sight, *, ending: bool = False) -> tuple[tuple[Event, ...], bool]:
    """Say what becomes of a step's dispatched actions when nobody will report them.

    A metered try is charged at its estimate and may be repeated; an idempotent write stays intended, to
    be repeated with its key; an external action's outcome is unknown, and so is a write's that will not
    be repeated because the run is ending.

    Returns:
        The facts, and whether an outcome is unknown now.
    """
    facts: list[Event] = []
    unknown = any(call.step == step.name and call.state is CallState.UNKNOWN for call in run.calls.values())
    for call in run.calls.values():
        if call.step != step.name or call.state is not CallState.INTENDED:
            continue
        if call.effect is EffectClass.METERED or call.effect is EffectClass.READ_ONLY:
            spent = replace(call, state=CallState.LOST, cost=call.cost + call.reserved, estimated=True)
            facts.append(CallMoved(sight.at, spent))
        elif call.effect is EffectClass.EXTERNAL_ACTION or ending:
            facts.append(CallMoved(sight.at, replace(call, state=CallState.UNKNOWN)))
            unknown = True
    return tuple(facts), unknown


def blocked_unknown(step: Step) -> Move:
    """The step waits for a person to say what happened."""
    return Move(
        step.name,
        StepStatus.BLOCKED,
        attempt=step.attempt,
        reason="outcome unknown: an operator must find out and resolve it",
    )


def park(run: Run, command: Park, sight: Sight) -> tuple[Event, ...]:
    """The step cannot go on until a person acts."""
    step = held_step(run, command.step, command.epoch)
    return _moved(
        sight,
        Move(step.name, StepStatus.BLOCKED, attempt=step.attempt, reason=command.reason, call=step.call),
    )


def resume(run: Run, command: Resume, sight: Sight) -> tuple[Event, ...]:
    """A person lets blocked steps go on; a step that had failed gets a new attempt."""
    blocked = [
        step
        for step in run.steps.values()
        if step.status is StepStatus.BLOCKED and command.step in ("", step.name)
    ]
    if not blocked and not command.add:
        raise NotAllowed(command="resume", state=run.status, run=run.id, of=command.step)
    moves: list[Move] = []
    for step in blocked:
        for call in run.calls.values():
            if call.step == step.name and call.state is CallState.UNKNOWN:
                raise OutcomeUnknown(run=run.id, step=step.name, key=call.key, capability=call.capability)
        moves.extend(_resumed(run, step))
    if command.add:
        return (AllotmentRaised(sight.at, command.by, command.add, tuple(moves)),)
    return _moved(sight, *moves)


def _resumed(run: Run, step: Step) -> list[Move]:
    if step.epoch == 0 and step.category is not None:  # a block: its failed members try again
        below = [
            other
            for other in run.steps.values()
            if other.name.startswith((f"{step.name}.", f"{step.name}[")) and other.status is StepStatus.FAILED
        ]
        again = [Move(other.name, StepStatus.READY, attempt=other.attempt + 1) for other in below]
        return [Move(step.name, StepStatus.RUNNING), *again]
    attempt = step.attempt + 1 if step.category is not None else step.attempt
    return [Move(step.name, StepStatus.READY, attempt=attempt, reason="resumed", call=step.call)]


def _moved(sight: Sight, *moves: Move) -> tuple[Event, ...]:
    return (StepsMoved(sight.at, moves),)
