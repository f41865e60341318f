"""The state tables of docs/concepts.md, made by asking the machine: every command in every state it can come to."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from bailiwick.base import Digest, Instant, Refusal
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind
from bailiwick.plan import UNDO, ContextItem, Node, NodeKind, OnError, Plan, Retry
from bailiwick.policy import Verdict, VerdictKind
from bailiwick.run.commands import (
    Cancel,
    Claim,
    Command,
    Escalate,
    Fail,
    Grant,
    Journal,
    Park,
    PassDeadline,
    Quarantine,
    Reconsider,
    Reject,
    Release,
    Resolve,
    Resume,
    Rollback,
    Settle,
    Succeed,
)
from bailiwick.run.decide import create, decide
from bailiwick.run.events import Created
from bailiwick.run.naming import is_undo
from bailiwick.run.ruling_table import ruling_table
from bailiwick.run.sight import Sight
from bailiwick.run.state import Call, Run, Step
from bailiwick.run.states import CallState, Phase, Status, StepStatus
from bailiwick.run.status import doomed

_COMMANDS = (
    Claim,
    Succeed,
    Fail,
    Release,
    Park,
    Journal,
    Settle,
    Grant,
    Reject,
    Escalate,
    Reconsider,
    Resolve,
    Resume,
    Quarantine,
    Cancel,
    PassDeadline,
    Rollback,
)
_NOT_YET = "not reachable yet"
_ATTEMPTS = 2
_NOBODY = Digest("0" * 64)
_AGENT = Contract(
    name="do", version="1.0.0", kind=Kind.AGENT, effect=EffectClass.READ_ONLY, input={}, output={}
)
_TOOL = Contract(
    name="undo", version="1.0.0", kind=Kind.TOOL, effect=EffectClass.IDEMPOTENT_WRITE, input={}, output={}
)
_PLAN = Plan(
    name="table",
    version="1.0.0",
    objective="",
    planner=_AGENT.ref,
    context=(ContextItem("item", _AGENT.ref, _NOBODY),),
    nodes=(
        Node(
            id="step",
            kind=NodeKind.AGENT,
            uses=_AGENT.ref,
            retry=Retry(on=(ErrorCategory.TRANSIENT,), attempts=_ATTEMPTS),
        ),
        Node(id="never", kind=NodeKind.AGENT, uses=_AGENT.ref, after=("step",), when="false"),
    ),
    compensations=(
        Node(
            id="step" + UNDO,
            kind=NodeKind.TOOL,
            uses=_TOOL.ref,
            retry=Retry(on=(ErrorCategory.TRANSIENT,), attempts=_ATTEMPTS),
            on_error=OnError.HUMAN,
        ),
    ),
)
_ACTION = Call(
    key="key",
    step="step",
    attempt=1,
    n=1,
    digest=_NOBODY,
    capability="send@1.0.0",
    contract=_NOBODY,
    effect=EffectClass.EXTERNAL_ACTION,
    state=CallState.HELD,
    approval="approval",
)


class _Seen(msgspec.Struct, frozen=True):
    """A command that was taken: what was before, what is after."""

    before: Run
    command: str
    after: Run


def state_table() -> str:
    """Write, in Markdown, what the machine takes in each state of a run, a step and an action, where it leads, and its rulings."""
    taken = tuple(_explore())
    run = _rows(Status, ((seen.before.status, seen.command, seen.after.status) for seen in taken))
    step = _rows(StepStatus, _moves_of_steps(taken))
    action = _rows(CallState, _moves_of_actions(taken))
    runs = {id(each): each for seen in taken for each in (seen.before, seen.after)}.values()
    proposed = replace(_ACTION, approval="")
    return (
        "\n\n".join(
            (
                "### A run\n\n" + _table("run", run),
                "### A step\n\n" + _table("step", step),
                "### An action\n\n" + _table("action", action),
                "### A proposed action\n\n" + ruling_table(runs, _PLAN, _sight(), proposed),
            )
        )
        + "\n"
    )


def _table(what: str, rows: list[tuple[str, str]]) -> str:
    head = [f"| {what} is | and takes (what it can be then) |", "| --- | --- |"]
    return "\n".join(head + [f"| {name} | {cell} |" for name, cell in rows])


def _rows(
    states: Iterable[Status | StepStatus | CallState], moves: Iterable[tuple[str, str, str]]
) -> list[tuple[str, str]]:
    """Gather the moves of each state by command, all in the order of the words' definitions."""
    order = list(states)
    found: dict[tuple[str, str], list[str]] = {}
    reached: list[str] = []
    for before, command, after in moves:
        ends = found.setdefault((before, command), [])
        reached += [name for name in (before, after) if name not in reached]
        if after not in ends:
            ends.append(after)
    rows: list[tuple[str, str]] = []
    for state in order:
        cells = [
            f"{command.__name__} ({', '.join(str(end) for end in order if end in found[state, command.__name__])})"
            for command in _COMMANDS
            if (state, command.__name__) in found
        ]
        rows.append((str(state), "; ".join(cells) or ("nothing" if state in reached else _NOT_YET)))
    return rows


def _moves_of_steps(taken: Iterable[_Seen]) -> Iterator[tuple[str, str, str]]:
    for seen in taken:
        for name, step in seen.before.steps.items():
            after = seen.after.steps[name]
            if after is not step:
                yield (step.status, seen.command, after.status)
        for name, step in seen.after.steps.items():
            if name not in seen.before.steps:
                yield (StepStatus.PENDING, seen.command, step.status)


def _moves_of_actions(taken: Iterable[_Seen]) -> Iterator[tuple[str, str, str]]:
    for seen in taken:
        for key, call in seen.before.calls.items():
            after = seen.after.calls[key]
            if after is not call:
                yield (call.state, seen.command, after.state)


def _explore() -> Iterator[_Seen]:
    """Give every command in every state that commands lead to; states that differ in numbers alone are one."""
    opening = Created("run", "t", "a", "w", "", "ann", _NOBODY, "", 1, Instant(0), Instant(0))
    _, first = create(opening, _PLAN, _sight())
    waiting, known = [first], {_kind(first): True}
    for run in waiting:
        for command in _commands(run):
            try:
                _, after = decide(run, _PLAN, command, _sight())
            except Refusal:
                continue
            if after.version == run.version:
                continue
            yield _Seen(run, type(command).__name__, after)
            kind = _kind(after)
            if kind not in known:
                known[kind] = True
                waiting.append(after)


def _sight() -> Sight:
    allowed = Verdict(VerdictKind.ALLOW, (), (), _NOBODY)
    return Sight(Instant(0), {}, {_AGENT.ref: _AGENT, _TOOL.ref: _TOOL}, lambda _: allowed)


def _kind(run: Run) -> tuple[object, ...]:
    """Tell states apart by what decides about commands, not by instants, epochs or counts of claims.

    While things are undone, what was done before counts only by how it ended.
    """
    undoing = run.phase is Phase.COMPENSATING and not doomed(run)
    steps = tuple(
        (step.name, step.status)
        if undoing and not is_undo(step.name)
        else (
            step.name,
            step.status,
            step.wait is None or step.wait.kind,
            step.category is None,
            min(step.attempt, _ATTEMPTS),  # a person may give a compensation any number of them
            step.call,
        )
        for step in run.steps.values()
    )
    if undoing:
        done = any(call.state is CallState.DONE for call in run.calls.values())
        return (run.status, run.phase, done, steps)
    calls = tuple(
        (call.state, call.attempt, call.epoch == run.steps[call.step].epoch) for call in run.calls.values()
    )
    return (run.status, run.phase, run.ending, bool(run.quarantine), bool(run.cancel_requested), steps, calls)


def _commands(run: Run) -> Iterator[Command]:
    yield from (Cancel("ann"), PassDeadline(), Resume("ann"), Quarantine("divergence"), Rollback("ann"))
    for step in run.steps.values():
        yield from _of_step(step)
    if "step" in run.steps:
        yield from _of_action(run.steps["step"], run.calls.get("key", _ACTION))
    if "step" + UNDO in run.steps:
        yield Resolve("step" + UNDO, "ann", CallState.DONE)


def _of_step(step: Step) -> Iterator[Command]:
    yield Claim(step.name, step.epoch + 1, "session")
    yield Succeed(step.name, step.epoch, _NOBODY)
    yield Fail(step.name, step.epoch, ErrorCategory.INTERNAL, "it broke")
    yield Fail(step.name, step.epoch, ErrorCategory.TRANSIENT, "try again")
    yield Release(step.name, step.epoch, "the session ended")
    yield Park(step.name, step.epoch, "halted")


def _of_action(step: Step, call: Call) -> Iterator[Command]:
    for state in CallState:
        yield Journal(replace(call, state=state, epoch=step.epoch))
        yield Settle("key", step.epoch, state)
        yield Resolve("key", "ann", state, despite=True)
    yield Grant("key", "bob")
    yield Reject("key", "bob", "no")
    yield Escalate("key", ("chiefs",))
    for state in (CallState.HELD, CallState.GRANTED, CallState.REFUSED):
        asked = "" if state is CallState.GRANTED else "approval"
        yield Reconsider(replace(call, state=state, approval=asked))
