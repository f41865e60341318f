"""Postings: each micro-USD that a run spends leaves one line in the cost ledger, whoever booked it."""

from collections.abc import Sequence

from bailiwick.plan import Plan
from bailiwick.ports import Outcome, Posting, World
from bailiwick.run import Call, CallMoved, CallState, Event, Run, node_id
from bailiwick.service.core.charging import Charge

_ENDED = {
    CallState.DONE: "completed",
    CallState.CANCELED: "canceled",
    CallState.FAILED: "failed",
    CallState.UNKNOWN: "unknown",
    CallState.LOST: "lost",
    CallState.REFUSED: "refused",
}


def role_of(plan: Plan, step: str) -> str:
    """Name the role that a step is worked in: the agent's name, without its version."""
    if step.startswith("$"):
        return plan.planner.partition("@")[0] if step == "$plan" and plan.planner else "platform"
    return plan.node(node_id(step)).uses.partition("@")[0]


def posting_of(world: World, run: Run, plan: Plan, call: Call, outcome: Outcome, charge: Charge) -> Posting:
    """Write the line of a call whose outcome was reported, at what it is charged."""
    usage = charge.usage
    claim = usage.claimed if usage is not None else None
    return Posting(
        id=world.new_id("pst"),
        tenant=run.tenant,
        app=run.app,
        run=run.id,
        step=call.step,
        role=role_of(plan, call.step),
        call=call.key,
        capability=call.capability,
        at=world.now(),
        cost_micro_usd=charge.cost,
        input_tokens=usage.input_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
        usage_source=usage.source if usage else "none",
        ended=_ENDED[CallState(outcome.state)],
        duration_ms=outcome.duration_ms,
        first_token_ms=outcome.first_token_ms,
        tries=outcome.tries,
        interruptions=len(outcome.interruptions),
        feature=run.feature,
        team=run.team,
        price=charge.price,
        claimed_input_tokens=claim.input_tokens if claim else 0,
        claimed_output_tokens=claim.output_tokens if claim else 0,
    )


def unreported(
    world: World, run: Run, plan: Plan, events: Sequence[Event], given: Sequence[Posting]
) -> tuple[Posting, ...]:
    """Write the lines of costs that nobody reported: tries that were lost, outcomes that a person resolved."""
    lines: list[Posting] = []
    booked: dict[str, int] = {}
    for line in given:
        booked[line.call] = booked.get(line.call, 0) + line.cost_micro_usd
    for event in events:
        if not isinstance(event, CallMoved) or not event.call.cost:
            continue
        call = event.call
        before = run.calls[call.key].cost if call.key in run.calls else 0
        cost = call.cost - before - booked.get(call.key, 0)
        booked[call.key] = call.cost - before
        if cost > 0:
            outcome = Outcome(call.key, run.tenant, run.id, call.step, call.epoch, call.state.value)
            lines.append(posting_of(world, run, plan, call, outcome, Charge(cost, True, "reservation")))
    return tuple(lines)
