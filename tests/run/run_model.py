"""A small model of the machine: which commands the house plan allows in a state, and by what name it refuses the rest."""

from run_kit import FREE, MAIL, WRITE

from bailiwick.base import Refusal
from bailiwick.budget import BudgetExhausted, Misbooked
from bailiwick.plan import Plan
from bailiwick.run import (
    Call,
    Cancel,
    Claim,
    Command,
    Escalate,
    Fail,
    Grant,
    Journal,
    LeaseLost,
    NoSuchAction,
    NotAllowed,
    OutcomeUnknown,
    Park,
    PastPivot,
    Phase,
    Quarantine,
    Reconsider,
    Reject,
    Release,
    Resolve,
    Resume,
    Rollback,
    Run,
    Settle,
    StepStatus,
    Succeed,
    WaitKind,
    node_id,
)

_OPEN = {"intended", "unknown"}
ANSWERED = ("done", "failed", "canceled", "refused")


class Model:
    """Which commands the house plan allows in a state; written as a list of reasons to refuse."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self.run = run
        self.plan = plan
        self.back = run.phase is Phase.COMPENSATING
        self.doomed = run.ending or any(
            step.status in ("failed", "canceled") and not set(step.name) & set(".[")
            for step in run.steps.values()
        )
        if self.back:
            self.doomed = not any("~" in name for name in run.steps)

    def refusal(self, command: Command) -> tuple[type[Refusal], ...]:
        """List the refusals that fit; () when the command is to be taken."""
        if isinstance(command, Rollback):
            return (NotAllowed,) if self.run.quarantine else self._rollback()
        if self.run.closed is not None:
            return (NotAllowed,)
        if self.run.quarantine:
            return self._in_quarantine(command)
        match command:
            case Cancel() if self.back:
                return (NotAllowed,)
            case Resolve(key=key, state=state) if key.endswith("~undo"):
                return self._by_hand(key, state)
            case Claim():
                return self._claim(command)
            case Succeed(step=name, epoch=epoch):
                step = self.run.steps.get(name)
                return self._holder(name, epoch) or ((NotAllowed,) if step is not None and step.call else ())
            case (
                Fail(step=name, epoch=epoch) | Release(step=name, epoch=epoch) | Park(step=name, epoch=epoch)
            ):
                return self._holder(name, epoch)
            case Journal(call=call):
                return self._holder(call.step, call.epoch) or self._journal(call)
            case Settle():
                return self._settle(command)
            case Grant(key=key) | Reject(key=key) | Escalate(key=key):
                return self._in_state(key, "held")
            case Reconsider(call=call):
                told = ("held", "granted", "refused")
                return self._in_state(call.key, "held") or (() if call.state in told else (NotAllowed,))
            case Resume():
                return self._resume(command)
            case Resolve(key=key, state=state):
                return self._in_state(key, "unknown") or (
                    () if state in ("done", "failed") else (NotAllowed,)
                )
            case _:
                return ()

    def _in_quarantine(self, command: Command) -> tuple[type[Refusal], ...]:
        match command:
            case Cancel() if self.back:
                return (NotAllowed,)
            case Cancel() | Quarantine():
                return ()
            case Resume(step=name, add=add):
                return ((NotAllowed,) if name else ()) + ((Misbooked,) if add < 0 else ())
            case _:
                return (NotAllowed,)

    def _rollback(self) -> tuple[type[Refusal], ...]:
        if self.back or self.run.status not in ("completed", "failed", "canceled", "blocked"):
            return (NotAllowed,)
        for step in self.run.steps.values():
            if step.name.startswith("$") or not self.plan.node(node_id(step.name)).pivot:
                continue
            states = [
                call.state
                for call in self.run.calls.values()
                if call.step == step.name and call.effect in (WRITE, MAIL)
            ]
            if step.status == "succeeded" or "done" in states:
                return (PastPivot, OutcomeUnknown) if _OPEN & {*states} else (PastPivot,)
            if _OPEN & {*states}:
                return (OutcomeUnknown,)
        return ()

    def _by_hand(self, name: str, state: str) -> tuple[type[Refusal], ...]:
        if name not in self.run.steps:
            return (NoSuchAction,)
        if self.run.steps[name].status != "blocked" or state != "done":
            return (NotAllowed,)
        unknown = any(call.state == "unknown" and call.step == name for call in self.run.calls.values())
        return (OutcomeUnknown,) if unknown else ()

    def _claim(self, command: Claim) -> tuple[type[Refusal], ...]:
        step = self.run.steps.get(command.step)
        retry = step is not None and step.wait is not None and step.wait.kind is WaitKind.RETRY
        if step is None or not (step.status is StepStatus.READY or (step.status == "waiting" and retry)):
            return (NotAllowed,)
        return () if command.epoch == step.epoch + 1 else (LeaseLost,)

    def _holder(self, name: str, epoch: int) -> tuple[type[Refusal], ...]:
        step = self.run.steps.get(name)
        held = step is not None and step.status is StepStatus.RUNNING and step.session != ""
        return () if held and step is not None and step.epoch == epoch else (LeaseLost,)

    def _in_state(self, key: str, state: str) -> tuple[type[Refusal], ...]:
        if key not in self.run.calls:
            return (NoSuchAction,)
        return () if self.run.calls[key].state == state else (NotAllowed,)

    def _settle(self, command: Settle) -> tuple[type[Refusal], ...]:
        call = self.run.calls.get(command.key)
        if call is None:
            return (NoSuchAction,)
        if call.state != "intended" or not call.epoch == self.run.steps[call.step].epoch == command.epoch:
            return (LeaseLost,)
        if command.state in ("held", "granted", "intended", "refused"):
            return (NotAllowed,)
        return (Misbooked,) if command.cost < 0 and command.state != "unknown" else ()

    def _resume(self, command: Resume) -> tuple[type[Refusal], ...]:
        if command.add < 0:
            return (Misbooked,)
        blocked = [
            s.name for s in self.run.steps.values() if s.status == "blocked" and command.step in ("", s.name)
        ]
        if not blocked and not command.add:
            return (NotAllowed,)
        unknown = any(call.state == "unknown" and call.step in blocked for call in self.run.calls.values())
        return (OutcomeUnknown,) if unknown else ()

    def _journal(self, call: Call) -> tuple[type[Refusal], ...]:
        step, before = self.run.steps[call.step], self.run.calls.get(call.key)
        if step.call not in ("", call.key) or (before is not None and before.step != call.step):
            return (NotAllowed,)
        new = before is None or before.state == "lost"
        if before is not None and before.state in ANSWERED and before.attempt < step.attempt:
            new = not (before.state == "done" and before.effect in (WRITE, MAIL))
        granted = before is not None and before.state == "granted"
        stale = before is not None and before.state == "intended" and before.epoch < call.epoch
        allowed = {
            "intended": not self.doomed and (new or granted or (stale and call.effect is WRITE)),
            "held": not self.doomed and call.approval != "" and (new or granted),
            "refused": new or granted,
            "unknown": stale,
            "granted": False,
        }.get(call.state, new and call.effect is FREE)
        if not allowed:
            return (NotAllowed,)
        if call.state == "intended":
            aside = before.reserved if before is not None and before.state == "intended" else 0
            if call.reserved > self.run.allotment.remaining + aside:
                return (BudgetExhausted,)
        return ()
