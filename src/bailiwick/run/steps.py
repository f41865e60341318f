"""Decisions about steps: claimed, succeeded, failed, released, parked, resumed."""

from msgspec.structs import replace

from bailiwick.base import LeaseLost
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.run.commands import Claim, Fail, Park, Release, Resume, Succeed
from bailiwick.run.compensating import open_undo
from bailiwick.run.events import AllotmentRaised, Event, Move, StepsMoved
from bailiwick.run.evolve import apply_move
from bailiwick.run.failing import end_attempt
from bailiwick.run.hanging import blocked_unknown, goes_on, lose_calls, open_calls
from bailiwick.run.joining import run_end
from bailiwick.run.journal import held_step
from bailiwick.run.lease import MAX_CLAIMS
from bailiwick.run.naming import is_turn, is_undo, node_id, parent_of, undone_by
from bailiwick.run.opening import opened
from bailiwick.run.probing import take, waits_for_probe
from bailiwick.run.refusals import NotAllowed, OutcomeUnknown
from bailiwick.run.sight import Sight
from bailiwick.run.state import CONTEXT, END, PLAN, Run, Step
from bailiwick.run.states import CallState, StepStatus, WaitKind
from bailiwick.run.walk import has_inside, open_node

UNANSWERED = "done; what its action answered is not known"


def claim(run: Run, plan: Plan, command: Claim, sight: Sight) -> tuple[Event, ...]:
    """A session takes a ready step; one that was taken too often without any record is poison.

    What an earlier holder left on its way is judged first: from now on nobody can report it.
    """
    step = run.steps.get(command.step)
    if step is None or not claimable(step):
        raise NotAllowed(
            command="claim", state=step.status if step else "absent", run=run.id, of=command.step
        )
    if command.epoch != step.epoch + 1:
        raise LeaseLost(step=command.step, epoch=command.epoch, held=step.epoch)
    if waits_for_probe(step):
        return take(run, step, command, sight)
    if step.claims >= MAX_CLAIMS:
        reason = f"claimed {step.claims} times with nothing new recorded"
        poison = Fail(step.name, step.epoch, ErrorCategory.POISON, reason)
        lost, move = end_attempt(run, plan, step, poison, sight)
        return (*lost, StepsMoved(sight.at, (move,)))
    lost, unknown = lose_calls(run, step, sight)
    taken = Move(
        step.name,
        StepStatus.RUNNING,
        attempt=step.attempt,
        epoch=command.epoch,
        session=command.session,
        served=command.served,
        call=step.call,
    )
    return (*lost, StepsMoved(sight.at, (blocked_unknown(step) if unknown else taken,)))


def claimable(step: Step) -> bool:
    """Whether a worker may take the step (a retry's due time is checked by the queue, in SQL)."""
    if step.status is StepStatus.READY or waits_for_probe(step):
        return True
    return step.status is StepStatus.WAITING and step.wait is not None and step.wait.kind is WaitKind.RETRY


def succeed(run: Run, command: Succeed, sight: Sight) -> tuple[Event, ...]:
    """The holder hands in the output. After a cancel it is recorded too, and the run ends as canceled.

    A step that is one action, done without a known answer, succeeds with no output; whoever reads that fails.

    A write that it leaves on its way has an unknown outcome: the step blocks and the output is thrown away;
    once a person has resolved it the step goes on, answered by what is recorded.
    """
    step = held_step(run, command.step, command.epoch)
    if step.call:
        raise NotAllowed(command="succeed", state="executing a granted action", run=run.id, of=step.name)
    lost, unknown = lose_calls(run, step, sight, over=True)
    if unknown:
        return (StepsMoved(sight.at, (blocked_unknown(step),)), *lost)
    done = Move(
        step.name,
        StepStatus.SUCCEEDED,
        attempt=step.attempt,
        output=bool(command.output_digest),
        output_digest=command.output_digest,
        reason="" if command.output_digest else UNANSWERED,
        attests=command.attests,
        rules=command.rules,
    )
    return (StepsMoved(sight.at, (done,)), *lost)


def fail(run: Run, plan: Plan, command: Fail, sight: Sight) -> tuple[Event, ...]:
    """The attempt failed: block if an action's outcome is unknown, else retry, fall back, ask, or fail."""
    step = held_step(run, command.step, command.epoch)
    lost, move = end_attempt(run, plan, step, command, sight)
    return (*lost, StepsMoved(sight.at, (move,)))


def release(run: Run, command: Release, sight: Sight) -> tuple[Event, ...]:
    """The holder is gone. What it had on the way is judged by its class; the step goes on, unless the run can only end."""
    step = held_step(run, command.step, command.epoch)
    lost, unknown = lose_calls(run, step, sight)
    move = blocked_unknown(step) if unknown else goes_on(run, step, command.reason)
    return (*lost, StepsMoved(sight.at, (move,)))


def park(run: Run, command: Park, sight: Sight) -> tuple[Event, ...]:
    """The step cannot go on until a person acts."""
    step = held_step(run, command.step, command.epoch)
    move = Move(
        step.name,
        StepStatus.BLOCKED,
        attempt=step.attempt,
        reason=command.reason,
        call=step.call,
        standing=command.standing,
    )
    return (StepsMoved(sight.at, (move,)),)


def resume(run: Run, plan: Plan, command: Resume, sight: Sight) -> tuple[Event, ...]:
    """A person lets blocked steps go on; what had failed gets a new attempt, or is opened and judged anew.

    Raises:
        NotAllowed: Nothing is blocked, and no money is added.
        OutcomeUnknown: An action's outcome must be resolved first.
        Misbooked: The sum to add is negative.
    """
    now = replace(run, allotment=run.allotment.top_up(command.add)) if command.add else run
    blocked = [
        step
        for step in run.steps.values()
        if step.status is StepStatus.BLOCKED and command.step in ("", step.name)
    ]
    if not blocked and not command.add:
        named = run.steps.get(command.step)
        state = named.status if named is not None else "absent" if command.step else run.status
        raise NotAllowed(command="resume", state=state, run=run.id, of=command.step)
    moves: list[Move] = []
    for step in blocked:
        for call in open_calls(run, step.name):
            if call.state is CallState.UNKNOWN:
                raise OutcomeUnknown(run=run.id, step=step.name, key=call.key, capability=call.capability)
        more, now = _begun(now, _again(now, plan, step, sight), sight)
        moves.extend(more)
    if command.add:
        return (AllotmentRaised(sight.at, command.by, command.add, tuple(moves), command.funds),)
    return (StepsMoved(sight.at, tuple(moves)),)


def resumed(run: Run, plan: Plan, sight: Sight) -> tuple[Move, ...]:
    """Let all go on that is blocked, but for what must be resolved first."""
    unknown = [
        run.calls[key].step for key in run.tally.open_calls if run.calls[key].state is CallState.UNKNOWN
    ]
    blocked = (step for step in run.steps.values() if step.status is StepStatus.BLOCKED)
    return tuple(
        move for step in blocked if step.name not in unknown for move in _again(run, plan, step, sight)
    )


def _again(run: Run, plan: Plan, step: Step, sight: Sight) -> list[Move]:
    """Begin again what was blocked or failed, with what inside it did not pass."""
    if step.epoch > 0 or step.name in (CONTEXT, PLAN):
        attempt = step.attempt if step.category is None else step.attempt + 1
        return [goes_on(run, step, "resumed", attempt=attempt)]
    if is_undo(step.name):
        return [open_undo(run, plan, undone_by(step.name), sight)]
    if step.name == END:
        return [run_end(run, plan, sight)]
    node = plan.node(node_id(step.name))
    if is_turn(step.name):
        return [opened(run, plan, node, step.name, sight, fallback=step.fallback)]
    inside = [other for other in run.steps.values() if parent_of(other.name) == step.name]
    if not has_inside(node) or not inside:
        return [open_node(run, plan, node, step.name, sight)]
    lost = [member for member in inside if member.status in (StepStatus.FAILED, StepStatus.CANCELED)]
    one_more_turn = step.category is ErrorCategory.EXHAUSTED and not lost
    moves, run = _begun(
        run, [Move(step.name, StepStatus.RUNNING, iteration=step.iteration + one_more_turn)], sight
    )
    for member in lost:
        more, run = _begun(run, _again(run, plan, member, sight), sight)
        moves += more
    return moves


def _begun(run: Run, moves: list[Move], sight: Sight) -> tuple[list[Move], Run]:
    """Fold moves, so that the next one finds what they set aside."""
    for move in moves:
        run = apply_move(run, move, sight.at)
    return moves, run
