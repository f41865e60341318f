"""`decide`: turn a command into the facts it creates, or refuse it."""

from collections.abc import Collection
from typing import assert_never

import msgspec
from msgspec.structs import replace

from bailiwick.plan import Plan
from bailiwick.run.attempts import note
from bailiwick.run.calls import escalate, grant, reconsider, reject, resolve, settle
from bailiwick.run.choosing import choose
from bailiwick.run.commands import (
    Cancel,
    Choose,
    Claim,
    Command,
    Escalate,
    Fail,
    Grant,
    Journal,
    Note,
    Park,
    PassDeadline,
    Propose,
    Quarantine,
    Reconsider,
    Reject,
    Release,
    Resolve,
    Resume,
    Rollback,
    Settle,
    Succeed,
    kind_of,
)
from bailiwick.run.compensating import roll_back
from bailiwick.run.events import (
    AttemptRefused,
    CallMoved,
    CancelRequested,
    Closed,
    Created,
    DeadlinePassed,
    Event,
    Move,
)
from bailiwick.run.evolve import apply_move, evolve
from bailiwick.run.hanging import abandoned, open_calls
from bailiwick.run.journal import journal
from bailiwick.run.naming import node_id
from bailiwick.run.probing import probed_in
from bailiwick.run.proposing import propose
from bailiwick.run.quarantine import lift, quarantine
from bailiwick.run.refusals import NotAllowed
from bailiwick.run.sight import Sight
from bailiwick.run.state import CONTEXT, PLAN, Run, Step
from bailiwick.run.states import Phase, StepStatus
from bailiwick.run.status import derive_status
from bailiwick.run.steps import claim, fail, park, release, resume, resumed, succeed
from bailiwick.run.walk import SYSTEM_CONTEXT, advance


class Offer(msgspec.Struct, frozen=True):
    """A session that would take the run's next step at once; `capabilities` are its queue keys."""

    session: str
    capabilities: Collection[str]


def create(
    opening: Created, plan: Plan, sight: Sight, offer: Offer | None = None
) -> tuple[tuple[Event, ...], Run]:
    """Open a run: the first fact, and all that follows from it without I/O."""
    return _follow(None, (opening,), plan, replace(sight, at=opening.created_at), offer)


def decide(
    run: Run, plan: Plan, command: Command, sight: Sight, offer: Offer | None = None
) -> tuple[tuple[Event, ...], Run]:
    """Turn a command into events, the moves that follow from the plan included.

    The payload that goes with a command belongs to the first event. What is recorded is never earlier than what
    was recorded before, also when the clock of `sight` is behind that of another process.

    Returns:
        The events in order, and the state after them.

    Raises:
        NotAllowed: The command does not fit the state; other refusals say what else is in its way.
        LeaseLost: The caller's epoch was superseded.
        ContentNeeded: Payloads must be read first.
    """
    if sight.at < run.updated_at:
        sight = replace(sight, at=run.updated_at)
    if run.closed is not None and not isinstance(command, Rollback):
        raise NotAllowed(command=kind_of(command), state=run.status, run=run.id)
    if run.quarantine and not isinstance(command, Cancel | Resume | Quarantine):
        raise NotAllowed(command=kind_of(command), state="in quarantine", run=run.id)
    return _follow(run, _facts(run, plan, command, sight), plan, sight, offer)


def _facts(run: Run, plan: Plan, command: Command, sight: Sight) -> tuple[Event, ...]:
    match command:
        case Claim():
            return claim(run, plan, command, sight)
        case Succeed():
            return succeed(run, command, sight)
        case Fail():
            return fail(run, plan, command, sight)
        case Release():
            return release(run, command, sight)
        case Park():
            return park(run, command, sight)
        case Propose():
            return propose(run, plan, command, sight)
        case Journal():
            return journal(run, command, sight)
        case Note():
            return note(run, command, sight)
        case Settle():
            return settle(run, command, sight)
        case Grant():
            return grant(run, command, sight)
        case Reject():
            return reject(run, plan, command, sight)
        case Escalate():
            return escalate(run, command, sight)
        case Reconsider():
            return reconsider(run, command, sight)
        case Cancel() if run.phase is Phase.COMPENSATING:
            raise NotAllowed(command="cancel", state="being rolled back", run=run.id)
        case Cancel(by=by, reason=reason):
            if run.cancel_requested:
                return ()
            return (CancelRequested(sight.at, by, reason),)
        case PassDeadline():
            over = run.expired or run.phase is Phase.COMPENSATING
            return () if over else (DeadlinePassed(sight.at),)
        case Rollback():
            return roll_back(run, plan, command, sight)
        case Resume() if run.quarantine:
            return lift(run, command, resumed(run, plan, sight), sight)
        case Resume():
            return resume(run, plan, command, sight)
        case Resolve():
            return resolve(run, command, sight)
        case Choose():
            return choose(run, plan, command, sight)
        case Quarantine():
            return quarantine(run, command, sight)
        case _:
            assert_never(command)


def _follow(
    run: Run | None, facts: tuple[Event, ...], plan: Plan, sight: Sight, offer: Offer | None
) -> tuple[tuple[Event, ...], Run]:
    """Fold the facts, walk the plan, and put the moves that follow into the last fact.

    A fact carries its own moves and those that follow from it, so that one step costs one event; folding
    them one by one or together gives the same state.
    """
    if not facts:
        assert run is not None, "the first command of a run creates it"
        return (), run
    events: list[Event] = []
    closed: Closed | None = None
    while facts:
        for fact in facts:
            run = evolve(run, fact)
        assert run is not None, "a fact was folded"
        if any(_stirs(run, fact) for fact in facts):
            moves, closed, run = advance(run, plan, sight)
            facts = (*facts[:-1], _with(facts[-1], moves))
        events += facts
        facts = abandoned(run, sight)
    assert run is not None, "a fact was folded"
    taken = _taken(run, plan, offer) if offer is not None and closed is None else None
    if taken is not None:
        events[-1] = _with(events[-1], (taken,))
        run = apply_move(run, taken, sight.at)
        run = replace(run, status=derive_status(run))
    if closed is None:
        return tuple(events), run
    return (*events, closed), evolve(run, closed)


def _stirs(run: Run, fact: Event) -> bool:
    """Whether anything can follow from a fact; nothing does from what a holder notes while it goes on."""
    if isinstance(fact, AttemptRefused):
        return False
    if isinstance(fact, CallMoved) and not fact.moves:
        step = run.steps.get(fact.call.step)
        return step is None or step.status is not StepStatus.RUNNING
    return True


def _with(event: Event, moves: tuple[Move, ...]) -> Event:
    return replace(event, moves=(*event.moves, *moves)) if moves else event


def _taken(run: Run, plan: Plan, offer: Offer) -> Move | None:
    """Let the offering session take the first ready step that it can serve: complete and claim in one unit."""
    for step in run.steps.values():
        if step.status is not StepStatus.READY or step.claims or step.call or open_calls(run, step.name):
            continue
        capability = capability_of(run, plan, step)
        if queue_key(capability) in offer.capabilities:
            return Move(
                step.name,
                StepStatus.RUNNING,
                attempt=step.attempt,
                epoch=step.epoch + 1,
                session=offer.session,
                served=capability,
            )
    return None


def capability_of(run: Run, plan: Plan, step: Step) -> str:
    """Name the exact capability that a claimable step needs: its own, its granted action's, or its probe."""
    asked = probed_in(run, step)
    if asked is not None:
        return asked.probe
    if step.call:
        return run.calls[step.call].capability
    if step.name == CONTEXT:
        return SYSTEM_CONTEXT
    if step.name == PLAN:
        return plan.planner
    node = plan.node(node_id(step.name))
    return node.fallback if step.fallback else node.uses


def queue_key(capability: str) -> str:
    """Name the queue of a capability: `name@major`; a compatible minor or patch version may serve it."""
    name, _, version = capability.partition("@")
    return f"{name}@{version.partition('.')[0]}"
