"""Convicting: whether what an event says has served is what its run had pinned."""

from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick.base import Json
from bailiwick.contract import CapabilityRef, parse_ref, satisfies
from bailiwick.plan import Plan
from bailiwick.run import PLAN, CallMoved, CallState, Event, Move, Run, StepStatus, capability_of
from bailiwick.service.core.acting import agent_of
from bailiwick.service.core.catalogue import Contracts
from bailiwick.service.core.pinned import AgentText, prompted


def served_otherwise(
    run: Run,
    plan: Plan,
    event: Event,
    *,
    header: Mapping[str, Json],
    texts: Mapping[str, AgentText],
    contracts: Contracts,
    content: Mapping[str, Any] | None,
) -> Iterator[str]:
    """Say what served otherwise than pinned.

    Args:
        run: The state after the event.
        plan: The run's plan.
        event: What happened.
        header: All that the event says in the open.
        texts: The platform-run agents' texts that are kept, by agent.
        contracts: The contracts that decided.
        content: The action as it was hashed, of an action that goes out; None if it was erased.
    """
    for move in event.moves:
        yield from _moved(run, plan, move, texts)
    if not isinstance(event, CallMoved) or event.call.step not in run.steps:
        return
    call = event.call
    agent = agent_of(plan, run.steps[call.step])
    if header.get("agent", agent) != agent:
        yield f"{header['agent']} acted in {call.step}, pinned is {agent}"
    pin = run.pins.get("contracts", {}).get(call.capability, call.contract)
    if call.contract != pin:
        yield f"{call.capability} was served by the contract {call.contract[:16]}, pinned is {pin[:16]}"
    text = texts.get(agent)
    if text is None or not call.model:
        return
    if call.model != text.model:
        yield f"the model {call.model} was asked for {agent}, pinned is {text.model}"
    if content is not None and call.state is CallState.INTENDED:
        output = contracts[agent].output if call.step != PLAN and agent in contracts else None
        yield from _asked(content["arguments"], text, output)


def _moved(run: Run, plan: Plan, move: Move, texts: Mapping[str, AgentText]) -> Iterator[str]:
    step = run.steps.get(move.step)
    if not move.served or step is None or move.to is not StepStatus.RUNNING:
        return
    if step.status is not StepStatus.RUNNING or step.epoch != move.epoch:
        return
    wanted = capability_of(run, plan, step)
    if move.served == wanted:
        return
    name, _, version = move.served.partition("@")
    ref = CapabilityRef(wanted.partition("@")[0], parse_ref(wanted).floor[:2])
    if wanted in texts or name != ref.name or not satisfies(version, ref):
        yield f"{move.step} was served by {move.served}, pinned is {wanted}"


def _asked(given: Mapping[str, Any], text: AgentText, output: Json) -> Iterator[str]:
    """Hold the bytes of a model call to the agent's text: what it is told, may call, must answer, and may spend."""
    told = [message["text"] for message in given["messages"] if message["role"] == "system"]
    if any(not prompted(text, said) for said in told) or not (told or given["previous"]):
        yield f"{text.ref} was not told the prompt that is pinned"
    parameters = given["parameters"]
    tools = [parse_ref(tool).name for tool in text.tools]
    if parameters.get("tools", tools) != tools:
        yield f"{text.ref} was given the tools {parameters['tools']}, pinned are {tools}"
    if parameters["max_output_tokens"] != text.max_output_tokens:
        yield f"{text.ref} was given {parameters['max_output_tokens']} tokens, pinned are {text.max_output_tokens}"
    if output is not None and parameters.get("output_schema", output) != output:
        yield f"{text.ref} was held to another schema than the one that is pinned"
