"""The platform: the use cases put together, and the worker's seven methods on top of them."""

from collections.abc import Callable

import msgspec
import structlog

from bailiwick.budget import PriceTable
from bailiwick.policy import Bundle
from bailiwick.ports import (
    Assignment,
    AuditLog,
    Blobs,
    Dispatch,
    Feed,
    Frame,
    Hello,
    Ledger,
    Notice,
    Outcome,
    Parked,
    Proposal,
    Queue,
    Recorded,
    Remembered,
    Report,
    Session,
    ToolHost,
    Views,
    Witness,
    World,
)
from bailiwick.run import LEASE_SECONDS, Event, Run, moved_in
from bailiwick.service.core.breaks import Breaks, GuardedLedger
from bailiwick.service.core.catalogue import Catalogue
from bailiwick.service.core.changes import Record
from bailiwick.service.core.limits import LimitBook
from bailiwick.service.core.refusing import Governed, Refusing
from bailiwick.service.core.runs import Runs
from bailiwick.service.core.streams import Streams
from bailiwick.service.gate.actions import Actions
from bailiwick.service.gate.gate import Gate
from bailiwick.service.gate.granting import Granting
from bailiwick.service.gate.halts import Halts, Sharing
from bailiwick.service.gate.storage import Storage
from bailiwick.service.hands.assigning import Assigning
from bailiwick.service.hands.claiming import Claiming
from bailiwick.service.hands.finishing import Finishing
from bailiwick.service.hands.leaving import LEAVES, Leaving
from bailiwick.service.hands.sessions import Sessions
from bailiwick.service.hands.settling import Settling
from bailiwick.service.people.activating import Activating
from bailiwick.service.people.admitting import Admitting
from bailiwick.service.people.approving import Approving
from bailiwick.service.people.budgets import Budgets
from bailiwick.service.people.control import Control
from bailiwick.service.people.identities import Identities
from bailiwick.service.people.keyring import Keyring
from bailiwick.service.people.reading import Reading
from bailiwick.service.people.standing import DAY_HOURS, Standings
from bailiwick.service.people.submitting import Submitting
from bailiwick.service.people.tenancy import Tenancy
from bailiwick.service.proof.erasing import Erasing
from bailiwick.service.proof.sequencing import Sequencing
from bailiwick.service.proof.signer import Signer
from bailiwick.service.proof.transcript import Transcribing
from bailiwick.service.proof.witnessing import Witnessing
from bailiwick.service.upkeep.comparing import Comparing
from bailiwick.service.upkeep.lifting import Lifting
from bailiwick.service.upkeep.recovering import Recovering
from bailiwick.service.upkeep.redeciding import Redeciding

log = structlog.get_logger("bailiwick.run")

MAX_WAIT_SECONDS = 60.0
Observer = Callable[[Run | None, Run, tuple[Event, ...]], None]
"""Sees each committed change of a run (before, after, the events); it must be quick and must not raise."""


class Stores(msgspec.Struct, frozen=True):
    """The store's faces, and the blobs."""

    ledger: Ledger
    queue: Queue
    views: Views
    feed: Feed
    audit: AuditLog
    blobs: Blobs


class Platform:
    """The control plane as one object; implements `ports.WorkerPort`."""

    def __init__(
        self,
        *,
        stores: Stores,
        world: World,
        catalogue: Catalogue,
        bundle: Bundle,
        tools: ToolHost,
        prices: PriceTable,
        signer: Signer,
        pepper: bytes,
        witnesses: tuple[Witness, ...] = (),
        remembered: Remembered | None = None,
        sharing: Sharing | None = None,
        four_eyes_hours: float = DAY_HOURS,
        lease_seconds: float = LEASE_SECONDS,
        limits: LimitBook | None = None,
        planners: tuple[str, ...] = (),
    ) -> None:
        self.limits = limits if limits is not None else LimitBook()
        self.catalogue = catalogue
        self.breaks = Breaks()
        stores = msgspec.structs.replace(stores, ledger=GuardedLedger(stores.ledger, self.breaks))
        self.streams = Streams()
        self.observers: list[Observer] = []
        self.halts = Halts(ledger=stores.ledger, views=stores.views, world=world, sharing=sharing)
        self.runs = Runs(
            ledger=stores.ledger,
            views=stores.views,
            blobs=stores.blobs,
            world=world,
            catalogue=catalogue,
            bundle=bundle,
        )
        self.runs.on_commit = self._committed
        actions = Actions(runs=self.runs, catalogue=catalogue, tools=tools, prices=prices)
        self.storage = Storage(blobs=stores.blobs, limits=self.limits)
        self.gate = Gate(runs=self.runs, actions=actions, halts=self.halts, storage=self.storage)
        self.sessions = Sessions(
            runs=self.runs,
            queue=stores.queue,
            gate=self.gate,
            halts=self.halts,
            world=world,
            lease_seconds=lease_seconds,
            limits=self.limits,
        )
        self.settling = Settling(runs=self.runs, gate=self.gate, sessions=self.sessions, prices=prices)
        self.runs.on_doubt = self.sessions.doubt
        self.standings = Standings(views=stores.views, world=world, hours=four_eyes_hours)
        operators = sharing.operators if sharing is not None else ""
        self.keyring = Keyring(
            ledger=stores.ledger, views=stores.views, world=world, pepper=pepper, operators=operators
        )
        self._serve_workers(stores, actions, world)
        self._serve_people(stores, world, planners)
        self._govern()
        self.sequencing = Sequencing(
            audit=stores.audit, feed=stores.feed, signer=signer, breaks=self.breaks, remembered=remembered
        )
        self.witnessing = Witnessing(
            audit=stores.audit,
            ledger=stores.ledger,
            views=stores.views,
            sequencing=self.sequencing,
            witnesses=witnesses,
            world=world,
        )

    def _serve_workers(self, stores: Stores, actions: Actions, world: World) -> None:
        """Put together what hands out steps and takes them back, and what looks after both."""
        granting = Granting(runs=self.runs, actions=actions, halts=self.halts)
        assigning = Assigning(runs=self.runs, granting=granting, halts=self.halts)
        self.claiming = Claiming(
            runs=self.runs, queue=stores.queue, sessions=self.sessions, assigning=assigning, world=world
        )
        self.leaving = Leaving(runs=self.runs, sessions=self.sessions, gate=self.gate)
        self.finishing = Finishing(
            runs=self.runs, sessions=self.sessions, assigning=assigning, halts=self.halts, world=world
        )
        self.approving = Approving(runs=self.runs, views=stores.views, standings=self.standings, world=world)
        self.redeciding = Redeciding(runs=self.runs, actions=actions, views=stores.views, world=world)
        self.recovering = Recovering(
            runs=self.runs,
            queue=stores.queue,
            views=stores.views,
            sessions=self.sessions,
            approving=self.approving,
            world=world,
        )

    def _serve_people(self, stores: Stores, world: World, planners: tuple[str, ...]) -> None:
        """Put together what people ask for through the doors."""
        self.budgets = Budgets(ledger=stores.ledger, views=stores.views, world=world)
        self.lifting = Lifting(runs=self.runs, views=stores.views, halts=self.halts)
        self.halts.on_set = self.sessions.tell_halted
        self.halts.on_lift = self.lifting.release
        self.admitting = Admitting(
            views=stores.views, queue=stores.queue, world=world, limits=self.limits, shared=self.halts.shared
        )
        self.submitting = Submitting(
            runs=self.runs,
            ledger=stores.ledger,
            catalogue=self.catalogue,
            sessions=self.sessions,
            halts=self.halts,
            budgets=self.budgets,
            keyring=self.keyring,
            admitting=self.admitting,
            storage=self.storage,
            world=world,
            planners=planners,
        )
        self.control = Control(runs=self.runs, budgets=self.budgets)
        self.activating = Activating(
            runs=self.runs, ledger=stores.ledger, blobs=stores.blobs, halts=self.halts, world=world
        )
        self.erasing = Erasing(
            runs=self.runs, ledger=stores.ledger, blobs=stores.blobs, streams=self.streams, world=world
        )
        self.reading = Reading(runs=self.runs, ledger=stores.ledger, views=stores.views, breaks=self.breaks)
        self.comparing = Comparing(runs=self.runs, views=stores.views)
        self.transcribing = Transcribing(
            runs=self.runs, ledger=stores.ledger, views=stores.views, blobs=stores.blobs
        )
        self.identities = Identities(keyring=self.keyring, world=world)
        self.tenancy = Tenancy(keyring=self.keyring, halts=self.halts, views=stores.views, world=world)
        self.refusing = Refusing(ledger=stores.ledger, world=world)

    def _govern(self) -> None:
        """Have what each family of use cases refuses noted."""
        families: tuple[Governed, ...] = (
            self.approving,
            self.control,
            self.halts,
            self.keyring,
            self.identities,
            self.tenancy,
            self.budgets,
            self.erasing,
            self.activating,
            self.submitting,
        )
        for family in families:
            family.refusing = self.refusing

    @property
    def bundle(self) -> Bundle:
        """The policies in force."""
        return self.runs.bundle

    async def start(self) -> None:
        """Read what must be in memory before the doors open, and let go what was halted when it closed."""
        self.admitting.start()
        await self.halts.load()
        await self.keyring.load()
        await self.activating.start()
        await self.redeciding.ask_again()
        await self.lifting.release()
        await self.sequencing.scrutiny.look_at_all()

    def _committed(self, before: Run | None, after: Run, events: tuple[Event, ...], record: Record) -> None:
        self.streams.committed(after.id, closed=after.closed is not None)
        self.sessions.observe(before, after, record, moved_in(events))
        self.admitting.observe(before, after)
        if before is None or before.status is not after.status:
            log.info("run.status", run_id=after.id, trace_id=trace_id_of(after.trace), status=after.status)
        for observer in self.observers:
            observer(before, after, events)

    async def hello(self, hello: Hello) -> Session:
        """See `WorkerPort.hello`."""
        return await self.sessions.hello(hello)

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """See `WorkerPort.heartbeat`."""
        return await self.sessions.heartbeat(session, _patience(wait_seconds))

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """See `WorkerPort.claim`."""
        return await self.claiming.claim(session, limit, _patience(wait_seconds))

    async def act(self, session: str, proposal: Proposal) -> Dispatch | Recorded | Parked:
        """See `WorkerPort.act`."""
        if self.sessions.leaving(session):
            return Parked(LEAVES)
        return await self.gate.act(proposal, session)

    async def settle(self, session: str, outcome: Outcome) -> Recorded:
        """See `WorkerPort.settle`."""
        return await self.settling.settle(outcome, session)

    async def frames(self, session: str, frames: tuple[Frame, ...]) -> None:
        """See `WorkerPort.frames`; frames of steps that the session does not hold are dropped."""
        self.streams.frames(frame for frame in frames if self.sessions.holds(session, frame))

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """See `WorkerPort.finish`."""
        await self.gate.attempting.left(report.tenant, report.run, report.step, report.epoch, session)
        return await self.finishing.finish(session, report)

    async def leave(self, session: str) -> int:
        """See `WorkerPort.leave`."""
        return await self.leaving.leave(session)


def _patience(seconds: float) -> float:
    """Bound a wait that a worker asks for: what is no number above zero waits for nothing."""
    return min(seconds, MAX_WAIT_SECONDS) if seconds > 0 else 0.0


def trace_id_of(traceparent: str) -> str:
    """Read the trace id out of a W3C traceparent; empty when there is none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""
