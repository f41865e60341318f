"""One seed: a world drawn from a number, run with faults, repaired, and brought to its end."""

import asyncio
import gc
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextvars import Context
from typing import Any

import msgspec
import structlog

from bailiwick.base import digest_of
from bailiwick.service import Inspecting, Replayed, replay
from bailiwick.stores import SqliteInspector
from bailiwick.testing.simulation.database import Database
from bailiwick.testing.simulation.faults import Fault, Faults, Point, Strike, plan_text
from bailiwick.testing.simulation.loop import LIFE, Deadlock, Exhausted, Life, SimLoop
from bailiwick.testing.simulation.nodes import Control, Node, WorkerNode
from bailiwick.testing.simulation.oracles import Oracles, Violation
from bailiwick.testing.simulation.outside import Outside
from bailiwick.testing.simulation.people import ROOT, People
from bailiwick.testing.simulation.shop import UNDOES, crowd_of, intent, law_of
from bailiwick.testing.simulation.turns import CROWD_RUNS
from bailiwick.testing.simulation.wire import Network

MAX_POINTS = 40_000
"""A seed that spins uses them up; of 2,000 sound ones the longest took 25,711."""
CHECK_SECONDS = 5.0
CONVERGE_SECONDS = 1_800.0
TICKS_OF_INVARIANTS = 8


class Result(msgspec.Struct):
    """What a seed came to. `kinds` are the points of a world in which nothing went wrong, from number 1 on."""

    seed: int
    digest: str
    points: int
    virtual_seconds: float
    cpu_seconds: float
    violations: list[Violation]
    struck: dict[int, Fault]
    counts: dict[str, int]
    passed: int
    refusals: dict[str, int]
    runs: int
    statuses: dict[str, int]
    calls: dict[str, int]
    unknowns: int
    claims: int
    decided_again: int
    judged_again: int
    approvals: dict[str, int]
    undone: int
    halts: int
    activations: int
    joins: int
    conflicts: int
    kinds: tuple[Point, ...] = ()
    python: str = sys.version.split()[0]

    @property
    def plan(self) -> str:
        """The faults, as `--plan` takes them."""
        return plan_text(self.struck)


class Switches(msgspec.Struct, frozen=True):
    """What of a world is not left to chance; None leaves it."""

    replicas: int | None = None
    workers: int | None = None
    runs: int | None = None


class World:
    """A simulated world.

    Args:
        seed: Draws everything.
        plan: The faults; None: the seed's own.
        switches: What is not left to chance.
    """

    def __init__(self, seed: int, plan: Mapping[int, Fault] | None, switches: Switches) -> None:
        self.seed = seed
        chance = random.Random(f"world {seed}")  # noqa: S311  # a world, not a secret
        self.loop = SimLoop(seed, MAX_POINTS)  # type: ignore[abstract]  # what it lacks fails where it is called
        self.faults = Faults(seed, plan)
        self.quiet = False
        replicas = switches.replicas or (2 if chance.random() < 0.35 else 1)
        self.outside = Outside(self.loop, self.faults, self.at, seed)
        self.database = Database(
            loop=self.loop, faults=self.faults, at=self.at, strike=self.strike, seed=seed, remote=replicas > 1
        )
        self.oracles = Oracles(self.database, self.outside)
        self.outside.on_arrival = self.oracles.arrived
        self.network = Network(self.loop, self.faults, self.strike, seed)
        self._nodes: dict[str, Node] = {}
        self._busy_at = 0.0
        self.controls = [self._control(f"control-{number}", replicas == 1) for number in range(replicas)]
        workers = switches.workers or chance.choice((2, 2, 3, 4))
        skew = chance.choice((0, 0, 40, 86_400))
        # Where all work goes through one replica, what people do at another is what that one must come to know.
        crowded = random.Random(f"homes {seed}").random() < 0.5  # noqa: S311  # a world
        homes = [0 if crowded else number % replicas for number in range(workers)]
        self.workers = [self._worker(number, home, skew) for number, home in enumerate(homes)]
        self.inspector = SqliteInspector(self.database.stepped.connection)
        self.replayed: list[Replayed] = []
        self._ticks = 0
        self.life = self.loop.life("people")
        self.people = People(
            loop=self.loop,
            network=self.network,
            servers=self.controls,
            outside=self.outside,
            chance=random.Random(f"people {seed}"),  # noqa: S311  # whims, not secrets
            life=self.life,
            quiet=lambda: self.quiet,
        )
        count = switches.runs or chance.choice((1, 2, 3, 4, 4))
        self.intents = [intent(chance, number) for number in range(count)]
        # Few worlds, of numbers that the planted bugs do not name: a crowd makes a world long.
        self.crowd = crowd_of(random.Random(f"crowd {seed}"), CROWD_RUNS + 1) if seed % 13 == 11 else []  # noqa: S311  # whims
        self.alone = replicas == 1
        self.halting = chance.random() < 0.45
        self.short = chance.random() < 0.3
        self.lawful = chance.random() < 0.35
        self.seconds = 40 + chance.random() * 120

    def _control(self, name: str, alone: bool) -> Control:
        node = Control(
            name=name,
            loop=self.loop,
            database=self.database,
            outside=self.outside,
            chance=random.Random(f"{name} {self.seed}"),  # noqa: S311  # ids and salts of a world that is not real
            alone=alone,
            broke=self._broke,
            dispatched=lambda dispatch: self.oracles.dispatches.append((self.loop.time(), dispatch)),
        )
        self._nodes[name] = node
        return node

    def _worker(self, number: int, home: int, skew: int) -> WorkerNode:
        node = WorkerNode(
            number=number,
            home=home,
            loop=self.loop,
            network=self.network,
            servers=self.controls,
            outside=self.outside,
            database=self.database,
            chance=random.Random(f"worker {number} {self.seed}"),  # noqa: S311  # see above
        )
        node.world.offset = (skew if number % 2 else -skew) * 1_000_000
        self._nodes[f"worker-{number}"] = node
        return node

    def _broke(self, what: str, error: BaseException) -> None:
        self.oracles.say("no bug", f"{what}: {type(error).__name__}: {error}", self.loop.time())

    async def at(self, point: Point) -> Strike | None:
        """Pass a point of the present life; whoever is struck by a crash never comes back from here."""
        strike = self.faults.at(point)
        life = LIFE.get()
        if strike is None or life is None:
            return None
        if self.strike(life, strike.chance, strike.fault):
            await asyncio.Event().wait()
        if strike.fault is Fault.PAUSE:
            await asyncio.sleep(0)
            return None
        return strike

    def strike(self, life: Life, chance: float, fault: Fault) -> bool:
        """Crash or pause a node.

        Returns:
            Whether the life is over.
        """
        self._busy_at = max(self._busy_at, self.loop.time())
        node = self._nodes.get(life.name)
        if node is None or life.dead:
            return life.dead
        if fault is Fault.PAUSE:
            seconds = 1 + 599 * chance**2
            self.loop.pause(life, seconds)
            self._busy_at = max(self._busy_at, self.loop.time() + seconds)
        if fault is not Fault.CRASH:
            return False
        life.dead = True
        after = 0.5 + 20 * chance
        self._busy_at = max(self._busy_at, self.loop.time() + after)
        self.loop.call_later(after, node.start, context=Context())
        return True

    async def main(self) -> None:
        """Live through both phases."""
        self.life.context.run(self._begin)
        while self.loop.time() < self.seconds:
            await self._tick()
        self._repair()
        end = self.loop.time() + CONVERGE_SECONDS
        while self.loop.time() < end and not self._at_rest():
            await self._tick()
        self.people.done = True
        now = self.loop.time()
        self.oracles.check_tables(now)
        self.oracles.check_blobs(now)
        self.oracles.check_effects(now, self.people.acks.never_happened)
        self.oracles.check_acks(now, self.people.acks)
        self.oracles.check_sagas(now, self.people.acks)
        self.oracles.check_halts(now, self.people.acks, alone=self.alone, calm=self.faults.calm)
        await self._drained()
        self.oracles.check_files(now)
        self.oracles.check_end(now)
        await self._inspect()
        await self._heard()

    def _begin(self) -> None:
        people = self.people
        for work in (people.clients(self.intents, self.seconds * 0.6), people.approvers(), people.operator()):
            self.loop.create_task(work)
        if self.crowd:
            self.loop.create_task(people.crowd(self.crowd[1:], self.crowd[0]))
        if self.halting:
            self.loop.create_task(people.halter())
        if self.short:
            self.loop.create_task(people.treasurer())
        if self.lawful:
            self.loop.create_task(people.lawgiver())
        self.loop.create_task(self._reader())

    async def _reader(self) -> None:
        """Follow the feed, as a consumer does."""
        feed: Any = self.database.faces()["feed"]
        while True:
            after = self.oracles.placed[-1] if self.oracles.placed else 0
            page = await feed.read(after, 500)
            self.oracles.placed.extend(event.position for event in page)
            await asyncio.sleep(9)

    async def _tick(self) -> None:
        """Let some time pass, strike at random, and look at everything."""
        await asyncio.sleep(CHECK_SECONDS)
        strike = self.faults.at(Point.TICK)
        if strike is not None:
            nodes = list(self._nodes.values())
            node = nodes[int(strike.chance * 1_000_003) % len(nodes)]
            if strike.fault is Fault.CLOCK_OFFSET:
                # Two machines are further apart from now on: ticks of one were lost, as when it is moved elsewhere.
                self.controls[int(strike.chance * 997) % len(self.controls)].world.offset -= int(
                    strike.chance * 150_000_000
                )
            elif strike.fault is Fault.DRAIN:
                self._drain(self.workers[int(strike.chance * 997) % len(self.workers)], strike.chance)
            elif strike.fault is Fault.CLOCK_JUMP:
                jump = int((strike.chance - 0.5) * 80_000_000)
                if node in self.controls:
                    self.database.offset += max(jump, 0) // 4
                else:
                    node.world.offset += jump * 1_000
            else:
                self.strike(node.life, strike.chance, strike.fault)
        now = self.loop.time()
        self.oracles.check_tables(now)
        ready = now - self._busy_at > CHECK_SECONDS
        self.oracles.check_blobs(now)
        self.oracles.check_hands(now, self._hands(), ready=ready)
        self._ticks += 1
        if self._ticks % TICKS_OF_INVARIANTS == 0:
            for found in await self.inspector.violations():
                if found.invariant != "leases_are_live":  # whose keeper may be down; `check_hands` sees to it
                    self._unsound(found.invariant, found.id, found.detail)

    def _drain(self, node: WorkerNode, chance: float) -> None:
        """Tell a worker to stop and start it again; some calls take longer than it is given."""
        life, seconds = node.life, 20 * chance
        self._busy_at = max(self._busy_at, self.loop.time() + seconds)
        node.drain(seconds, lambda: self.strike(life, chance / 4, Fault.CRASH))

    def _hands(self) -> dict[str, set[str]]:
        return {node.port.session: set(node.worker._hands) for node in self.workers}  # noqa: SLF001  # an oracle looks inside

    def _repair(self) -> None:
        """End all faults: nothing more goes wrong, and who was stopped goes on."""
        self.faults.active = False
        self.quiet = True
        now = self.loop.time()
        for node in self._nodes.values():
            if node.life.paused_until > now:
                node.life.paused_until = now
                self.loop.call_soon(self.loop._go_on, node.life, context=Context())  # noqa: SLF001  # SIGCONT
        self._busy_at = now

    def _at_rest(self) -> bool:
        runs = self.oracles.runs
        submitted = len(self.people.acks.runs) == len(self.intents) + len(self.crowd)
        pending = self.people.regretting or self.outside.on_the_way
        return submitted and not pending and all(run.closed is not None for run in runs.values())

    def _unsound(self, invariant: str, id: str, detail: str) -> None:
        self.oracles.say("P15 invariants", f"{invariant}: {id}: {detail}", self.loop.time())

    async def _inspect(self) -> None:
        """Ask the invariants that an operator can ask, and decide every run again by its record."""
        now = self.loop.time()
        for found in await Inspecting(self.inspector, self.database.blobs).violations():
            self._unsound(found.invariant, found.id, found.detail)
        platform = next(control.platform for control in self.controls if control.platform is not None)
        for id, run in self.oracles.runs.items():
            reader = msgspec.structs.replace(ROOT, tenant=run.tenant)
            transcript = await platform.transcribing.transcript(reader, id, "simulated")
            self.replayed.append(replayed := replay(transcript, law_of))
            for part in replayed.differences:
                self.oracles.say("P9 replay", f"{part.place} {part.what}: {part.detail[:400]}", now)
            for lacking in replayed.unkept:
                self.oracles.say("P9 replay", f"{id} cannot be decided again: {lacking}", now)

    async def _heard(self) -> None:
        """Say which task died of an error that nobody looked at: of a node, or of the people who repair it."""
        before = self.loop.unheard()
        await asyncio.sleep(CHECK_SECONDS)
        for task in self.loop.unheard():
            if any(task is each for each in before):
                self._broke(
                    f"nobody awaits {getattr(task.coro, '__qualname__', task.number)}",
                    task.exception() or Exception(),
                )

    async def _drained(self) -> None:
        """Wait until the feed's reader and the audit log have all of it, and somebody is there to be asked."""
        for _ in range(20):
            events = len(self.database.stepped.rows("events", "pos"))
            leaves = len(self.database.stepped.rows("leaves", "pos"))
            there = any(control.platform is not None for control in self.controls)
            if there and len(self.oracles.placed) == events == leaves:
                return
            await asyncio.sleep(CHECK_SECONDS)

    def result(self, cpu_seconds: float) -> Result:
        """Sum up."""
        runs = self.oracles.runs.values()
        last = self.database.stepped.rows("events", "leaf")
        content = b"".join(row[0] for row in last) + self.loop.digest.to_bytes(8)
        return Result(
            seed=self.seed,
            digest=digest_of(content)[:16],
            points=self.loop.points,
            virtual_seconds=self.loop.time(),
            cpu_seconds=cpu_seconds,
            violations=self.oracles.violations,
            struck=self.faults.struck,
            counts=dict(self.faults.counts),
            passed=self.faults.passed,
            kinds=() if self.faults.struck else tuple(self.faults.kinds),
            refusals=dict(sum((control.refusals for control in self.controls), self.database.refusals)),
            runs=len(self.oracles.runs),
            statuses=dict(Counter(str(run.status) for run in runs)),
            calls=dict(Counter(str(call.state) for run in runs for call in run.calls.values())),
            unknowns=self.oracles.unknowns,
            claims=sum(step.epoch for run in runs for step in run.steps.values()),
            decided_again=sum(replayed.decisions for replayed in self.replayed),
            judged_again=sum(replayed.verdicts for replayed in self.replayed),
            approvals=dict(Counter(state for (state,) in self.database.stepped.rows("approvals", "state"))),
            undone=sum(tool in UNDOES.values() for _, tool, _ in self.outside.history),
            halts=len(self.people.acks.halts),
            activations=self.oracles.activations,
            joins=self.oracles.joins,
            conflicts=len(self.oracles.conflicts),
        )


def simulate(seed: int, plan: Mapping[int, Fault] | None = None, switches: Switches | None = None) -> Result:
    """Run one seed to its end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.process_time()
    collecting = gc.isenabled()
    gc.disable()
    world = World(seed, plan, switches if switches is not None else Switches())
    try:
        world.loop.run(world.main())
    except (Deadlock, Exhausted) as stuck:
        world.oracles.say("P4 convergence", f"{type(stuck).__name__}: {stuck}", world.loop.time())
    finally:
        for fault in world.loop.faults:
            world.oracles.say("no bug", fault, world.loop.time())
        result = world.result(time.process_time() - began)
        world.loop.close()
        world.database.stepped.close()
        del world
        if collecting:
            gc.enable()
    return result
