"""Attempts: what the holder of a step asked for and was refused before it became an action; noted, bounded, then counted."""

from bailiwick.run.commands import Note
from bailiwick.run.events import AttemptRefused, Event
from bailiwick.run.journal import held_step
from bailiwick.run.sight import Sight
from bailiwick.run.state import Run

NOTED_PER_STEP = 20
"""So many refused attempts of a step instance have an event each; further ones are counted in events that grow rarer."""


def note(run: Run, command: Note, sight: Sight) -> tuple[Event, ...]:
    """Record refused attempts of a step; it moves nothing.

    Beyond the bound an event stands for at least as many attempts as all events beyond it before, so that their
    number grows with the logarithm of what an agent tries; the rest comes with the step's report.

    Raises:
        LeaseLost: The caller does not hold the step.
    """
    step = held_step(run, command.step, command.epoch)
    if command.count < 1 or not may_note(step.refused, command.count, last=command.last):
        return ()
    return (
        AttemptRefused(
            sight.at,
            step.name,
            command.code,
            capability=command.capability,
            digest=command.digest,
            count=command.count,
        ),
    )


def may_note(refused: int, count: int, *, last: bool = False) -> bool:
    """Whether so many further attempts have an event, after so many of the step that were recorded."""
    return refused < NOTED_PER_STEP or last or count >= max(refused - NOTED_PER_STEP, 1)
