"""Random commands over many plans: each is refused or taken as a small model says, and every promise holds after it."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace
from run_kit import FREE, MAIL, METERED, PLANS, WRITE, Stage, finish, rebuilt
from run_model import Model
from run_promises import check_saga

from bailiwick.base import Digest, Refusal
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.run import (
    TERMINAL,
    Call,
    CallState,
    Cancel,
    Claim,
    Command,
    Escalate,
    Fail,
    Grant,
    Journal,
    Offer,
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
    Status,
    Step,
    StepStatus,
    Succeed,
    fold,
)

OFFER = Offer("ses_2", frozenset({"work@1", "spare@1"}))
EFFECTS = [FREE, METERED, WRITE, MAIL]
DECIDED = [*[CallState.INTENDED] * 4, *[CallState.HELD] * 2, *CallState]
THEN = [None, None, CallState.DONE, CallState.FAILED, CallState.UNKNOWN, CallState.LOST]
LOOSE = Call(
    key="eff_new",
    step="",
    attempt=1,
    n=1,
    digest=Digest("9" * 64),
    capability="write@1.0.0",
    contract=Digest("d" * 64),
    effect=WRITE,
    state=CallState.HELD,
    reserved=50,
    approval="apr_stray",
)
CATEGORIES = st.sampled_from(
    [
        ErrorCategory.INTERNAL,
        ErrorCategory.TRANSIENT,
        ErrorCategory.TOOL_FAILED,
        ErrorCategory.CANCELED,
        ErrorCategory.TIMEOUT,
    ]
)


class AnySequence(RuleBasedStateMachine):
    """Commands drawn so that most fit; stale epochs, wrong states and strangers are among them."""

    stage: Stage
    after_the_end = 0

    @initialize(
        name=st.sampled_from(sorted(PLANS)),
        limit=st.sampled_from([150, 1_000, 100_000]),
        tree=st.sampled_from(["", "t0"]),
        offered=st.booleans(),
    )
    def open_run(self, name: str, limit: int, tree: str, offered: bool) -> None:
        self.stage = Stage(PLANS[name], limit=limit, tree=tree, offer=OFFER if offered else None)

    def order(self, command: Command, payload: Any = None, offer: Offer | None = None) -> None:
        """Give a command; the machine must answer as the model says."""
        run = self.stage.run
        expected = Model(run, self.stage.plan).refusal(command)
        try:
            self.stage.do(command, payload, offer)
        except Refusal as refusal:
            assert type(refusal) in expected, f"{command} was refused: {refusal}"
            assert self.stage.run is run
        else:
            assert not expected, f"{command} was taken in {run.status}"

    def steps(self, *statuses: StepStatus) -> list[Step]:
        return [step for step in self.stage.run.steps.values() if step.status in statuses]

    def calls(self, *states: CallState) -> list[Call]:
        return [call for call in self.stage.run.calls.values() if call.state in states]

    def held(self) -> list[Step]:
        return [step for step in self.steps(StepStatus.RUNNING) if step.epoch > 0]

    @precondition(lambda self: self.steps(StepStatus.READY, StepStatus.WAITING))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(self.steps(StepStatus.READY, StepStatus.WAITING)))
        self.order(Claim(step.name, step.epoch + 1, "ses_1"))

    @precondition(lambda self: self.held())
    @rule(data=st.data(), ok=st.booleans(), offered=st.booleans())
    def succeed(self, data: st.DataObject, ok: bool, offered: bool) -> None:
        step = data.draw(st.sampled_from(self.held()))
        payload = {"output": {"ok": ok, "objective": "why"}}
        self.order(Succeed(step.name, step.epoch, "e" * 64), payload, OFFER if offered else None)

    @precondition(lambda self: self.held())
    @rule(data=st.data(), category=CATEGORIES)
    def fail(self, data: st.DataObject, category: ErrorCategory) -> None:
        step = data.draw(st.sampled_from(self.held()))
        self.order(Fail(step.name, step.epoch, category, "it broke", spread=0.5))

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(self.held()))
        self.order(Release(step.name, step.epoch, "the session ended"))

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(self.held()))
        self.order(Park(step.name, step.epoch, "halted"))

    @precondition(lambda self: self.held())
    @rule(
        data=st.data(), effect=st.sampled_from(EFFECTS), state=st.sampled_from(DECIDED), n=st.integers(1, 3)
    )
    def journal(self, data: st.DataObject, effect: EffectClass, state: CallState, n: int) -> None:
        step = data.draw(st.sampled_from(self.held()))
        self.order(Journal(self.stage.proposal(step.name, effect, state, n=n + 10 * EFFECTS.index(effect))))

    @precondition(lambda self: self.held())
    @rule(
        data=st.data(), effect=st.sampled_from(EFFECTS[1:]), n=st.integers(1, 2), then=st.sampled_from(THEN)
    )
    def use_a_tool(self, data: st.DataObject, effect: EffectClass, n: int, then: CallState | None) -> None:
        step = data.draw(st.sampled_from(self.held()))
        call = self.stage.proposal(step.name, effect, CallState.INTENDED, n=n + 10 * EFFECTS.index(effect))
        self.order(Journal(call))
        known = self.stage.run.calls.get(call.key)
        if then is not None and known is not None and known.state is CallState.INTENDED:
            self.order(
                Settle(call.key, known.epoch, then, cost=data.draw(st.sampled_from([0, 40, 100])), tree="t1")
            )

    @precondition(lambda self: self.calls(CallState.INTENDED, CallState.GRANTED, CallState.LOST))
    @rule(data=st.data(), state=st.sampled_from([CallState.INTENDED, CallState.UNKNOWN, CallState.REFUSED]))
    def journal_again(self, data: st.DataObject, state: CallState) -> None:
        call = data.draw(st.sampled_from(self.calls(CallState.INTENDED, CallState.GRANTED, CallState.LOST)))
        epoch = self.stage.step(call.step).epoch
        self.order(Journal(replace(call, state=state, epoch=epoch)))

    @precondition(lambda self: self.calls(CallState.INTENDED))
    @rule(
        data=st.data(),
        state=st.sampled_from([*[CallState.DONE] * 3, *CallState]),
        cost=st.sampled_from([0, 1, 60, 100, 100, -5]),
        tree=st.sampled_from(["", "t1", "t2"]),
    )
    def settle(self, data: st.DataObject, state: CallState, cost: int, tree: str) -> None:
        call = data.draw(st.sampled_from(self.calls(CallState.INTENDED)))
        self.order(Settle(call.key, call.epoch, state, cost=min(cost, call.reserved), tree=tree))

    @precondition(lambda self: self.calls(CallState.HELD))
    @rule(data=st.data(), approve=st.booleans())
    def decide(self, data: st.DataObject, approve: bool) -> None:
        key = data.draw(st.sampled_from(self.calls(CallState.HELD))).key
        self.order(
            Grant(key, "bob") if approve else Reject(key, "bob", "no"), None if approve else {"outcome": None}
        )

    @precondition(lambda self: self.calls(CallState.HELD))
    @rule(data=st.data(), to=st.lists(st.sampled_from(["chiefs", "board"]), max_size=3))
    def escalate(self, data: st.DataObject, to: list[str]) -> None:
        self.order(Escalate(data.draw(st.sampled_from(self.calls(CallState.HELD))).key, tuple(to)))

    @precondition(lambda self: self.calls(CallState.HELD))
    @rule(data=st.data(), state=st.sampled_from([*CallState]), again=st.booleans())
    def reconsider(self, data: st.DataObject, state: CallState, again: bool) -> None:
        call = data.draw(st.sampled_from(self.calls(CallState.HELD)))
        asked = f"{call.approval}+" if again else call.approval
        asked = "" if state is CallState.GRANTED else asked
        self.order(Reconsider(replace(call, state=state, approval=asked)), {"outcome": None})

    @precondition(lambda self: self.calls(CallState.UNKNOWN))
    @rule(data=st.data(), state=st.sampled_from([CallState.DONE, CallState.FAILED, CallState.LOST]))
    def resolve(self, data: st.DataObject, state: CallState) -> None:
        key = data.draw(st.sampled_from(self.calls(CallState.UNKNOWN))).key
        self.order(Resolve(key, "bob", state, despite=True), {"outcome": {}})

    @precondition(lambda self: self.steps(StepStatus.BLOCKED))
    @rule(data=st.data(), everything=st.booleans(), add=st.sampled_from([0, 0, 500, -1]))
    def resume(self, data: st.DataObject, everything: bool, add: int) -> None:
        name = "" if everything else data.draw(st.sampled_from(self.steps(StepStatus.BLOCKED))).name
        self.order(Resume("bob", name, add))

    @precondition(lambda self: self.stage.run.closed is None or self.after_the_end < 3)
    @rule(data=st.data())
    def give_a_stray_command(self, data: st.DataObject) -> None:
        """Any command for any step or action, with any epoch, whatever the run's state."""
        run = self.stage.run
        self.after_the_end += run.closed is not None
        name = data.draw(st.sampled_from([*run.steps, "stranger"]))
        epoch = data.draw(st.integers(0, 3))
        key = data.draw(st.sampled_from([*run.calls, "eff_stranger"]))
        call = replace(LOOSE, step=name, epoch=epoch, key=data.draw(st.sampled_from([key, "eff_new"])))
        known = run.calls.get(call.key)
        if known is not None:
            call = replace(known, step=name, epoch=epoch)
        state = data.draw(st.sampled_from(list(CallState)))
        commands: list[Command] = [
            Claim(name, epoch, "ses_3"),
            Succeed(name, epoch, "e" * 64),
            Fail(name, epoch, ErrorCategory.INTERNAL, "it broke"),
            Release(name, epoch, "gone"),
            Park(name, epoch, "halted"),
            Journal(replace(call, state=state)),
            Settle(key, epoch, state),
            Grant(key, "bob"),
            Reject(key, "bob", "no"),
            Escalate(key, ("chiefs",)),
            Resolve(key, "bob", state, despite=True),
            Resume("bob", name),
            Rollback("ann", "it was wrong"),
            Resolve(name, "bob", state),
        ]
        self.order(data.draw(st.sampled_from(commands)), {"output": {"ok": True, "objective": "why"}})

    @precondition(lambda self: self.stage.run.closed is not None or self.stage.run.status == "blocked")
    @rule()
    def roll_back(self) -> None:
        self.order(Rollback("ann", "it was wrong"))

    @precondition(lambda self: any("~" in step.name for step in self.steps(StepStatus.BLOCKED)))
    @rule(data=st.data(), state=st.sampled_from([CallState.DONE, CallState.DONE, CallState.FAILED]))
    def resolve_by_hand(self, data: st.DataObject, state: CallState) -> None:
        undoing = [step.name for step in self.steps(StepStatus.BLOCKED) if "~" in step.name]
        self.order(Resolve(data.draw(st.sampled_from(undoing)), "bob", state), {"outcome": {}})

    @rule(denied=st.lists(st.sampled_from(["work", "spare", "strict", "undo"]), max_size=1))
    def change_policy(self, denied: list[str]) -> None:
        self.stage.denied = denied

    @precondition(lambda self: len(self.stage.events) > 10 and self.stage.run.closed is None)
    @rule(command=st.sampled_from([None, None, Cancel("ann"), PassDeadline()]))
    def end_it(self, command: Command | None) -> None:
        if command is not None:
            self.order(command)

    @precondition(lambda self: len(self.stage.events) > 5 and self.stage.run.closed is None)
    @rule(really=st.sampled_from([False, False, True]))
    def find_a_divergence(self, really: bool) -> None:
        if really:
            self.order(Quarantine("divergence"))

    @precondition(lambda self: self.stage.run.quarantine)
    @rule(add=st.sampled_from([0, 500, -1]))
    def look_into_it(self, add: int) -> None:
        self.order(Resume("bob", "", add))

    def teardown(self) -> None:
        """From wherever it came, a run can be brought to its end, and its stream tells the whole of it."""
        if not hasattr(self, "stage"):
            return
        self.stage.denied = []
        if self.stage.run.quarantine and self.stage.run.closed is None:
            self.stage.do(Resume("bob"))
        self.stage.do(Resume("bob", "no step", 1_000_000)) if self.stage.run.closed is None else None
        assert finish(self.stage) in TERMINAL
        if Model(self.stage.run, self.stage.plan).refusal(Rollback("ann")) == ():
            self.stage.do(Rollback("ann", "it was wrong"))
            assert finish(self.stage) is Status.ROLLED_BACK
        if self.stage.run.closed is Status.ROLLED_BACK:
            check_saga(self.stage.events, self.stage.run, self.stage.plan)
        again = fold(rebuilt(self.stage.events))
        assert again is not None
        assert msgspec.json.encode(again) == msgspec.json.encode(self.stage.run)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(settings(), stateful_step_count=40, max_examples=120)
