"""Reserving for the undo: what a compensation may cost is set aside before the step that it would undo begins."""

from msgspec.structs import replace

from bailiwick.budget import BudgetExhausted
from bailiwick.contract import Contract
from bailiwick.plan import Node, Plan
from bailiwick.run.events import Move
from bailiwick.run.kept import not_kept
from bailiwick.run.naming import node_id
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import Run
from bailiwick.run.states import StepStatus


def set_aside(run: Run, plan: Plan, begun: Move, sight: Sight) -> Move:
    """Let a step or block begin with the price of its compensation set aside, once for all of its attempts.

    Returns:
        The move with the amount; or the step blocked, since it must not do what could not be paid to be undone.
    """
    undoing = plan.compensation(node_id(begun.step))
    known = run.steps.get(begun.step)
    if undoing is None or (known is not None and known.aside):
        return begun
    contract = sight.contract(undoing.uses)
    if contract is None:
        return replace(not_kept(run, begun.step, undoing.uses), attempt=begun.attempt, when=begun.when)
    amount = price_of(undoing, contract)
    try:
        run.allotment.reserve(amount)
    except BudgetExhausted as short:
        reason = (
            f"budget exhausted for its compensation: {short.message}; "
            f"raise it: bailiwick runs resume {run.id} --add-usd AMOUNT"
        )
        return Move(
            begun.step,
            StepStatus.BLOCKED,
            attempt=begun.attempt,
            when=begun.when,
            reason=reason,
            standing=Standing(StandingKind.MONEY),
        )
    return replace(begun, aside=amount)


def price_of(undoing: Node, contract: Contract) -> int:
    """Tell the most that a compensation costs by its contract, all of its attempts together, in micro-USD."""
    assert undoing.retry is not None, "the compiler gives each compensation its retries"
    return contract.price_micro_usd * undoing.retry.attempts
