"""A stage for the machine: plans, a driver that checks every promise after every command, and a friendly world."""

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from run_promises import check_unit

from bailiwick.audit import seal
from bailiwick.base import Digest, Instant, Refusal, digest_of
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind
from bailiwick.plan import Plan, builtin_rules, compile_workflow, parse_workflow
from bailiwick.policy import Verdict, VerdictKind
from bailiwick.run import (
    Call,
    CallState,
    Claim,
    Command,
    Created,
    Event,
    Fail,
    Grant,
    Join,
    Journal,
    Merged,
    Offer,
    Phase,
    Resolve,
    Resume,
    Run,
    Settle,
    Sight,
    Start,
    Status,
    Step,
    StepStatus,
    Succeed,
    TreesNeeded,
    WaitKind,
    claimable,
    create,
    decide,
    decided_again,
    decode_event,
    effect_key,
    manifest_bytes,
    manifest_of,
    merge,
    tree_of,
)

SECOND = 1_000_000
BEGUN = Instant(1_700_000_000 * SECOND)
LIMIT = 10_000
POLICY = Digest("c" * 64)
CONTRACT = Digest("d" * 64)
FLAG = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "objective": {"type": "string"}},
    "required": ["ok"],
}
OPEN = {"type": "object"}
NEEDS_OK = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
FREE, METERED, WRITE, MAIL = (
    EffectClass.READ_ONLY,
    EffectClass.METERED,
    EffectClass.IDEMPOTENT_WRITE,
    EffectClass.EXTERNAL_ACTION,
)


def contract(name: str, effect: EffectClass = FREE, kind: Kind = Kind.AGENT, **rest: Any) -> Contract:
    fields = {"version": "1.0.0", "input": OPEN, "output": FLAG, **rest}
    return Contract(name=name, kind=kind, effect=effect, **fields)


_CONTRACTS = (
    contract("work"),
    contract("spare"),
    contract("strict", input=NEEDS_OK),
    contract("plan", output=OPEN),
    contract("look", kind=Kind.TOOL),
    contract("write", WRITE, Kind.TOOL),
    contract("forgetful", WRITE, Kind.TOOL, key_kept_seconds=60, failure_modes=(ErrorCategory.TIMEOUT,)),
    contract("mail", MAIL, Kind.TOOL, failure_modes=(ErrorCategory.TIMEOUT,)),
    contract("undo", WRITE, Kind.TOOL, output=OPEN, price_micro_usd=30),
)
CATALOGUE = {item.name: {item.version: item} for item in _CONTRACTS}
CONTRACTS = {item.ref: item for item in _CONTRACTS}


def plan_of(*steps: dict[str, Any], **fields: Any) -> Plan:
    """Compile a workflow; a step that says neither `uses` nor `do` uses `work`."""
    workflow = parse_workflow({"name": "w", "steps": [_completed(step) for step in steps], **fields})
    return compile_workflow(workflow, CATALOGUE, builtin_rules())


def _completed(step: dict[str, Any]) -> dict[str, Any]:
    if "do" in step:
        return {**step, "do": [_completed(inner) for inner in step["do"]]}
    return {"uses": "work", **step}


RETRY = {"on": ["transient", "tool-failed"], "attempts": 3, "backoff_seconds": 1}
UNTIL = {"until": "steps.test.output.ok", "max": 2}
ASIDE = {"after": [], "reason": "they share nothing"}

UNDO = {"uses": "undo", "input": {"got": "$.intent.input.x?"}}
UNDO_BLOCK = {"uses": "undo", "retry": {"on": ["transient"], "attempts": 2}}

PLANS = {
    "sequence": plan_of({"id": "a"}, {"id": "b"}, {"id": "c"}),
    "planner and context": plan_of(
        {"id": "a", "input": {"seen": "$.context.files.ok?", "why": "$.brief.objective"}},
        planner="plan",
        context=[{"id": "files", "uses": "look"}],
    ),
    "parallel": plan_of({"id": "a", **ASIDE}, {"id": "b", **ASIDE}, {"id": "c", "after": ["a", "b"]}),
    "nested": plan_of(
        {"id": "outer", "do": [{"id": "a"}, {"id": "inner", "do": [{"id": "b"}, {"id": "c"}]}]}, {"id": "d"}
    ),
    "broad block": plan_of(
        {
            "id": "outer",
            "do": [{"id": "a", **ASIDE}, {"id": "inner", "do": [{"id": "b"}, {"id": "c"}], **ASIDE}],
        }
    ),
    "loop": plan_of({"id": "build", "do": [{"id": "code"}, {"id": "test"}], "repeat": UNTIL}, {"id": "end"}),
    "loop of one": plan_of(
        {"id": "poll", "repeat": {"until": "steps.poll.output.ok", "max": 2}},
        {"id": "end", "when": "steps.poll.status == 'succeeded'"},
    ),
    "loop in a loop": plan_of(
        {
            "id": "outer",
            "do": [
                {"id": "poll", "repeat": {"until": "steps.poll.output.ok", "max": 2}},
                {"id": "test", "input": {"last": "$.previous.poll.output.objective?"}},
            ],
            "repeat": UNTIL,
        }
    ),
    "when": plan_of(
        {"id": "a"},
        {"id": "b", "when": "steps.a.output.ok"},
        {"id": "c", "input": {"b": "$.steps.b.status"}},
    ),
    "retry": plan_of({"id": "a", "retry": RETRY}, {"id": "b"}),
    "fallback": plan_of(
        {"id": "a", "on_error": "fallback", "fallback": "spare", "retry": RETRY}, {"id": "b"}
    ),
    "a person decides": plan_of({"id": "a", "on_error": "human", "retry": RETRY}, {"id": "b"}),
    "a person decides on a block": plan_of(
        {
            "id": "outer",
            "on_error": "human",
            "do": [{"id": "a", **ASIDE}, {"id": "inner", "do": [{"id": "b"}, {"id": "c"}], **ASIDE}],
        }
    ),
    "a person decides on a broad block": plan_of(
        {
            "id": "outer",
            "on_error": "human",
            "do": [
                {"id": "inner", "do": [{"id": "x", **ASIDE}, {"id": "y", **ASIDE}], **ASIDE},
                {"id": "b", **ASIDE},
                {"id": "c", "after": ["b"], "reason": "they share nothing"},
            ],
        }
    ),
    "a person decides on a loop": plan_of(
        {"id": "build", "on_error": "human", "do": [{"id": "code"}, {"id": "test"}], "repeat": UNTIL}
    ),
    "undo": plan_of(
        {
            "id": "a",
            "input": {"x": "$.intent.input.x?"},
            "compensate": {
                "uses": "undo",
                "input": {"given": "$.steps.a.input.x?", "got": "$.steps.a.output.ok?"},
            },
            "retry": RETRY,
        },
        {"id": "b", "when": "steps.a.output.ok", "compensate": UNDO},
        {"id": "c"},
    ),
    "undo side by side": plan_of(
        {"id": "a", **ASIDE, "compensate": UNDO},
        {"id": "b", **ASIDE, "compensate": UNDO, "on_error": "human"},
        {"id": "c", "after": ["a", "b"], "compensate": UNDO, "on_error": "fallback", "fallback": "spare"},
    ),
    "undo loops": plan_of(
        {"id": "poll", "repeat": {"until": "steps.poll.output.ok", "max": 2}, "compensate": UNDO},
        {
            "id": "build",
            "do": [
                {"id": "code", "compensate": {"uses": "undo", "input": {"ok": "$.steps.code.output.ok?"}}},
                {"id": "test"},
            ],
            "repeat": UNTIL,
        },
    ),
    "undo a block": plan_of(
        {"id": "a", "compensate": UNDO},
        {
            "id": "outer",
            "do": [{"id": "b"}, {"id": "inner", "do": [{"id": "c"}, {"id": "d"}]}],
            "compensate": UNDO_BLOCK,
        },
        {"id": "e", "compensate": UNDO},
    ),
    "undo up to a pivot": plan_of(
        {"id": "a", "compensate": UNDO}, {"id": "b", "pivot": True}, {"id": "c", "compensate": UNDO}
    ),
    "a fallback that does not fit": plan_of(
        {"id": "first"},
        {
            "id": "a",
            "uses": "work",
            "on_error": "fallback",
            "fallback": "strict",
            "input": {"ok": "$.steps.first.output.ok"},
        },
    ),
}


class Stage:
    """One run on its plan. Every command goes through `do`, which checks all promises that hold always."""

    def __init__(
        self,
        plan: Plan,
        *,
        limit: int = LIMIT,
        tree: str = "",
        offer: Offer | None = None,
        intent: Any = None,
        edition: int = 0,
    ) -> None:
        self.trees: dict[str, dict[str, tuple[str, str]]] = {"": {}}
        self.texts: dict[str, str] = {}
        self.merges: dict[Join, Merged] = {}
        self.plan = plan
        self.denied: list[str] = []
        self.contracts: Mapping[str, Contract] = CONTRACTS
        self.at = BEGUN
        self.contents: dict[int, Any] = {1: {"intent": intent or {"input": {}}}}
        opening = Created(
            run="run_1",
            tenant="t",
            app="app",
            workflow="w@1.0.0",
            title="a title",
            requested_by="ann",
            plan=plan.digest,
            policy_version=POLICY,
            allotment=limit,
            created_at=BEGUN,
            deadline=Instant(BEGUN + 3600 * SECOND),
            tree=tree,
            edition=edition,
        )
        self.at = Instant(BEGUN + 7)  # the machine is called later than the intent was stamped
        self.events, self.run = create(opening, plan, self.sight(), offer)
        self.numbers = itertools.count(1)
        check_unit(None, None, self.events, self.run, plan)
        assert decided_again(None, plan, self.events, self.sight()).agrees

    def sight(self, payload: Any = None) -> Sight:
        contents = dict(self.contents)
        if payload is not None:
            contents[self.run.version + 1] = payload
        return Sight(self.at, contents, self.contracts, self.judge, self.merges)

    @property
    def merged(self) -> int:
        """How many merges were needed so far."""
        return len(self.merges)

    def tree_of(self, files: Mapping[str, str]) -> str:
        """Store a workspace; answers its name."""
        for text in files.values():
            self.texts[digest_of(text.encode())] = text
        manifest = {path: ("100644", str(digest_of(text.encode()))) for path, text in files.items()}
        tree = digest_of(manifest_bytes(manifest))
        self.trees[tree] = manifest
        return tree

    def files(self, tree: str | None) -> dict[str, str]:
        """Read a workspace."""
        return {path: self.texts[digest] for path, (_, digest) in self.trees[tree or ""].items()}

    def write(self, name: str, path: str, text: str | None) -> str:
        """Write a file on the line of a step, or remove it (None); answers the new tree."""
        base = tree_of(self.run, self.step(name))
        files = {each: said for each, said in self.files(base).items() if each != path}
        tree = self.tree_of(files | ({path: text} if text is not None else {}))
        self.journal(name, FREE, CallState.DONE, n=1000 + next(self.numbers), base=base, tree=tree)
        return tree

    def _decided(
        self, before: Run, command: Command, payload: Any, offer: Offer | None
    ) -> tuple[tuple[Event, ...], Run]:
        while True:
            try:
                return decide(before, self.plan, command, self.sight(payload), offer)
            except TreesNeeded as apart:
                merged, body = merge(apart.join, self.trees)
                self.merges[apart.join] = merged
                self.trees[merged.tree] = manifest_of(body)

    def judge(self, start: Start) -> Verdict:
        denied = start.contract.name in self.denied
        effect = VerdictKind.DENY if denied else VerdictKind.ALLOW
        return Verdict(effect, ("p1",), ("not here",) if denied else (), POLICY)

    def do(self, command: Command, payload: Any = None, offer: Offer | None = None) -> tuple[Event, ...]:
        """Let the machine decide, and hold what it says to every promise."""
        before, image = self.run, msgspec.json.encode(self.run)
        self.at = Instant(self.at + SECOND)
        try:
            events, after = self._decided(before, command, payload, offer)
        finally:
            assert msgspec.json.encode(before) == image, "a state is a value: nothing changes it"
        check_unit(before, command, events, after, self.plan)
        if events:
            again = decided_again(before, self.plan, events, replace(self.sight(payload), at=Instant(0)))
            assert again.agrees, f"{command} is not found again behind {events}, but {again}"
        if payload is not None and events:
            self.contents[before.version + 1] = payload
        self.events = (*self.events, *events)
        self.run = after
        return events

    def refuses(self, command: Command, refusal: type[Refusal], payload: Any = None) -> Refusal:
        """Hold the machine to a refusal that changes nothing; answers it."""
        before = self.run
        with pytest.raises(refusal) as caught:
            self.do(command, payload)
        assert type(caught.value) is refusal
        assert self.run is before
        return caught.value

    # --- words for tests ------------------------------------------------------------------------

    def step(self, name: str) -> Step:
        return self.run.steps[name]

    def call(self, key: str) -> Call:
        return self.run.calls[key]

    def claim(self, name: str) -> int:
        epoch = self.step(name).epoch + 1
        self.do(Claim(name, epoch, "ses_1"))
        return epoch

    def succeed(self, name: str, ok: bool = True, *, says: str = "why", **rest: Any) -> None:
        if claimable(self.step(name)):
            self.claim(name)
        epoch = self.step(name).epoch
        self.do(Succeed(name, epoch, "e" * 64, **rest), {"output": {"ok": ok, "objective": says}})

    def fail(
        self, name: str, category: ErrorCategory = ErrorCategory.INTERNAL, reason: str = "broke"
    ) -> None:
        if claimable(self.step(name)):
            self.claim(name)
        self.do(Fail(name, self.step(name).epoch, category, reason))

    def proposal(self, name: str, effect: EffectClass, state: CallState, *, n: int = 1, **rest: Any) -> Call:
        step = self.step(name)
        digest = Digest(f"{n:064d}")
        fields = {
            "key": effect_key(tenant="t", run="run_1", step=name, digest=digest, n=1),
            "step": name,
            "attempt": step.attempt,
            "n": 1,
            "digest": digest,
            "capability": f"{_TOOLS[effect]}@1.0.0",
            "contract": CONTRACT,
            "effect": effect,
            "epoch": step.epoch,
            "state": state,
            "reserved": 0 if effect is FREE else 100,
            "approval": f"apr_{n}" if state is CallState.HELD else "",
        }
        return Call(**{**fields, **rest})

    def journal(self, name: str, effect: EffectClass, state: CallState, **rest: Any) -> str:
        call = self.proposal(name, effect, state, **rest)
        self.do(Journal(call))
        return call.key

    def dispatch(self, name: str, effect: EffectClass = METERED, **rest: Any) -> str:
        return self.journal(name, effect, CallState.INTENDED, **rest)

    def settle(self, key: str, state: CallState = CallState.DONE, **rest: Any) -> None:
        self.do(Settle(key, self.call(key).epoch, state, **rest))

    def approve(self, key: str) -> None:
        """Grant a held action and execute it, as the platform does."""
        self.do(Grant(key, "bob"))
        name = self.call(key).step
        epoch = self.claim(name)
        self.do(Journal(replace(self.call(key), state=CallState.INTENDED, epoch=epoch)))
        self.settle(key)


_TOOLS = {FREE: "look", METERED: "look", WRITE: "write", MAIL: "mail"}


def finish(stage: Stage, *, most: int = 400) -> Status:
    """Be the friendliest world: claim, approve, resolve, resume, succeed, until the run is over."""
    for _ in range(most):
        if stage.run.closed is not None:
            return stage.run.closed
        stage.do(*_kindness(stage))
    raise AssertionError(f"not over after {most} kind commands: {stage.run.status}")


def _kindness(stage: Stage) -> tuple[Any, ...]:
    run = stage.run
    for call in run.calls.values():
        if call.state is CallState.UNKNOWN:
            return (Resolve(call.key, "bob", CallState.DONE), {"outcome": {}})
        if call.state is CallState.HELD:
            return (Grant(call.key, "bob"),)
    for step in run.steps.values():
        if claimable(step):
            return (Claim(step.name, step.epoch + 1, "ses_1"),)
        if step.status is StepStatus.BLOCKED and "names no compensation" in step.reason:
            return (Resolve(step.name, "bob", CallState.DONE), {"outcome": {}})
        if step.status is StepStatus.BLOCKED:
            return (Resume("bob", step.name),)
        if step.status is StepStatus.RUNNING and step.epoch:
            return _as_holder(stage, step)
    raise AssertionError(f"nobody can do anything: {[(s.name, s.status) for s in run.steps.values()]}")


def _as_holder(stage: Stage, step: Step) -> tuple[Any, ...]:
    run = stage.run
    mine = [
        call for call in run.calls.values() if call.step == step.name and call.state is CallState.INTENDED
    ]
    for call in mine:
        if call.epoch == step.epoch:
            return (Settle(call.key, call.epoch, CallState.DONE),)
    again = [run.calls[step.call]] if step.call else mine
    if not again:
        return (Succeed(step.name, step.epoch, "e" * 64), {"output": {"ok": True, "objective": "why"}})
    if run.ending or (run.tally.failed and run.phase is Phase.FORWARD):
        return (Fail(step.name, step.epoch, ErrorCategory.CANCELED, "the run is ending"),)
    return (Journal(replace(again[0], state=CallState.INTENDED, epoch=step.epoch)),)


def rebuilt(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Seal events as the store does, among other header fields, and read them back."""
    read: list[Event] = []
    for at, event in enumerate(events):
        fields = msgspec.to_builtins(event) | {"actor": "user:ann", "cause": "apr_1", "evidence": ["x"]}
        header = seal(fields, stream="run_1", seq=at + 1, prev="", payload="f" * 64)
        read.append(decode_event(header))
    return tuple(read)


def waits_for_people(step: Step) -> bool:
    return step.wait is not None and step.wait.kind is WaitKind.APPROVAL


def live(run: Run) -> list[str]:
    return [step.name for step in run.steps.values() if step.status not in ("succeeded", "skipped")]
