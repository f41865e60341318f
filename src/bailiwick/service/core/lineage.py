"""Lineage: who acted in an event and which event led to it, sealed with it; and all that it rests on, when it is shown.

What is constant for a run stands in its first event alone, and is cited from there.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick.plan import Plan
from bailiwick.run import CallMoved, Created, Event, Run, is_container
from bailiwick.service.core.acting import agent_of

SCHEMA = 1
"""The number of the schemas of events; a change that a reader must know of raises it."""

_HERE = "#"
_DIGESTS = ("input_digest", "output_digest", "attests")


class Decided(msgspec.Struct, frozen=True):
    """What was decided: the state before (None: the run is new) and after, and the events between.

    `command` is the kind of command that led to it, "" for the opening.
    """

    before: Run | None
    after: Run
    plan: Plan
    events: tuple[Event, ...]
    command: str = ""


def lineage_of(decided: Decided, event: Event, *, first: bool, said: Mapping[str, Any]) -> dict[str, Any]:
    """Name who acts in an event, unless its own words say so, and the event of the run that led to it."""
    before = decided.before
    found: dict[str, Any] = {}
    if before is None and first:
        return found
    agent = _agent(decided.after, decided.plan, event)
    if agent:
        found["agent"] = agent
    if not first:
        found["cause"] = f"{_HERE}{(before.version if before is not None else 0) + 1}"
    elif before is not None and "cause" not in said and not str(said.get("actor", "")).startswith("user:"):
        seq = _led_to(before, event)
        found |= {"cause": f"{_HERE}{seq}"} if seq else {}
    return found


def _agent(run: Run, plan: Plan, event: Event) -> str:
    if isinstance(event, CallMoved):
        step, told = run.steps.get(event.call.step), event.call.capability
    else:
        move = event.moves[0] if event.moves else None
        step, told = (run.steps.get(move.step), move.served) if move is not None else (None, "")
    if step is None or step.epoch < 1 or is_container(step):
        return ""
    agent = agent_of(plan, step)
    return "" if agent == told else agent


def _led_to(run: Run, event: Event) -> int:
    """Find the event that put the action on record, or moved the step last."""
    if isinstance(event, CallMoved):
        known = run.calls.get(event.call.key)
        if known is not None:
            return max(known.action_seq, known.outcome_seq)
        step = run.steps.get(event.call.step)
    else:
        step = run.steps.get(event.moves[0].step) if event.moves else None
    return step.seq if step is not None else 0


def cause_in(header: Mapping[str, Any], stream: str) -> str:
    """Tell what led to an event: another event of its stream, by its full id, or what else it names."""
    cause = str(header.get("cause", ""))
    return f"{stream}.{cause[1:]}" if cause.startswith(_HERE) else cause


def shown_lineage(view: Mapping[str, Any], opening: Created) -> dict[str, Any]:
    """Say of an event, in full, who and what served, by which policies, on what evidence, and what led to it.

    Args:
        view: The event's fields.
        opening: The run's first event, which says what is constant.
    """
    call: Mapping[str, Any] = view.get("call", {})
    moves: list[Mapping[str, Any]] = view.get("moves", [])
    served = [move["served"] for move in moves if move.get("served")]
    agent = view.get("agent") or (served[-1] if served and not call else "")
    pin = opening.pins.get("agents", {}).get(agent, {})
    policies = [part["policy_version"] for part in (call, *moves) if part.get("policy_version")]
    rests = [move[name] for move in moves for name in _DIGESTS if move.get(name)]
    evidence = [*view.get("evidence", ()), *rests, *filter(None, [call.get("outcome_digest")])]
    return {
        "schema": SCHEMA,
        "trace_id": opening.trace.split("-")[1] if opening.trace else "",
        "causation_id": cause_in(view, opening.run),
        "agent": agent,
        "agent_digest": pin.get("prompt", ""),
        "model": call.get("model") or pin.get("model", ""),
        "contract": call.get("contract") or opening.pins.get("contracts", {}).get(agent, ""),
        "policy_version": view.get("policy_version")
        or (policies[-1] if policies else opening.policy_version),
        "evidence": list(dict.fromkeys(evidence)),
    }
