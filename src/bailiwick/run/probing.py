"""Probing: an action of unknown outcome is asked after by its probe: a task of its step, after the quarantine alone."""

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.contract import Contract, EffectClass, ErrorCategory, ProbeAnswer, parse_ref, select_version
from bailiwick.run.commands import Claim, Journal
from bailiwick.run.events import CallMoved, Event, Move
from bailiwick.run.hanging import blocked_unknown, goes_on, open_calls
from bailiwick.run.refusals import NotAllowed
from bailiwick.run.sight import Sight
from bailiwick.run.state import Call, Run, Step, Wait
from bailiwick.run.states import ANSWERED, UNSETTLED, CallState, StepStatus, WaitKind

MAX_PROBES = 3
"""How often a probe is asked that cannot tell, or does not answer."""

DECIDED = "decided by "
_PAUSE = 60 * 1_000_000
_DEFINITE = (ProbeAnswer.APPLIED, ProbeAnswer.NOT_APPLIED)


def waits_for_probe(step: Step) -> bool:
    """Whether a step stands until its probe is due, or taken."""
    return step.status is StepStatus.BLOCKED and step.wait is not None and step.wait.kind is WaitKind.PROBE


def probed_in(run: Run, step: Step) -> Call | None:
    """Find the action that a step's probe asks after, while it waits for a worker or is in one's hands."""
    key = step.wait.ref if step.wait is not None and waits_for_probe(step) else step.call
    call = run.calls.get(key)
    return call if call is not None and call.state is CallState.UNKNOWN else None


def probe_of(contract: Contract | None, sight: Sight) -> str:
    """Name the exact version of a contract's probe; empty when it names none, or nobody offers it."""
    if contract is None or not contract.probe:
        return ""
    wanted = parse_ref(contract.probe)
    offered = (ref.partition("@") for ref in sight.contracts)
    version = select_version((version for name, _, version in offered if name == wanted.name), wanted)
    return f"{wanted.name}@{version}" if version is not None else ""


def due(run: Run, sight: Sight) -> Move | None:
    """Find a step that stands for an unknown outcome and has no time for its probe yet; give it one.

    It lies after the quarantine of all that the step has on its way, so that what was not there then never comes.
    """
    if not run.tally.blocked or not run.tally.open_calls or run.quarantine:
        return None
    for step in run.steps.values():
        if step.status is not StepStatus.BLOCKED or step.wait is not None:
            continue
        calls = open_calls(run, step.name)
        call = next((each for each in calls if _may_be_asked(each)), None)
        if call is None:
            continue
        until = max(each.quarantine_until for each in calls if each.state in UNSETTLED)
        if call.probed:
            until = max(until, Instant(sight.at + _PAUSE))
        wait = Wait(WaitKind.PROBE, until=until, ref=call.key)
        return Move(
            step.name,
            StepStatus.BLOCKED,
            attempt=step.attempt,
            wait=wait,
            category=step.category,
            reason=step.reason,
            standing=step.standing,
        )
    return None


def _may_be_asked(call: Call) -> bool:
    open_still = call.state is CallState.UNKNOWN and call.answer not in _DEFINITE
    return open_still and bool(call.probe) and call.quarantine_until > 0 and call.probed < MAX_PROBES


def take(run: Run, step: Step, command: Claim, sight: Sight) -> tuple[Event, ...]:
    """A session takes the probe of a step; what else the step has on its way is left as it is.

    Raises:
        NotAllowed: The quarantine is not over: what arrives late would make the answer a lie.
    """
    call = probed_in(run, step)
    assert step.wait is not None, "it waits for its probe"
    if call is None or sight.at < step.wait.until:
        raise NotAllowed(command="claim", state="in quarantine", run=run.id, of=step.name)
    taken = Move(
        step.name,
        StepStatus.RUNNING,
        attempt=step.attempt,
        epoch=command.epoch,
        session=command.session,
        served=command.served,
        call=call.key,
    )
    return (CallMoved(sight.at, replace(call, probed=call.probed + 1), (taken,)),)


def is_probe(run: Run, step: Step, call: Call) -> bool:
    """Whether an action is the probe that its step was taken for."""
    asked = probed_in(run, step)
    return asked is not None and call.effect is EffectClass.READ_ONLY and call.capability == asked.probe


def concluded(run: Run, step: Step, told: Journal, sight: Sight) -> tuple[Event, ...]:
    """Note what a probe said of the action that it was asked about; the step stands again, with this evidence.

    Where a policy says so, it decides: the action is done or has failed by it, and the step goes on.
    """
    asked = probed_in(run, step)
    if asked is None or told.call.state not in ANSWERED:
        return ()
    said = told.answer if told.call.state is CallState.DONE and told.answer else ProbeAnswer.CANNOT_TELL.value
    known = replace(asked, answer=said, answer_seq=run.version + 1)
    if not told.decided_by or said not in _DEFINITE or sight.at < asked.quarantine_until:
        return (CallMoved(sight.at, known, (blocked_unknown(step),)),)
    done = said == ProbeAnswer.APPLIED
    resolved = replace(
        known,
        state=CallState.DONE if done else CallState.FAILED,
        cost=asked.cost + asked.reserved,
        estimated=True,
        outcome_seq=run.version + 1,
        outcome_digest=told.output_digest if done else "",
        category=None if done else ErrorCategory.TOOL_FAILED,
        reason=f"its probe {asked.probe} says: {said}",
    )
    move = goes_on(run, step, f"{DECIDED}{told.decided_by}", newer=resolved)
    return (CallMoved(sight.at, resolved, (move,)),)
