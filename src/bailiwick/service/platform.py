"""The platform: the use cases put together, and the worker's seven methods on top of them."""

from collections.abc import Callable

import msgspec

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
    Report,
    Session,
    ToolHost,
    Views,
    World,
)
from bailiwick.run import Event, Run
from bailiwick.service.approving import Approving
from bailiwick.service.catalogue import Catalogue
from bailiwick.service.control import Control
from bailiwick.service.gate import Gate
from bailiwick.service.halts import Halts
from bailiwick.service.keyring import Keyring
from bailiwick.service.reading import Reading
from bailiwick.service.recovering import Recovering
from bailiwick.service.runs import Runs
from bailiwick.service.sequencing import Sequencing, Signer
from bailiwick.service.settling import Settling
from bailiwick.service.streams import Streams
from bailiwick.service.submitting import Submitting
from bailiwick.service.work import Work


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
    ) -> None:
        self.catalogue = catalogue
        self.bundle = bundle
        self.streams = Streams()
        self.observers: list[Observer] = []
        self.halts = Halts(ledger=stores.ledger, views=stores.views, world=world)
        self.runs = Runs(
            ledger=stores.ledger,
            views=stores.views,
            blobs=stores.blobs,
            world=world,
            catalogue=catalogue,
            bundle=bundle,
        )
        self.runs.on_commit = self._committed
        self.gate = Gate(runs=self.runs, catalogue=catalogue, tools=tools, prices=prices, halts=self.halts)
        self.settling = Settling(runs=self.runs, gate=self.gate, prices=prices)
        self.work = Work(
            runs=self.runs,
            queue=stores.queue,
            gate=self.gate,
            halts=self.halts,
            catalogue=catalogue,
            world=world,
        )
        self.submitting = Submitting(runs=self.runs, ledger=stores.ledger, catalogue=catalogue, world=world)
        self.approving = Approving(runs=self.runs, views=stores.views, world=world)
        self.control = Control(runs=self.runs)
        self.recovering = Recovering(
            runs=self.runs,
            queue=stores.queue,
            views=stores.views,
            approving=self.approving,
            world=world,
        )
        self.sequencing = Sequencing(audit=stores.audit, feed=stores.feed, signer=signer)
        self.reading = Reading(runs=self.runs, ledger=stores.ledger, views=stores.views)
        self.keyring = Keyring(ledger=stores.ledger, views=stores.views, world=world, pepper=pepper)

    async def start(self) -> None:
        """Read what must be in memory before the doors open."""
        await self.halts.load()
        await self.keyring.load()

    def _committed(self, before: Run | None, after: Run, events: tuple[Event, ...]) -> None:
        self.streams.committed(after.id, closed=after.closed is not None)
        self.work.observe(before, after)
        for observer in self.observers:
            observer(before, after, events)

    async def hello(self, hello: Hello) -> Session:
        """See `WorkerPort.hello`."""
        return await self.work.hello(hello)

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """See `WorkerPort.heartbeat`."""
        return await self.work.heartbeat(session, wait_seconds)

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """See `WorkerPort.claim`."""
        return await self.work.claim(session, limit, wait_seconds)

    async def act(self, session: str, proposal: Proposal) -> Dispatch | Recorded | Parked:
        """See `WorkerPort.act`."""
        return await self.gate.act(proposal, session)

    async def settle(self, session: str, outcome: Outcome) -> Recorded:
        """See `WorkerPort.settle`."""
        return await self.settling.settle(outcome, session)

    async def frames(self, session: str, frames: tuple[Frame, ...]) -> None:
        """See `WorkerPort.frames`."""
        self.streams.frames(frames)

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """See `WorkerPort.finish`."""
        return await self.work.finish(session, report)
