"""Progress: what a step instance has learned so far, and why it is stopped when it learns nothing more."""

from msgspec.structs import replace

from bailiwick.base import Digest, Instant
from bailiwick.contract import EffectClass
from bailiwick.plan import Limits, Plan
from bailiwick.run.lines import tree_of
from bailiwick.run.naming import node_id
from bailiwick.run.standing import StandingKind
from bailiwick.run.state import Call, Run, Step, Trail
from bailiwick.run.states import CallState, StepStatus

NO_PROGRESS = "no progress: "
LIMIT = "limit reached: "
_DEFAULT = Limits()
_MARK = 16
_WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
_MICROSECONDS = 1_000_000


def limits_of(plan: Plan, step: Step) -> Limits:
    """Find the limits of a step instance; the defaults where its plan says nothing."""
    if step.name.startswith("$"):
        return _DEFAULT
    return plan.node(node_id(step.name)).limits or _DEFAULT


def stepped(trail: Trail, call: Call, tree: str) -> Trail:
    """Fold an answered call into the trail of its step instance; `tree` is the workspace that it met.

    Something is learned by an outcome that the step has not seen yet, and by a write that it did for the
    first time; then counting begins anew. Of a model nothing is learned by its words, only by what is done.
    """
    if call.model:
        return replace(trail, turns=trail.turns + 1, tokens=trail.tokens + call.tokens)
    marks = [call.outcome_digest[:_MARK] or f"{call.state}:{call.category}"]
    if call.effect in _WRITES and call.state is CallState.DONE:
        marks.append(f"write:{call.digest[:_MARK]}")
    fresh = tuple(mark for mark in marks if mark not in trail.seen)
    calls = trail.calls + 1
    if fresh:
        return replace(trail, seen=(*trail.seen, *fresh), stale={}, calls=calls)
    met = _met(tree, call.digest)
    return replace(trail, stale={**trail.stale, met: trail.stale.get(met, 0) + 1}, calls=calls)


def worked(before: Step, at: Instant) -> Trail:
    """Add the time that a step has just spent in a worker's hands to its trail."""
    if before.status is not StepStatus.RUNNING or before.epoch < 1:
        return before.trail
    return replace(before.trail, worked=before.trail.worked + max(at - before.since, 0))


def continued(before: Step, to: StepStatus, at: Instant) -> Trail:
    """Carry a step's trail into its next state; it begins anew when a person lets a stopped step go on.

    A retry is no free pass: the trail belongs to the step instance, not to the attempt.
    """
    stopped = before.standing is not None and before.standing.kind is StandingKind.PROGRESS
    return Trail() if stopped and to is not StepStatus.BLOCKED else worked(before, at)


def stalled(run: Run, plan: Plan, step: Step, call: Call, at: Instant, *, unjournaled: int = 0) -> str:
    """Say why a step may not do an action now: it leads nowhere, or a limit is reached; empty when it may.

    Args:
        run: The state.
        plan: Its plan; the step's node may set limits.
        step: The step instance, in its holder's hands.
        call: The action as it would be journaled.
        at: The instant.
        unjournaled: How many free reads of the step are on their way, which stand in no journal.
    """
    limits, trail = limits_of(plan, step), step.trail
    allow = f"an operator may let it go on: bailiwick runs resume {run.id}"
    repeats = trail.stale.get(_met(tree_of(run, step), call.digest), 0)
    if not call.model and repeats >= limits.repeats:
        return (
            f"{NO_PROGRESS}{call.capability} (action {call.digest[:12]}) came {repeats} times again in the same "
            f"state and nothing new was learned; look at what the step asks for, then {allow}"
        )
    others = (key for key in run.tally.open_calls if key != call.key)  # its own next try is no further call
    going = unjournaled + sum(1 for key in others if run.calls[key].step == step.name)
    checks = (
        ("model turns", trail.turns, limits.model_turns, bool(call.model)),
        ("tokens", trail.tokens, limits.tokens, bool(call.model)),
        ("calls", trail.calls + going, limits.calls, not call.model),
        ("seconds", worked(step, at).worked // _MICROSECONDS, limits.seconds, True),
    )
    for name, used, most, concerned in checks:
        if concerned and used >= most:
            return f"{LIMIT}{used} {name} of at most {most} in step {step.name}; {allow}"
    return ""


def _met(tree: str, digest: Digest) -> str:
    return f"{tree[:_MARK]}/{digest[:_MARK]}"
