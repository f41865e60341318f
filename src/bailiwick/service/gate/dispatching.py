"""Dispatching: the order to execute, and what must hold before it is given: hands, money, a safe repeat."""

from msgspec.structs import replace

from bailiwick.budget import BudgetExhausted
from bailiwick.ports import Dispatch
from bailiwick.run import Call, CallState, LeaseLost, Run, Step, held_step, in_doubt, tree_of
from bailiwick.service.gate.actions import Action


def dispatch_of(run: Run, step: Step, action: Action, tries: int) -> Dispatch:
    """Write the order to execute an action's stored bytes."""
    return Dispatch(
        key=action.key,
        tenant=run.tenant,
        run=run.id,
        step=step.name,
        epoch=step.epoch,
        capability=action.contract.ref,
        effect=action.contract.effect,
        digest=action.digest,
        contract=action.serves,
        body=action.body.decode(),
        timeout_seconds=action.timeout_seconds,
        tree=tree_of(run, step),
        spend_limit_micro_usd=action.estimate,
        attempt_of_effect=tries,
        served=action.served.partition(" ")[0],
    )


def repeated(call: Call, before: Call) -> Call:
    """Write the entry of an effect that is sent again: how many of its tries are in doubt, and since when."""
    since = before.doubted_since or before.dispatched_at
    return replace(call, doubts=in_doubt(before), doubted_since=since)


def budget_fault(run: Run, before: Call | None, estimate: int) -> str:
    """Say why an action cannot be paid for, and who can change that; empty when it can."""
    aside = before.reserved if before is not None and before.state is CallState.INTENDED else 0
    try:
        replace(run.allotment, reserved=run.allotment.reserved - aside).reserve(estimate)
    except BudgetExhausted as exhausted:
        remedy = f"an operator may raise it: bailiwick runs resume {run.id} --add-usd AMOUNT"
        return f"budget exhausted: {exhausted.message}; {remedy}"
    return ""


def in_flight(run: Run, step: Step) -> bool:
    """Whether an action of the step is on its way; a step is not parked before its outcome is recorded."""
    calls = (run.calls[key] for key in run.tally.open_calls)
    return any(call.step == step.name and call.state is CallState.INTENDED for call in calls)


def held(run: Run, step: str, epoch: int, session: str) -> Step:
    """Find the step that a session says it holds.

    Raises:
        LeaseLost: It does not hold it.
    """
    found = held_step(run, step, epoch)
    if found.session != session:
        raise LeaseLost(step=step, epoch=epoch, held=found.epoch)
    return found
