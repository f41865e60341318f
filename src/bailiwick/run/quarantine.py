"""Quarantine: a run whose log and projection disagree stands still until a person has looked into it."""

from bailiwick.run.commands import Quarantine, Resume
from bailiwick.run.events import AllotmentRaised, Event, Move, Quarantined, QuarantineLifted
from bailiwick.run.hanging import blocked_unknown, lose_calls
from bailiwick.run.probing import waits_for_probe
from bailiwick.run.refusals import NotAllowed
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import Run, Step
from bailiwick.run.states import StepStatus
from bailiwick.run.status import is_container
from bailiwick.run.steps import claimable

_DIVERGED = Standing(StandingKind.DIVERGENCE)


def quarantine(run: Run, command: Quarantine, sight: Sight) -> tuple[Event, ...]:
    """Take every step out of the queue and out of its worker's hands; what was on its way is judged by its class.

    A run that is in quarantine already gets the new reason.
    """
    lost: list[Event] = []
    moves: list[Move] = []
    for step in run.steps.values():
        held = step.status is StepStatus.RUNNING and not is_container(step)
        if not held and not claimable(step):
            continue
        if waits_for_probe(step):
            moves.append(_parked(step, step.reason, step.standing))
            continue
        facts, unknown = lose_calls(run, step, sight) if held else ((), False)
        lost += facts
        moves.append(blocked_unknown(step) if unknown else _parked(step, command.reason, _DIVERGED))
    return (Quarantined(sight.at, command.reason, tuple(moves)), *lost)


def _parked(step: Step, reason: str, standing: Standing | None) -> Move:
    return Move(
        step.name,
        StepStatus.BLOCKED,
        attempt=step.attempt,
        reason=reason,
        call=step.call,
        standing=standing,
    )


def lift(run: Run, command: Resume, moves: tuple[Move, ...], sight: Sight) -> tuple[Event, ...]:
    """A person has looked into it: the whole run goes on, but for what must be resolved first.

    Raises:
        NotAllowed: Only a part of the run is meant.
        Misbooked: The sum to add is negative.
    """
    if command.step:
        raise NotAllowed(command="resume", state="in quarantine as a whole", run=run.id, of=command.step)
    if command.add:
        run.allotment.top_up(command.add)
    lifted = QuarantineLifted(sight.at, command.by, moves)
    return (
        (lifted, AllotmentRaised(sight.at, command.by, command.add, (), command.funds))
        if command.add
        else (lifted,)
    )
