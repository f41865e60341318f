"""Dispatching: the order to execute, and the hands that must hold the step."""

from bailiwick.ports import Dispatch
from bailiwick.run import LeaseLost, Run, Step, held_step, tree_of
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


def held(run: Run, step: str, epoch: int, session: str) -> Step:
    """Find the step that a session says it holds.

    Raises:
        LeaseLost: It does not hold it.
    """
    found = held_step(run, step, epoch)
    if found.session != session:
        raise LeaseLost(step=step, epoch=epoch, held=found.epoch)
    return found
