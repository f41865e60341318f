"""Proposing: what becomes of an action is ruled here, and here alone; the gate brings the facts, and answers by the ruling."""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from bailiwick.budget import BudgetExhausted
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.plan import Plan
from bailiwick.policy import VerdictKind
from bailiwick.run.calls import reconsider
from bailiwick.run.commands import Journal, Park, Propose, Reconsider, Release
from bailiwick.run.events import Event
from bailiwick.run.hanging import in_doubt, repeatable
from bailiwick.run.journal import held_step, journal, recorded
from bailiwick.run.probing import is_probe
from bailiwick.run.progress import stalled
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Bar, Standing, StandingKind
from bailiwick.run.state import Call, Run, Step
from bailiwick.run.states import CallState, StepStatus
from bailiwick.run.status import doomed
from bailiwick.run.steps import park, release

ENDING = "the run is ending"
_LOST = "it was on its way when its worker was lost"
_OTHER_RULES = "other rules hold it now than those that were answered"
_NO_LONGER = "policy no longer allows it"
_NO_PROBE_HOLD = "a policy holds this probe, and nobody waits for what a person may find out as well"
_NO_MODEL_HOLD = "a policy holds this model call, and only tool calls can wait for people"


class Ruled(StrEnum):
    """What becomes of a proposed action.

    RECORDED: it was answered before. FREE: a free read goes at once, and is written down with its outcome. INTENDED: it
    is dispatched. HELD: people are asked. GRANTED: people need not be asked any more. REFUSED: it never happens. PARKED:
    its step stands until a person acts. UNKNOWN: it may have happened, and may not be sent again. WAITS: another action
    of its step must end first. ENDING: the run begins nothing more.
    """

    RECORDED = "recorded"
    FREE = "free"
    INTENDED = "intended"
    HELD = "held"
    GRANTED = "granted"
    REFUSED = "refused"
    PARKED = "parked"
    UNKNOWN = "unknown"
    WAITS = "waits"
    ENDING = "ending"


class Ruling(msgspec.Struct, frozen=True):
    """What is ruled about an action: its entry as it is written from now on, and why; `standing` of a step that is parked."""

    kind: Ruled
    call: Call
    reason: str = ""
    standing: Standing | None = None


def propose(run: Run, plan: Plan, command: Propose, sight: Sight) -> tuple[Event, ...]:
    """Write down what is ruled about a proposed action; nothing where nothing changes.

    Raises:
        LeaseLost: The caller does not hold the step.
        NotAllowed: The action's entry does not allow it.
        Outdated: It was proposed on a workspace that its line has left since.
    """
    ruling = rule(run, plan, command, sight)
    call = ruling.call
    match ruling.kind:
        case Ruled.RECORDED | Ruled.FREE | Ruled.WAITS:
            return ()
        case Ruled.ENDING:
            granted = run.steps[call.step].call == call.key
            return release(run, Release(call.step, command.call.epoch, ENDING), sight) if granted else ()
        case Ruled.PARKED:
            stop = Park(call.step, command.call.epoch, ruling.reason, ruling.standing)
            return park(run, stop, sight)
        case _ if _waits_for_people(run, call.key):
            return reconsider(run, Reconsider(call), sight)
        case _:
            return journal(run, Journal(call), sight)


def rule(run: Run, plan: Plan, told: Propose, sight: Sight) -> Ruling:
    """Rule on a proposed action, by the state of its run and what was found out about it.

    Raises:
        LeaseLost: The caller does not hold the step.
    """
    before = run.calls.get(told.call.key)
    if before is not None and _waits_for_people(run, before.key):
        return _asked_again(told)
    step = held_step(run, told.call.step, told.call.epoch)
    if doomed(run) and not is_probe(run, step, told.call):
        return Ruling(Ruled.ENDING, told.call, ENDING)
    if before is not None and before.key == step.call:
        return _let_go(run, step, told, before, sight)
    return _ruled(run, plan, step, told, before, sight)


def _waits_for_people(run: Run, key: str) -> bool:
    call = run.calls.get(key)
    held = call is not None and call.state is CallState.HELD
    return held and call is not None and run.steps[call.step].status is not StepStatus.RUNNING


def _ruled(run: Run, plan: Plan, step: Step, told: Propose, before: Call | None, sight: Sight) -> Ruling:
    """Rule on what the holder of a step asks for."""
    call = told.call
    known = recorded(run, step, call.key)
    if known is not None:
        return Ruling(Ruled.RECORDED, known)
    if told.bar is not None:
        doubted = before is not None and before.again_at > 0
        return _unknown(step, before, told.bar.reason) if before and doubted else _parked(call, told.bar)
    if told.fault:
        return _void(step, before or call, told.fault, told.category)
    probing = is_probe(run, step, call)
    stuck = "" if probing else stalled(run, plan, step, call, sight.at, unjournaled=told.reads)
    if stuck:
        return _parked(call, Bar(stuck, Standing(StandingKind.PROGRESS)))
    if before is not None and before.state is CallState.INTENDED:
        return _sent_again(run, step, told, before, sight)
    match told.verdict:
        case VerdictKind.DENY:
            return _refused(call, "; ".join(told.reasons) or "policy denies it")
        case VerdictKind.HOLD if call.model:
            return _refused(call, _NO_MODEL_HOLD)
        case VerdictKind.HOLD if probing:
            return _refused(call, _NO_PROBE_HOLD)
        case VerdictKind.HOLD if _on_its_way(run, step):
            return Ruling(Ruled.WAITS, call)
        case VerdictKind.HOLD:
            return _held(call, told)
        case VerdictKind.ALLOW if call.effect is EffectClass.READ_ONLY and call.reserved == 0:
            return Ruling(Ruled.FREE, replace(call, judged=run.version))
        case VerdictKind.ALLOW:
            return _intended(run, before, call)


def _sent_again(run: Run, step: Step, told: Propose, before: Call, sight: Sight) -> Ruling:
    """Rule on an effect whose outcome nobody reported: it goes with its key if that is safe, else it is unknown."""
    covered = told.verdict is VerdictKind.HOLD and bool(before.approval)
    if told.verdict is not VerdictKind.ALLOW and not covered:
        return _unknown(step, before, "; ".join(told.reasons) or _NO_LONGER)
    if not repeatable(before, sight.contracts.get(before.capability), sight.at):
        return _unknown(step, before, "")
    call = replace(told.call, approval=before.approval, terms=before.terms)
    return _intended(run, before, _repeated(call, before))


def _let_go(run: Run, step: Step, told: Propose, before: Call, sight: Sight) -> Ruling:
    """Rule on a granted action at its dispatch: what it was granted under must still hold."""
    repeat = before.state is CallState.INTENDED
    if told.bar is not None:
        return _parked(before, told.bar)
    if told.fault:
        return _void(step, before, told.fault, told.category)
    if told.verdict is VerdictKind.DENY:
        return _void(step, before, "; ".join(told.reasons) or _NO_LONGER)
    if told.verdict is VerdictKind.HOLD and not told.covered:
        if repeat:
            return _void(step, before, _OTHER_RULES)
        return _held(replace(told.call, attempt=step.attempt), told)
    if repeat and not repeatable(before, sight.contracts.get(before.capability), sight.at):
        return _unknown(step, before, "")
    call = replace(told.call, attempt=step.attempt)
    return _intended(run, before, _repeated(call, before) if repeat else call)


def _asked_again(told: Propose) -> Ruling:
    """Rule on an action that waits for people, when policy is asked again; what stops it is no answer to them."""
    if told.bar is not None or told.fault:
        return Ruling(Ruled.WAITS, told.call)
    match told.verdict:
        case VerdictKind.HOLD if told.covered:
            return Ruling(Ruled.HELD, replace(told.call, state=CallState.HELD))
        case VerdictKind.HOLD:
            return _held(told.call, told)
        case VerdictKind.ALLOW:
            let = replace(told.call, state=CallState.GRANTED, approval="", terms="")
            return Ruling(Ruled.GRANTED, let)
        case VerdictKind.DENY:
            return _refused(told.call, "; ".join(told.reasons) or _NO_LONGER)


def _intended(run: Run, before: Call | None, call: Call) -> Ruling:
    """Let an action be dispatched if it can be paid for."""
    aside = before.reserved if before is not None and before.state is CallState.INTENDED else 0
    try:
        replace(run.allotment, reserved=run.allotment.reserved - aside).reserve(call.reserved)
    except BudgetExhausted as exhausted:
        remedy = f"an operator may raise it: bailiwick runs resume {run.id} --add-usd AMOUNT"
        reason = f"budget exhausted: {exhausted.message}; {remedy}"
        return _parked(call, Bar(reason, Standing(StandingKind.MONEY)))
    return Ruling(Ruled.INTENDED, replace(call, state=CallState.INTENDED))


def _held(call: Call, told: Propose) -> Ruling:
    return Ruling(Ruled.HELD, replace(call, state=CallState.HELD, approval=told.request, terms=told.terms))


def _refused(call: Call, reason: str, category: ErrorCategory = ErrorCategory.DENIED) -> Ruling:
    refused = replace(call, state=CallState.REFUSED, category=category, reason=reason)
    return Ruling(Ruled.REFUSED, refused, reason)


def _parked(call: Call, bar: Bar) -> Ruling:
    return Ruling(Ruled.PARKED, call, bar.reason, bar.standing)


def _void(step: Step, before: Call, reason: str, category: ErrorCategory | None = None) -> Ruling:
    """Take a grant back. A write that was under way by then has an unknown outcome; else it never happens."""
    if before.state is CallState.INTENDED:
        return Ruling(Ruled.UNKNOWN, _as_unknown(step, before, reason), reason)
    return _refused(replace(before, epoch=step.epoch), reason, category or ErrorCategory.DENIED)


def _unknown(step: Step, before: Call, why: str) -> Ruling:
    """Leave an effect in doubt: it may not be sent again, and it is no denial, for it may have happened."""
    reason = f"{before.reason or _LOST}, and may not be repeated by itself{why and ': '}{why}"
    return Ruling(Ruled.UNKNOWN, _as_unknown(step, before, reason), reason)


def _as_unknown(step: Step, before: Call, reason: str) -> Call:
    return replace(before, state=CallState.UNKNOWN, epoch=step.epoch, reason=reason)


def _repeated(call: Call, before: Call) -> Call:
    """Write the entry of an effect that is sent again: how many of its tries are in doubt, and since when."""
    since = before.doubted_since or before.dispatched_at
    return replace(call, doubts=in_doubt(before), doubted_since=since)


def _on_its_way(run: Run, step: Step) -> bool:
    """Whether an action of the step is on its way; a step is not parked before its outcome is recorded."""
    calls = (run.calls[key] for key in run.tally.open_calls)
    return any(call.step == step.name and call.state is CallState.INTENDED for call in calls)
