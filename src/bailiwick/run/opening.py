"""Opening: a step's input is resolved and held to its contract, its start is judged; and what follows if it fails."""

from typing import Any

from msgspec.structs import replace

from bailiwick.base import Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.plan import Node, OnError, Plan, resolve
from bailiwick.run.events import Move
from bailiwick.run.sight import Sight, Start
from bailiwick.run.state import Run
from bailiwick.run.states import StepStatus
from bailiwick.run.values import values_for

ASKED = "a person must decide: "
CANNOT_FALL_BACK = "; and its fallback cannot begin: "


def opened(run: Run, plan: Plan, node: Node, name: str, sight: Sight, *, fallback: bool = False) -> Move:
    """Open a single step; one that cannot begin goes the way of every failure."""
    move = open_leaf(run, plan, node, name, sight, fallback=fallback)
    if move.to is StepStatus.READY:
        return move
    return routed(run, plan, node, replace(move, fallback=fallback), sight)


def routed(run: Run, plan: Plan, node: Node, failed: Move, sight: Sight) -> Move:
    """Say what becomes of a single step that failed for good: its fallback, a person's turn, or the failure."""
    if node.on_error is not OnError.FALLBACK or failed.fallback:
        return asked(node, failed)
    second = open_leaf(run, plan, node, failed.step, sight, fallback=True)
    if second.to is StepStatus.READY:
        return replace(second, attempt=failed.attempt, fallback=True, reason=failed.reason)
    return replace(failed, reason=f"{failed.reason}{CANNOT_FALL_BACK}{second.reason}")


def asked(node: Node, failed: Move) -> Move:
    """Turn a failure into a question to a person, where the plan says so."""
    if node.on_error is not OnError.HUMAN:
        return failed
    return replace(failed, to=StepStatus.BLOCKED, reason=f"{ASKED}{failed.reason}")


def open_leaf(run: Run, plan: Plan, node: Node, name: str, sight: Sight, *, fallback: bool = False) -> Move:
    """Resolve a step's input, hold it to the contract, and judge its start: ready, or failed."""
    contract = sight.contracts[node.fallback if fallback else node.uses]
    try:
        given = input_of(run, plan, node, name, sight)
    except Refusal as refusal:
        return _misfit(name, str(refusal))
    errors = validator_for(contract.input).errors(given)
    if errors:
        detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:3])
        return _misfit(name, f"the input does not fit {contract.ref}: {detail}")
    return judged(run, name, contract.ref, given, sight)


def _misfit(name: str, reason: str) -> Move:
    return Move(name, StepStatus.FAILED, category=ErrorCategory.INVALID_OUTPUT, reason=reason)


def input_of(run: Run, plan: Plan, node: Node, name: str, sight: Sight) -> dict[str, Any]:
    """Resolve a step's input from recorded values; the same bytes each time it is asked."""
    value = resolve(node.input, values_for(run, plan, name, (), node.input, sight))
    assert isinstance(value, dict), "an input template is an object"
    return value


def judged(run: Run, name: str, ref: str, given: dict[str, Any], sight: Sight) -> Move:
    """Let policy judge a step's start: ready, or failed as denied."""
    contract = sight.contracts[ref]
    digest = digest_of(canonical(given))
    verdict = sight.judge(Start(run.id, name, contract, digest))
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
