"""Load a run, decide, commit: the one way in which a run changes."""

import asyncio
from collections import ChainMap
from collections.abc import Callable, Mapping

import structlog
from msgspec.structs import replace

from bailiwick.base import Category, Json, Refusal, canonical, parse_canonical
from bailiwick.contract import Contract
from bailiwick.plan import Plan
from bailiwick.policy import Bundle, Verdict
from bailiwick.ports import (
    MAX_CLOCK_ERROR_SECONDS,
    Blobs,
    ClockUnsure,
    Ledger,
    StaleVersion,
    Unit,
    Views,
    World,
)
from bailiwick.run import (
    ContentNeeded,
    Created,
    Event,
    Join,
    Merged,
    Offer,
    Quarantine,
    Run,
    Sight,
    Start,
    TreesNeeded,
    create,
    decide,
    kind_of,
)
from bailiwick.service.core.accompanying import accompany
from bailiwick.service.core.alone import Alone
from bailiwick.service.core.catalogue import Catalogue, Contracts
from bailiwick.service.core.changes import Change, Changer, Extra, Record
from bailiwick.service.core.lineage import Decided
from bailiwick.service.core.memory import Entry, Memory
from bailiwick.service.core.merging import merged
from bailiwick.service.core.pinned import Pinned
from bailiwick.service.core.rows import differences, head_row
from bailiwick.service.core.starting import start_of
from bailiwick.service.core.units import unit_of

MAX_DECISIONS = 8
MAX_TOLD = 400
log = structlog.get_logger("bailiwick.runs")

Announcement = Callable[[Run | None, Run, tuple[Event, ...], Record], None]


class Runs:
    """The runs of this deployment; one change of a run at a time in this process, a guard in the store beyond."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        views: Views,
        blobs: Blobs,
        world: World,
        catalogue: Catalogue,
        bundle: Bundle,
    ) -> None:
        self.ledger = ledger
        self.views = views
        self.blobs = blobs
        self.world = world
        self.catalogue = catalogue
        self.bundle = bundle
        self.memory = Memory(ledger=ledger, views=views, blobs=blobs, catalogue=catalogue)
        self.on_commit: Announcement | None = None
        self.on_doubt: Callable[[str, str], None] | None = None
        self._alone = Alone()
        self._stirring: dict[str, asyncio.Event] = {}

    async def entry(self, tenant: str, run: str, *, least: int = 0) -> Entry:
        """Load a run of a tenant, at version `least` or a newer one.

        Raises:
            NotFound: The tenant has none of this id.
        """
        return await self.memory.entry(tenant, run, least=least)

    async def pinned(self, run: Run) -> Pinned:
        """Tell what a run holds on to."""
        return (await self.memory.entry(run.tenant, run.id)).pinned

    async def contract(self, run: Run, capability: str) -> Contract:
        """Find the contract of a recorded action: the pinned one, or the one that an older release went on with.

        Raises:
            NotFound: It is gone.
        """
        pinned = (await self.pinned(run)).contracts.get(capability)
        return pinned if pinned is not None else self.catalogue.contracts(run.tenant, run.app)[capability]

    async def payload(self, tenant: str, run: str, seq: int) -> Json:
        """Read the payload of one event; None when it has none or it was erased."""
        return await self.memory.payload(tenant, run, seq)

    async def open(
        self, opening: Created, plan: Plan, extra: Extra, *, record: Record, offer: Offer | None = None
    ) -> Run:
        """Create a run: its first events, its tasks and its head in one unit."""
        await self.memory.keep_plan(opening.tenant, plan)
        contracts = self.catalogue.app(opening.tenant, opening.app).contracts
        await self._keep_law(opening.tenant, opening.app, contracts)
        body, payload = _bytes_of(extra.payload)
        events, run = create(opening, plan, self.sight_of(opening, plan, {1: payload}, contracts), offer)
        decided = Decided(None, run, plan, events)
        async with self._alone.with_run(run.id):
            canceled = await self._commit(unit_of(decided, extra, record, body, self.world))
            entry = Entry(run, plan, await self.memory.pinned(run, plan))
            entry.remember(1, payload)
            self.memory.keep(entry)
            self._announce(decided, record)
        if canceled:
            raise asyncio.CancelledError
        return run

    async def change(self, tenant: str, run: str, changer: Changer) -> tuple[Run, Run]:
        """Let a changer look at the run and say what to do; decide it and commit it.

        The changer may be asked again when another process was faster. It may answer None: nothing to do; that,
        like a refusal, is believed only of the newest state.

        Returns:
            The state before and after.

        Raises:
            Refusal: What the machine or the store refuses; nothing was written.
        """
        async with self._alone.with_run(run):
            return await self._change(tenant, run, changer)

    async def _change(self, tenant: str, run: str, changer: Changer) -> tuple[Run, Run]:
        for attempt in range(MAX_DECISIONS):
            entry = await self._sound(tenant, run)
            before = entry.run
            try:
                change = await changer(before, entry.plan)
                if change is not None:
                    return before, await self._committed(entry, change)
                if attempt + 1 == MAX_DECISIONS or not await self._overtaken(before):
                    return before, before
            except StaleVersion:
                if attempt + 1 == MAX_DECISIONS:
                    raise
            except Refusal:
                if attempt + 1 == MAX_DECISIONS or not await self._overtaken(before):
                    raise
        raise AssertionError("the loop returns or raises")

    async def catch_up(self, tenant: str, run: str) -> tuple[Run, Run]:
        """Read a run anew if another process has changed it; answer the state remembered, and the newest.

        Raises:
            NotFound: The tenant has none of this id.
        """
        async with self._alone.with_run(run):
            before = (await self.entry(tenant, run)).run
            if not await self._overtaken(before):
                return before, before
            return before, (await self.entry(tenant, run)).run

    async def compare(self, tenant: str, run: str) -> bool:
        """Compare a run's stored projection with its log; whether they differed, and the run is in quarantine now.

        Raises:
            NotFound: The tenant has none of this id.
        """
        async with self._alone.with_run(run):
            known = self.memory.known(run)
            head = await self.views.run(tenant, run)
            if known is not None and head is not None and not differences(head, head_row(known.run)):
                return False
            entry = await self.memory.compared(tenant, run)
            if not entry.differences:
                if known is not None:
                    self.memory.keep(entry)  # another process has changed it, or ended it
                return False
            if entry.run.closed is None:
                await self._quarantined(entry)
            return True

    async def _sound(self, tenant: str, run: str) -> Entry:
        """Load a run to change it; one whose projection is not what its log says goes into quarantine first."""
        entry = await self.entry(tenant, run)
        if entry.differences and entry.run.closed is None:
            await self._quarantined(entry)
        return entry

    async def _quarantined(self, entry: Entry) -> None:
        """Let a run stand still: the unit writes its projection anew, and keeps what was wrong with it."""
        told = "; ".join(entry.differences)[:MAX_TOLD]
        reason = (
            f"divergence: log and projection disagree: {told}. The projection was written anew from the log; "
            f"find out who changed it, then: bailiwick runs resume {entry.run.id}"
        )
        log.error("run.diverged", run_id=entry.run.id, differences=told)
        await self._committed(entry, Change(Quarantine(reason), Record("platform:comparer")))
        entry.differences = []

    async def _overtaken(self, run: Run) -> bool:
        """Whether an answer rests on an old state: another process has changed the run; then it is read anew."""
        head = await self.views.run(run.tenant, run.id)
        if head is None or head.version == run.version:
            return False
        self.memory.forget(run.id)
        return True

    async def _committed(self, entry: Entry, change: Change) -> Run:
        """Decide a change and commit it; what is in memory of a run whose commit failed is dropped."""
        before = entry.run
        body, payload = _bytes_of(change.extra.payload)
        events, after = await self._decide(entry, change, payload)
        if not events:
            return before
        decided = Decided(before, after, entry.plan, events, kind_of(change.command))
        await self._keep_law(before.tenant, before.app, entry.pinned.contracts)
        extra = await accompany(decided, change.extra, self.views, self.world)
        unit = unit_of(decided, extra, change.record, body, self.world, _law(entry))
        canceled = await self._commit(unit)
        entry.run = after
        if body is not None:
            entry.remember(before.version + 1, payload)
        if after.closed is not None:
            entry.contents.clear()
        self.memory.keep(entry)
        self._announce(decided, change.record)
        if canceled:
            raise asyncio.CancelledError
        return after

    async def _keep_law(self, tenant: str, app: str, contracts: Contracts) -> None:
        """Keep what this process decides by, so that every decision can be taken again, and what its apps' runs pin."""
        entry, policies = self.catalogue.find(tenant, app), self.bundle
        kept = entry.kept if entry is not None else ()
        laws = ((policies.version, policies.body), (contracts.digest, contracts.body), *kept)
        await self.memory.keep_law(tenant, (app, policies.version, contracts.digest), laws)

    async def _commit(self, unit: Unit) -> bool:
        """Commit; what is in memory of a run whose commit failed is dropped.

        Where the store does not answer, the commit may have happened all the same: `on_doubt` is told, so that
        nobody holds a step without knowing it.

        Returns:
            Whether the caller was canceled meanwhile, and must raise that once it has told others of the commit.
        """
        work = asyncio.get_running_loop().create_task(self.ledger.commit(unit))
        canceled = await _to_its_end(work)
        try:
            work.result()
        except BaseException as failure:
            self.memory.forget(unit.run)
            unanswered = isinstance(failure, Refusal) and failure.category is Category.UNAVAILABLE
            if unanswered and self.on_doubt is not None:
                self.on_doubt(unit.tenant, unit.run)
            if canceled:
                raise asyncio.CancelledError from failure  # whoever ends this task must not be told of a refusal
            raise
        return canceled

    async def _decide(self, entry: Entry, change: Change, payload: Json) -> tuple[tuple[Event, ...], Run]:
        fresh: dict[int, Json] = {}
        if change.extra.payload is not None:
            fresh[entry.run.version + 1] = payload
        merges: dict[Join, Merged] = {}
        while True:
            known = ChainMap(fresh, entry.contents)
            sight = self.sight_of(entry.run, entry.plan, known, entry.pinned.contracts, merges)
            sight = replace(sight, at=change.at) if change.at else sight
            try:
                return decide(entry.run, entry.plan, change.command, sight, change.offer)
            except ContentNeeded as needed:
                fresh.update(await self.memory.read(entry, needed.seqs))
            except TreesNeeded as apart:
                merges[apart.join] = await merged(self.blobs, entry.run.tenant, apart.join)

    def sight_of(
        self,
        run: Run | Created,
        plan: Plan,
        contents: Mapping[int, Json],
        contracts: Contracts,
        merges: Mapping[Join, Merged] | None = None,
    ) -> Sight:
        """Make what decisions may see: the time, contents, the run's contracts, policy's judgement of starts, and merges.

        Raises:
            ClockUnsure: Nobody knows the time well enough.
        """
        error = self.world.error_seconds()
        if error > MAX_CLOCK_ERROR_SECONDS:
            raise ClockUnsure(error)

        def judge(start: Start) -> Verdict:
            return self.bundle.decide(start_of(start, plan))

        return Sight(self.world.now(), contents, contracts, judge, merges or {})

    def _announce(self, decided: Decided, record: Record) -> None:
        stirred = self._stirring.pop(decided.after.id, None)
        if stirred is not None:
            stirred.set()
        if self.on_commit is not None:
            self.on_commit(decided.before, decided.after, decided.events, record)

    def stirring(self, run: str) -> asyncio.Event:
        """Hand out an event that the run's next change sets."""
        return self._stirring.setdefault(run, asyncio.Event())


def _law(entry: Entry) -> str:
    """Name the contracts that decide, where those that the run began with are not kept."""
    digest = entry.pinned.contracts.digest
    return "" if digest == entry.run.catalogue else digest


async def _to_its_end(work: asyncio.Task[None]) -> bool:
    """Wait for a commit even when canceled, since it cannot be taken back and others must hear of it.

    Returns:
        Whether the caller was canceled meanwhile.
    """
    canceled = False
    loop = asyncio.get_running_loop()
    while not work.done():
        ended = loop.create_future()  # the caller's own: who cancels it does not cancel the commit

        def hear(_: object, ended: asyncio.Future[None] = ended) -> None:
            if not ended.done():
                ended.set_result(None)

        work.add_done_callback(hear)
        try:
            await ended
        except asyncio.CancelledError:
            canceled = True
    return canceled


def _bytes_of(payload: Json) -> tuple[bytes | None, Json]:
    """Encode a payload and parse it back: what is remembered is what a restart reads, and nobody else's object."""
    if payload is None:
        return None, None
    body = canonical(payload)
    return body, parse_canonical(body)
