"""The people of a simulated world: they submit, approve, cancel, halt and repair, and remember what they were told."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.ports import ApprovalState
from bailiwick.run import CallState, Phase, Run, Step, StepStatus, is_undo
from bailiwick.service import IntentRequest, NotFound, Platform
from bailiwick.testing.simulation.faults import Point
from bailiwick.testing.simulation.loop import Life, SimLoop
from bailiwick.testing.simulation.nodes import Control
from bailiwick.testing.simulation.outside import LATEST_SECONDS, Outside
from bailiwick.testing.simulation.shop import TENANT, TOOL_SECONDS, bundle, stricter
from bailiwick.testing.simulation.turns import CROWD_TENANT
from bailiwick.testing.simulation.wire import Network

T = TypeVar("T")
PATIENCE_SECONDS = 6.0
QUARANTINE_SECONDS = LATEST_SECONDS + TOOL_SECONDS + 40
"""After this long no request of a call can still arrive, if no worker sleeps on it."""


def person(name: str, role: Role, *groups: str) -> Principal:
    """Make a person of the tenant."""
    return Principal(f"usr_{name}", name, PrincipalKind.USER, TENANT, role, groups)


ALICE = person("alice", Role.OPERATOR)
TINY = msgspec.structs.replace(ALICE, id="usr_tiny", name="tiny", tenant=CROWD_TENANT)
BOB = person("bob", Role.APPROVER, "payers", "change-approvers")
EVE = person("eve", Role.APPROVER, "payers")
DAN = person("dan", Role.APPROVER, "chiefs")
ROOT = person("root", Role.ADMIN, "payers")


LAST = "last"
"""The key of the run that another tenant submits behind a crowd."""


class Acks:
    """What clients were told was done; all of it must be found in the log."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.cancels: list[str] = []
        self.decisions: dict[str, ApprovalState] = {}
        self.never_happened: dict[str, int] = {}
        self.halts: list[tuple[str, str, float, float]] = []
        self.lifted_at = float("inf")
        self.rollbacks: list[str] = []
        self.faults: list[str] = []


class People:
    """Clients of the platform; they never crash, and ask again when they get no answer."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        network: Network,
        servers: list[Control],
        outside: Outside,
        chance: random.Random,
        life: Life,
        quiet: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._network = network
        self._servers = servers
        self._outside = outside
        self._random = chance
        self._life = life
        self._quiet = quiet
        self.acks = Acks()
        self.done = False
        self.regretting = 0

    async def ask(self, act: Callable[[Platform], Awaitable[T]]) -> T:
        """Ask any replica until one answers.

        Raises:
            Refusal: The answer is a no.
        """
        while True:
            server = self._random.choice(self._servers)
            answer: asyncio.Future[tuple[bool, Any]] = self._loop.create_future()
            self._send(server, act, answer)
            await asyncio.wait((answer,), timeout=PATIENCE_SECONDS)
            if answer.done():
                given, value = answer.result()
                if given:
                    told: T = value
                    return told
                if value.category is not Category.UNAVAILABLE:
                    raise value
            await asyncio.sleep(1)

    def _send(
        self,
        server: Control,
        act: Callable[[Platform], Awaitable[T]],
        answer: "asyncio.Future[tuple[bool, Any]]",
    ) -> None:
        target = server.life

        def reply(value: tuple[bool, Any]) -> None:
            self._network.send(Point.REPLY, target, self._life, lambda: _answered(answer, value))

        async def serve(platform: Platform) -> None:
            try:
                reply((True, await act(platform)))
            except Refusal as refusal:
                server.refusals[f"people {refusal.code}"] += 1
                reply((False, refusal))
            except Exception as error:  # a bug of the platform: it is told, and the client gets no answer
                server.broke("use case", error)

        def arrive() -> None:
            if server.platform is not None and server.life is target:
                self._loop.create_task(serve(server.platform))

        self._network.send(Point.REQUEST, self._life, target, arrive)

    async def crowd(self, crowd: list[IntentRequest], last: IntentRequest) -> None:
        """Submit many runs at once, and behind them one of another tenant."""
        await asyncio.gather(*(self.submit(each, f"crowd-{at}") for at, each in enumerate(crowd)))
        await self.submit(last, LAST, TINY)

    async def submit(self, intent: IntentRequest, key: str, who: Principal = ALICE) -> str:
        """Submit an intent under a key; a repeat must find the same run."""
        while True:
            try:
                run = await self.ask(lambda platform: platform.submitting.submit(who, intent, key=key))
            except Refusal as refusal:
                if refusal.category is not Category.EXHAUSTED:
                    raise
                await asyncio.sleep(5 + self._random.random() * 5)  # others give back what they do not need
                continue
            break
        if self.acks.runs.setdefault(key, run.id) != run.id:
            self.acks.faults.append(f"the key {key} gave {self.acks.runs[key]} and then {run.id}")
        return run.id

    async def clients(self, intents: list[IntentRequest], seconds: float) -> None:
        """Submit all intents within a time; repeat some, cancel some."""
        for number, intent in enumerate(intents):
            run = await self.submit(intent, f"key-{number}")
            if self._random.random() < 0.2:
                await self.submit(intent, f"key-{number}")
            if self._random.random() < 0.12:
                self._loop.create_task(self._cancel(run, self._random.random() * 20))
            if intent.workflow == "saga" and self._random.random() < 0.75:
                self.regretting += 1
                self._loop.create_task(self._regret(run))
            await asyncio.sleep(self._random.random() * 2 * seconds / len(intents))

    async def _cancel(self, run: str, after: float) -> None:
        await asyncio.sleep(after)
        try:
            await self.ask(lambda platform: platform.control.cancel(ALICE, run))
        except Refusal:
            return  # it has ended
        self.acks.cancels.append(run)

    async def _regret(self, run: str) -> None:
        """Have what a run did undone, once it has come to rest or is stuck."""
        hasty = self._random.random() < 0.5
        while True:
            await asyncio.sleep(2 + self._random.random() * 12)
            state = await self._see(run)
            if state.phase is Phase.COMPENSATING:
                break
            if state.closed is None and not (hasty and state.tally.blocked):
                continue
            try:
                await self.ask(lambda platform: platform.control.roll_back(ALICE, run, "a change of mind"))
            except Refusal:
                continue  # it went on meanwhile, an answer was lost, or an outcome must be known first
            self.acks.rollbacks.append(run)
        self.regretting -= 1

    async def treasurer(self) -> None:
        """Keep all runs together so short of money that some have to wait, and give enough in the end."""
        short = True
        await self._allow("11")
        while short:
            await asyncio.sleep(10)
            short = not self._quiet()
        await self._allow("1000")

    async def _allow(self, usd: str) -> None:
        await self.ask(lambda platform: platform.budgets.set(ROOT, "app", "sim", "total", usd))

    async def lawgiver(self) -> None:
        """Put other policies in force now and then."""
        laws = (stricter(), bundle())
        for number in range(8):
            await asyncio.sleep(10 + self._random.random() * 40)
            if self._quiet():
                return
            law = laws[number % 2]
            await self.ask(lambda platform, law=law: platform.activating.activate(ROOT, law))  # type: ignore[misc]

    async def approvers(self) -> None:
        """Look again and again at what waits; approve most of it, sometimes two people at once."""
        ignored: list[str] = []
        escalating: list[str] = []
        while not self.done:
            waiting = await self.ask(lambda platform: platform.approving.list(BOB))
            for approval in waiting:
                if approval.id in escalating:
                    await self._decide(
                        DAN, approval.id, approval.digest, approve=True
                    )  # refused until it is his turn
                    continue
                if approval.id in ignored:
                    continue  # it has to expire
                draw = self._random.random()
                if draw < 0.15 and not self._quiet():
                    (ignored if draw < 0.1 else escalating).append(approval.id)
                    continue
                if draw > 0.6:  # two people, at once, who disagree
                    self._loop.create_task(
                        self._decide(EVE, approval.id, approval.digest, approve=draw >= 0.8)
                    )
                await self._decide(BOB, approval.id, approval.digest, approve=draw < 0.8)
            await asyncio.sleep(4 + self._random.random() * 14)

    async def _decide(self, who: Principal, id: str, digest: str, *, approve: bool) -> None:
        try:
            decided = await self.ask(
                lambda platform: platform.approving.decide(who, id, approve=approve, digest=digest)
            )
        except Refusal:
            return  # another was first, or it is over
        if id in self.acks.decisions and self.acks.decisions[id] is not decided.state:
            self.acks.faults.append(f"the approval {id} was decided twice")
        self.acks.decisions[id] = decided.state

    async def halter(self) -> None:
        """Now and then stop a tool, the app or all of the tenant for a while."""
        while not self._quiet():
            await asyncio.sleep(20 + self._random.random() * 60)
            if self._quiet():
                return
            scope, target = self._random.choice(
                (("tool", "sim.write"), ("tool", "sim.mail"), ("app", "sim"), ("tenant", ""))
            )
            halt = await self._halt(scope, target)
            since = self._loop.time()
            await asyncio.sleep(3 + self._random.random() * 20)
            self.acks.halts.append((scope, target, since, self._loop.time()))
            try:
                await self._lift(halt)
            except Refusal:
                continue  # an answer was lost, and it is lifted already

    async def _halt(self, scope: str, target: str) -> str:
        return (await self.ask(lambda platform: platform.halts.set(ROOT, scope, target, "a drill"))).id

    async def _lift(self, halt: str) -> None:
        await self.ask(lambda platform: platform.halts.lift(ROOT, halt))

    async def operator(self) -> None:
        """Look after blocked runs: find out what happened, say so, let them go on, give them money."""
        while not self.done:
            await asyncio.sleep(12 if self._quiet() else 25 + self._random.random() * 30)
            if self._quiet():
                await self.lift_all()
            for key, id in list(self.acks.runs.items()):
                if key != LAST:  # it belongs to others, and nothing of it needs people
                    await self._look_after(id)

    async def lift_all(self) -> None:
        """Lift whatever halt stands."""

        async def lift(platform: Platform) -> None:
            for halt in platform.halts.list(TENANT):
                with contextlib.suppress(NotFound):  # it was lifted by an ask whose answer was lost
                    await platform.halts.lift(ROOT, halt.id)

        self.acks.lifted_at = min(self.acks.lifted_at, self._loop.time())
        await self.ask(lift)

    async def _look_after(self, id: str) -> None:
        run = await self._see(id)
        if run.closed is not None or not run.tally.blocked:
            return
        unknown = [call for call in run.calls.values() if call.state is CallState.UNKNOWN]
        try:
            for call in unknown:
                if self._ripe(call.dispatched_at):
                    await self._resolve(id, call.key)
            steps = [step for step in run.steps.values() if step.status is StepStatus.BLOCKED]
            by_hand = [
                step for step in steps if is_undo(step.name) and "names no compensation" in step.reason
            ]
            for step in by_hand:
                await self._undone(id, step.name)
                return
            for step in steps:
                if step.category is ErrorCategory.CONFLICT:
                    await self._choose(id, step)
            blocked = [step for step in steps if not step.reason.startswith("halted")]
            if not unknown and blocked:
                more = 1_000_000 if any("budget" in step.reason for step in blocked) else 0
                await self.ask(lambda platform: platform.control.resume(ALICE, id, add_micro_usd=more))
        except Refusal:
            return  # it went on meanwhile

    async def _choose(self, run: str, step: Step) -> None:
        """Take what one of the steps in conflict left."""
        await self.ask(lambda platform: platform.control.choose(ALICE, run, step.name, take=step.joined[0]))

    async def _see(self, id: str) -> Run:
        async def see(platform: Platform) -> Run:
            return (await platform.runs.entry(TENANT, id)).run

        return await self.ask(see)

    async def _undone(self, run: str, step: str) -> None:
        """Say that what no tool can undo was undone by hand."""
        await self.ask(lambda platform: platform.control.resolve(ALICE, run, step, done=True))

    def _ripe(self, dispatched_at: int) -> bool:
        age = self._loop.time() - (dispatched_at % 1_000_000_000_000) / 1e6
        return age > QUARANTINE_SECONDS

    async def _resolve(self, run: str, key: str) -> None:
        done = self._outside.landed(key)
        if not done:
            self.acks.never_happened[key] = self.acks.never_happened.get(key, 0) + 1
        output = {"said": "resolved"} if done else None
        await self.ask(lambda platform: platform.control.resolve(ALICE, run, key, done=done, output=output))


def _answered(answer: "asyncio.Future[tuple[bool, Any]]", value: tuple[bool, Any]) -> None:
    if not answer.done():
        answer.set_result(value)
