"""What holds after every command, said again from the plan of the house and not from the machine's code."""

import re
from typing import Any

import msgspec

from bailiwick.plan import Plan
from bailiwick.run import (
    CONTEXT,
    END,
    PLAN,
    CallMoved,
    CallState,
    Closed,
    Command,
    Event,
    Journal,
    Phase,
    Resolve,
    RollbackRequested,
    Run,
    Status,
    Step,
    StepStatus,
    WaitKind,
    decode_event,
    evolve,
    node_id,
)

_OVER = ("succeeded", "failed", "skipped", "canceled", "compensated")
_PASSED = ("succeeded", "skipped")
_WRITES = ("idempotent-write", "external-action")
_ON_ITS_WAY = ("intended", "unknown")


def check_unit(
    before: Run | None, command: Command | None, events: tuple[Event, ...], after: Run, plan: Plan
) -> None:
    """Hold one decision to every promise: its events folded one by one, and the state that it ends in."""
    run = before
    for event in events:
        if run is not None and run.closed:
            assert isinstance(event, RollbackRequested), "nothing but a rollback follows the terminal event"
            assert run.phase is Phase.FORWARD, "one rollback, and one terminal event in each phase"
        header = msgspec.json.encode({**msgspec.to_builtins(event), "stream": "run_1", "seq": 1})
        assert decode_event(header) == event, "an event survives its header"
        earlier, run = run, evolve(run, event)
        check_step_of_time(earlier, run)
    if run is not None:
        assert msgspec.json.encode(run) == msgspec.json.encode(after), "the fold of the events is the state"
    assert not [event for event in events[:-1] if isinstance(event, Closed)], "the terminal event is the last"
    check_state(after, plan)
    decided = isinstance(command, Resolve) or (isinstance(command, Journal) and command.decided_by)
    if before is not None and not decided:
        for key, call in before.calls.items():
            if call.state is CallState.UNKNOWN:
                assert after.calls[key].state is CallState.UNKNOWN, "unknown never leaves by itself"


def check_step_of_time(before: Run | None, after: Run) -> None:
    """What never runs backwards, and the money, at every single event."""
    check_money(after)
    if before is None:
        return
    assert after.version == before.version + 1
    for name, old in before.steps.items():
        new = after.steps[name]
        assert new.epoch >= old.epoch, "epochs never decrease"
        assert new.attempt >= old.attempt
        if old.status in ("succeeded", "skipped", "compensated") and new.status != old.status:
            assert (old.status, new.status) == ("succeeded", "compensated"), "what has passed stays passed"
            assert after.steps[f"{name}~undo"].status == "succeeded", "what is compensated was undone"
    for key, call in before.calls.items():
        assert after.calls[key].cost >= call.cost, "no posting is negative"
        assert after.calls[key].tries >= call.tries
    assert after.allotment.spent >= before.allotment.spent


def check_money(run: Run) -> None:
    calls = run.calls.values()
    aside = 0 if run.closed else sum(step.aside for step in run.steps.values())
    on_its_way = sum(call.reserved for call in calls if call.state in _ON_ITS_WAY)
    assert run.allotment.reserved == on_its_way + aside
    assert run.allotment.spent == sum(call.cost for call in calls)
    assert run.allotment.reserved + run.allotment.spent <= run.allotment.limit


def check_state(run: Run, plan: Plan) -> None:
    assert run.status is expected_status(run)
    check_calls(run)
    check_owners(run)
    check_tally(run)
    if run.closed is None:
        check_progress(run, plan)
    else:
        assert run.status is run.closed
        assert all(step.status in _OVER for step in run.steps.values())


def expected_status(run: Run) -> Status:
    """The table of the house plan, section 3, in its own words."""
    if run.closed is not None:
        return run.closed
    if run.quarantine:
        return Status.BLOCKED
    steps = list(run.steps.values())
    if any(step.status is StepStatus.READY or is_held(step) or is_timed(step) for step in steps):
        return active_state(run)
    if any(step.status is StepStatus.BLOCKED for step in steps):
        return Status.BLOCKED
    if any(step.status is StepStatus.WAITING for step in steps):
        return Status.WAITING_FOR_APPROVAL
    return active_state(run)


def active_state(run: Run) -> Status:
    context, plan = run.steps.get(CONTEXT), run.steps.get(PLAN)
    if run.phase is Phase.COMPENSATING:
        return Status.EXECUTING
    if context is None or context.status is not StepStatus.SUCCEEDED:
        return Status.CREATED
    if plan is None or (plan.epoch == 0 and plan.status is not StepStatus.SUCCEEDED):
        return Status.CONTEXT_LOADED
    return Status.EXECUTING if plan.status is StepStatus.SUCCEEDED else Status.PLANNING


def is_held(step: Step) -> bool:
    return step.status is StepStatus.RUNNING and step.epoch > 0


def is_timed(step: Step) -> bool:
    return (
        step.status is StepStatus.WAITING
        and step.wait is not None
        and step.wait.kind is not WaitKind.APPROVAL
    )


def check_calls(run: Run) -> None:
    for call in run.calls.values():
        step = run.steps[call.step]
        if call.state in _ON_ITS_WAY:
            assert step.status not in _OVER, f"{step.name} is over and {call.state} hangs on it"
            assert run.closed is None
        if call.state is CallState.UNKNOWN:
            asked = is_held(step) and run.calls[step.call].probed > 0 if step.call else False
            assert asked or step.status is StepStatus.BLOCKED, "an unknown outcome blocks its step"
        if call.state in (CallState.HELD, CallState.GRANTED):
            assert step.status not in _OVER, "nobody is asked about what can no longer happen"
        if call.state is CallState.INTENDED and ends(run):
            assert is_held(step), "in a run that can only end, what is on its way is in somebody's hands"
        if call.state is CallState.HELD:
            assert step.status in (StepStatus.WAITING, StepStatus.BLOCKED)

    for step in run.steps.values():
        if step.call:
            executed = run.calls[step.call].state in ("granted", "intended", "lost")
            asked = run.calls[step.call].state is CallState.UNKNOWN and run.calls[step.call].probed > 0
            assert executed or asked, "what is to be executed, or asked after, is open"


def check_owners(run: Run) -> None:
    """P3: a lease, a due time, a named wait, or a person's turn with a reason; and somebody has one."""
    owned = 0
    for step in run.steps.values():
        match step.status:
            case StepStatus.RUNNING if step.epoch == 0:
                inside = [
                    s for s in run.steps.values() if s.name.startswith((f"{step.name}.", f"{step.name}["))
                ]
                alive = [s for s in inside if s.status not in _OVER]
                assert alive or run.closed, f"nothing goes on inside {step.name}"
            case StepStatus.RUNNING:
                assert step.session
                owned += 1
            case StepStatus.READY:
                owned += 1
            case StepStatus.WAITING:
                assert step.wait is not None
                assert step.wait.until or step.wait.ref
                owned += 1
            case StepStatus.BLOCKED:
                assert step.reason
                owned += 1
            case StepStatus.COMPENSATED:
                assert run.phase is Phase.COMPENSATING
            case StepStatus.PENDING:
                raise AssertionError(f"{step.name} is {step.status}")
            case _:
                assert not step.session
    assert owned or run.closed is not None, "a run that nobody can move"


def check_tally(run: Run) -> None:
    steps = list(run.steps.values())
    assert run.tally.unfinished == sum(step.status not in _OVER for step in steps)
    assert run.tally.blocked == sum(step.status is StepStatus.BLOCKED for step in steps)
    assert run.tally.active == sum(
        step.status is StepStatus.READY or is_held(step) or is_timed(step) for step in steps
    )
    still_open = ("held", "granted", *_ON_ITS_WAY)
    assert sorted(run.tally.open_calls) == sorted(k for k, c in run.calls.items() if c.state in still_open)


def check_progress(run: Run, plan: Plan) -> None:
    """Everything that may have begun has begun, nothing else has, and what is complete is closed."""
    if run.phase is Phase.COMPENSATING:
        check_rollback(run)
        return
    top = [node.id for node in plan.children("")]
    lost = [name for name in (CONTEXT, PLAN, *top) if status(run, name) in ("failed", "canceled")]
    if run.ending or lost:
        assert all(is_held(step) or hangs(run, step.name) for step in run.steps.values() if undone(run, step))
        return
    if status(run, PLAN) != "succeeded":
        assert not [name for name in run.steps if not name.startswith("$")]
        return
    joined = [*top, *(name for name in (END,) if name in run.steps)]
    assert not all(status(run, name) in _PASSED for name in joined), (
        "a plan that is done is a run that is over"
    )
    check_scope(run, plan, "", "")


def check_rollback(run: Run) -> None:
    """First what was begun ends, then one thing after the other is undone; a compensation never fails or is canceled."""
    undoing = [step for step in run.steps.values() if step.name.endswith("~undo")]
    going = [step for step in run.steps.values() if step.status not in _OVER]
    assert going, "a rollback with nothing left to undo is over"
    if undoing:
        assert len(going) == 1
        assert going[0] in undoing
    else:
        assert all(is_held(step) or hangs(run, step.name) for step in going if undone(run, step))
    assert all(step.status not in ("failed", "canceled") for step in undoing)


def ends(run: Run) -> bool:
    """Whether what the plan began can only end."""
    if run.phase is Phase.COMPENSATING:
        return not any(name.endswith("~undo") for name in run.steps)
    return bool(run.ending or run.tally.failed)


def check_saga(events: tuple[Event, ...], run: Run, plan: Plan) -> int:
    """Hold a stream that was rolled back to the saga's promises, by its events alone; answer how much was undone.

    What was done is undone once, what never happened is not, and the last done is the first undone.
    """
    done: dict[str, int] = {}
    undone: list[str] = []
    for seq, event in enumerate(events):
        call = event.call if isinstance(event, CallMoved) else None
        if call is not None and call.state == "done" and call.effect in _WRITES and "~" not in call.step:
            done[call.step] = seq
        for move in event.moves:
            if move.step.endswith("~undo") and move.to not in ("skipped", "compensated"):
                undone += [move.step] if move.step not in undone else []
    landed: dict[str, int] = {}
    for name in list(run.steps):
        if "~" in name:
            continue
        covers = [name for name in _around(name) if plan.compensation(node_id(name)) and _whole(plan, name)]
        owner = covers[0] if covers else name
        passed = run.steps[name].output_seq - 1 if owner == name and _named(plan, name) else -1
        inside = run.steps[name].output_seq - 1 if run.steps[owner].status == "compensated" else -1
        last = max(done.get(name, -1), passed, inside)
        succeeded = owner == name and _named(plan, name) and run.steps[name].status == "compensated"
        if last >= 0 or succeeded:
            landed[owner] = max(landed.get(owner, -1), last)
    assert sorted(undone) == sorted(f"{name}~undo" for name in landed)
    order = [landed[name.removesuffix("~undo")] for name in undone]
    assert order == sorted(order, reverse=True), "the last done is the first undone"
    assert all(run.steps[name].status == "compensated" for name in landed)
    assert all(run.steps[name].status == "succeeded" for name in undone)
    return len(undone)


def _around(name: str) -> list[str]:
    """Name the instances from the outermost block down to the instance itself."""
    parts = name.split(".")
    return [re.sub(r"\[\d+\]$", "", ".".join(parts[: at + 1])) for at in range(len(parts) - 1)]


def _whole(plan: Plan, name: str) -> bool:
    return plan.node(node_id(name)).kind == "block"


def _named(plan: Plan, name: str) -> bool:
    known = not name.startswith("$") and plan.compensation(node_id(name)) is not None
    return known and (plan.node(node_id(name)).repeat is None or name.endswith("]"))


def check_scope(run: Run, plan: Plan, block: str, prefix: str) -> None:
    nodes = plan.children(block)
    lost = any(status(run, prefix + node.id) in ("failed", "canceled") for node in nodes)
    for node in nodes:
        step = run.steps.get(prefix + node.id)
        due = all(status(run, prefix + before) in _PASSED for before in node.after)
        if step is None:
            assert lost or not due, f"{prefix}{node.id} may begin and has not"
            continue
        assert due, f"{prefix}{node.id} began too early"
        if step.status is StepStatus.RUNNING and step.epoch == 0 and plan.children(node.id):
            turn = f"{step.name}[{step.iteration}]." if node.repeat else f"{step.name}."
            check_scope(run, plan, node.id, turn)


def undone(run: Run, step: Step) -> bool:
    inside = [s for s in run.steps.values() if s.name.startswith((f"{step.name}.", f"{step.name}["))]
    if inside:
        return False
    return step.status not in _OVER


def hangs(run: Run, name: str) -> bool:
    return any(call.step == name and call.state in _ON_ITS_WAY for call in run.calls.values())


def status(run: Run, name: str) -> Any:
    step = run.steps.get(name)
    return step.status if step is not None else "pending"
