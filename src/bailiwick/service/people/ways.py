"""Ways out: what a person can type so that a run that stands goes on, each command as it is typed."""

import shlex
from collections.abc import Iterator, Mapping

import msgspec

from bailiwick.base import Json, canonical
from bailiwick.budget import format_usd
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.run import (
    Call,
    CallState,
    Run,
    Standing,
    StandingKind,
    Step,
    StepStatus,
    is_undo,
    node_id,
    undone_by,
)

_HOW = '--reason "HOW YOU KNOW"'


class Way(msgspec.Struct, frozen=True):
    """A command, and the case that it is for."""

    when: str
    command: str


def ways_out(run: Run, plan: Plan, forms: Mapping[str, Json]) -> tuple[Way, ...]:
    """List the commands that help a run on, none for one that has ended or goes on by itself.

    Args:
        run: The state.
        plan: Its plan.
        forms: By key of an action without a known outcome or answer: what its contract says that it answers.
    """
    if run.closed is not None:
        return ()
    if run.quarantine:
        return (Way("found out who changed it", f"bailiwick runs resume {run.id}"),)
    return tuple(_ways(run, plan, forms))


def _ways(run: Run, plan: Plan, forms: Mapping[str, Json]) -> Iterator[Way]:
    asked = [call for call in run.calls.values() if call.state is CallState.UNKNOWN]
    for call in asked:
        yield from _of_question(run, call, forms)
    for call in run.calls.values():
        if call.unanswered:
            yield _with_answer(run, call, forms, f"found out what {call.capability} answered")
    for step in run.steps.values():
        if step.status is StepStatus.BLOCKED and all(call.step != step.name for call in asked):
            yield from _of_step(run, plan, step)


def _of_question(run: Run, call: Call, forms: Mapping[str, Json]) -> Iterator[Way]:
    resolve = f"bailiwick runs resolve {run.id} {call.key}"
    if forms.get(call.key) is not None:
        yield _with_answer(run, call, forms, "it happened, and you have what it answered")
    yield Way("it happened, and what it answered is not known", f"{resolve} --done {_HOW}")
    yield Way("it never happened; taken after its quarantine", f"{resolve} --failed {_HOW}")


def _with_answer(run: Run, call: Call, forms: Mapping[str, Json], when: str) -> Way:
    form = shlex.quote(canonical(forms.get(call.key) or {}).decode())
    return Way(when, f"bailiwick runs resolve {run.id} {call.key} --done --result {form} {_HOW}")


def _of_step(run: Run, plan: Plan, step: Step) -> Iterator[Way]:
    name = shlex.quote(step.name)  # `$context` and `build[2]` mean something to a shell
    resume = f"bailiwick runs resume {run.id} --step {name}"
    stands = step.stands or Standing(StandingKind.QUESTION)
    if step.category is ErrorCategory.CONFLICT:
        choose = f"bailiwick runs resolve {run.id} {name}"
        for other in step.joined:
            yield Way(f"what {other} left at these paths is right", f"{choose} --take {shlex.quote(other)}")
    elif stands.kind is StandingKind.HALT:
        yield Way("it may go on", f"bailiwick halts lift {stands.ref}")
        yield Way("it was lifted, and the run stands still", resume)
    elif stands.kind is StandingKind.MONEY:
        yield Way("it may spend as much again", f"{resume} --add-usd {format_usd(run.allotment.limit)}")
    elif not is_undo(step.name):
        yield Way("that is dealt with", resume)
    else:
        if plan.compensation(node_id(undone_by(step.name))) is not None:
            yield Way("it is repaired, and can be tried again", resume)
        yield Way("it was undone by hand", f"bailiwick runs resolve {run.id} {name} --done {_HOW}")
