"""Opening: a step's input is resolved and held to its contract, its start is judged; and what follows if it fails."""

from typing import Any

from msgspec.structs import replace

from bailiwick.base import Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.plan import Node, OnError, Plan
from bailiwick.run.events import Move
from bailiwick.run.joining import Choice, begun
from bailiwick.run.kept import not_kept
from bailiwick.run.naming import is_undo
from bailiwick.run.refusals import AnswerLacking
from bailiwick.run.reserving import set_aside
from bailiwick.run.sight import Sight, Start
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import Run
from bailiwick.run.states import StepStatus
from bailiwick.run.values import input_of

BY_HAND = "an operator must repair it and resume the run, or undo it by hand and resolve this step as done"

UNDO_FAILED = "the compensation failed: "
QUESTION = Standing(StandingKind.QUESTION)
ASKED = "a person must decide: "
CANNOT_FALL_BACK = "; and its fallback cannot begin: "


def opened(
    run: Run,
    plan: Plan,
    node: Node,
    name: str,
    sight: Sight,
    *,
    fallback: bool = False,
    choice: Choice | None = None,
) -> Move:
    """Open a single step; one that cannot begin goes the way of every failure.

    `choice` is a person's, where its predecessors are in conflict.
    """
    move = open_leaf(run, plan, node, name, sight, fallback=fallback)
    if move.to is StepStatus.FAILED:
        move = routed(run, plan, node, replace(move, fallback=fallback), sight)
    return begun(run, plan, move, sight, choice)


def routed(run: Run, plan: Plan, node: Node, failed: Move, sight: Sight) -> Move:
    """Say what becomes of a single step that failed for good: its fallback, a person's turn, or the failure."""
    if node.on_error is not OnError.FALLBACK or failed.fallback:
        return asked(node, failed)
    second = open_leaf(run, plan, node, failed.step, sight, fallback=True)
    if second.to is not StepStatus.FAILED:
        reason = second.reason or failed.reason
        return replace(second, attempt=failed.attempt, fallback=True, reason=reason)
    return replace(failed, reason=f"{failed.reason}{CANNOT_FALL_BACK}{second.reason}")


def asked(node: Node, failed: Move) -> Move:
    """Turn a failure into a question to a person, where the plan says so."""
    if node.on_error is not OnError.HUMAN:
        return failed
    undo = is_undo(failed.step)
    reason = f"{UNDO_FAILED}{failed.reason}; {BY_HAND}" if undo else f"{ASKED}{failed.reason}"
    return replace(failed, to=StepStatus.BLOCKED, reason=reason, standing=QUESTION)


def open_leaf(run: Run, plan: Plan, node: Node, name: str, sight: Sight, *, fallback: bool = False) -> Move:
    """Resolve a step's input, hold it to the contract, judge its start and pay for its undoing: ready, or failed."""
    ref = node.fallback if fallback else node.uses
    contract = sight.contract(ref)
    if contract is None:
        return not_kept(run, name, ref)
    try:
        given = input_of(run, plan, node, name, sight)
    except AnswerLacking as lack:
        failed = _misfit(name, f"{lack.message}; {lack.remedy}")
        return replace(failed, category=ErrorCategory.TOOL_FAILED)
    except Refusal as refusal:
        return _misfit(name, str(refusal))
    errors = validator_for(contract.input).errors(given)
    if errors:
        detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:3])
        return _misfit(name, f"the input does not fit {contract.ref}: {detail}")
    move = judged(run, name, contract.ref, given, sight)
    return set_aside(run, plan, move, sight) if move.to is StepStatus.READY else move


def _misfit(name: str, reason: str) -> Move:
    return Move(name, StepStatus.FAILED, category=ErrorCategory.INVALID_OUTPUT, reason=reason)


def judged(run: Run, name: str, ref: str, given: dict[str, Any], sight: Sight) -> Move:
    """Let policy judge a step's start: ready, or failed as denied."""
    contract = sight.contract(ref)
    if contract is None:
        return not_kept(run, name, ref)
    digest = digest_of(canonical(given))
    verdict = sight.judge(Start(run, name, contract, digest))
    if verdict.effect != "allow":
        return Move(
            name,
            StepStatus.FAILED,
            category=ErrorCategory.DENIED,
            reason="; ".join(verdict.reasons) or "policy does not allow this step to start",
            policies=verdict.policies,
            policy_version=verdict.version,
        )
    return Move(
        name,
        StepStatus.READY,
        input_digest=digest,
        served=contract.ref,
        policies=verdict.policies,
        policy_version="" if verdict.version == run.policy_version else verdict.version,
    )
