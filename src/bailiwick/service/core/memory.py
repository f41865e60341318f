"""Memory: runs that were read of late, with their plans and payloads; a cache that may be emptied any time."""

from collections import OrderedDict
from collections.abc import Iterable

from bailiwick.base import Digest, Json, parse_canonical
from bailiwick.plan import Plan, parse_plan, plan_bytes
from bailiwick.ports import Blobs, Ledger, Views
from bailiwick.run import Run, decode_event, evolve
from bailiwick.service.core.catalogue import Catalogue
from bailiwick.service.core.pinned import Pinned, pinned_of
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.rows import differences, head_row

REMEMBERED_RUNS = 512  # a few KB each; a run that is not here is folded from its events again
REMEMBERED_PLANS = 256
REMEMBERED_PAYLOADS = 256
_PAGE = 500


class Entry:
    """A run in memory: its state, its plan, what it holds on to, and the payloads read of late, parsed from their bytes.

    `differences` say where the stored projection was not what the log says when the run was read.
    """

    def __init__(self, run: Run, plan: Plan, pinned: Pinned) -> None:
        self.run = run
        self.plan = plan
        self.pinned = pinned
        self.contents: OrderedDict[int, Json] = OrderedDict()
        self.differences: list[str] = []

    def remember(self, seq: int, payload: Json) -> None:
        """Keep a payload; the oldest goes when there are many. Those of an ended run may be erased by another process."""
        if self.run.closed is not None:
            return
        self.contents[seq] = payload
        if len(self.contents) > REMEMBERED_PAYLOADS:
            self.contents.popitem(last=False)


class Memory:
    """Reads runs from the ledger and keeps those that were used last."""

    def __init__(self, *, ledger: Ledger, views: Views, blobs: Blobs, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._views = views
        self._blobs = blobs
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._laws: dict[tuple[str, ...], None] = {}

    async def entry(self, tenant: str, run: str, *, least: int = 0) -> Entry:
        """Load a run of a tenant; one that is remembered at a version below `least` is read again.

        Raises:
            NotFound: The tenant has none of this id.
        """
        entry = self._entries.get(run)
        if entry is not None and entry.run.version < least:
            entry = None  # another process has moved it on
        entry = self.keep(entry if entry is not None else await self.compared(tenant, run))
        if entry.run.tenant != tenant:
            raise NotFound("run", run)
        if entry.pinned.gone:
            entry.pinned = await self.pinned(entry.run, entry.plan)  # somebody may have restored it
        return entry

    async def pinned(self, run: Run, plan: Plan) -> Pinned:
        """Read back what a run holds on to."""

        async def read(digest: str) -> bytes | None:
            return await self._blobs.get(run.tenant, Digest(digest))

        app = self._catalogue.find(run.tenant, run.app)
        return await pinned_of(run, plan, app, self._catalogue.contracts(run.tenant, run.app), read)

    def known(self, run: str) -> Entry | None:
        """Find a run that is in memory."""
        return self._entries.get(run)

    def tenants(self) -> list[str]:
        """Name the tenants whose runs are in memory."""
        return sorted({entry.run.tenant for entry in self._entries.values()})

    def keep(self, entry: Entry) -> Entry:
        """Remember a run as the one used last; of two that were loaded side by side the newer one stays."""
        other = self._entries.get(entry.run.id)
        if other is not None and other.run.version > entry.run.version:
            entry = other
        self._entries[entry.run.id] = entry
        self._entries.move_to_end(entry.run.id)
        if len(self._entries) > REMEMBERED_RUNS:
            self._entries.popitem(last=False)
        return entry

    def forget(self, run: str) -> None:
        """Drop a run whose state in memory may be wrong."""
        self._entries.pop(run, None)

    async def payload(self, tenant: str, run: str, seq: int) -> Json:
        """Read the payload of one event; None when it has none or it was erased."""
        entry = await self.entry(tenant, run)
        if seq in entry.contents:
            return entry.contents[seq]
        found = await self._ledger.payloads(tenant, run, [seq])
        if seq not in found:
            return None
        value = parse_canonical(found[seq])
        entry.remember(seq, value)
        return value

    async def read(self, entry: Entry, seqs: tuple[int, ...]) -> dict[int, Json]:
        """Read payloads, and remember them.

        Raises:
            NotFound: One of them does not exist or was erased.
        """
        wanted = [seq for seq in seqs if seq not in entry.contents]
        values = {seq: entry.contents[seq] for seq in seqs if seq in entry.contents}
        if wanted:
            found = await self._ledger.payloads(entry.run.tenant, entry.run.id, wanted)
            for seq in wanted:
                if seq not in found:
                    raise NotFound("payload", f"{entry.run.id}.{seq}")
                values[seq] = parse_canonical(found[seq])
                entry.remember(seq, values[seq])
        return values

    async def keep_plan(self, tenant: str, plan: Plan) -> Digest:
        """Store a plan once; it is named by its digest everywhere else."""
        digest = plan.digest
        if f"{tenant}/{digest}" not in self._plans:
            await self._blobs.put(tenant, plan_bytes(plan))
            self._remember_plan(f"{tenant}/{digest}", plan)
        return digest

    async def keep_law(self, tenant: str, name: tuple[str, ...], laws: Iterable[tuple[str, bytes]]) -> None:
        """Store what decisions of a tenant rest on (policies, contracts, prompts), before the first is committed.

        `name` stands for all of these bodies: they are stored once under it.
        """
        if (tenant, *name) in self._laws:
            return
        for _, body in laws:
            await self._blobs.put(tenant, body)
        self._laws[tenant, *name] = None

    async def _plan(self, tenant: str, digest: Digest) -> Plan:
        plan = self._plans.get(f"{tenant}/{digest}")
        if plan is None:
            body = await self._blobs.get(tenant, digest)
            if body is None:
                raise NotFound("plan", digest)
            plan = parse_plan(body)
        self._remember_plan(f"{tenant}/{digest}", plan)
        return plan

    def _remember_plan(self, name: str, plan: Plan) -> None:
        self._plans[name] = plan
        self._plans.move_to_end(name)
        if len(self._plans) > REMEMBERED_PLANS:
            self._plans.popitem(last=False)

    def remembered(self) -> list[Run]:
        """List the runs in memory that have not ended."""
        return [entry.run for entry in self._entries.values() if entry.run.closed is None]

    async def compared(self, tenant: str, run: str) -> Entry:
        """Fold a run from its committed events, and compare the stored projection with it.

        Raises:
            NotFound: The tenant has none of this id, or not its plan.
        """
        while True:
            entry = await self.load(tenant, run)
            head = await self._views.run(tenant, run)
            if head is None:
                entry.differences = ["the run has no projection"]
                return entry
            if head.version <= entry.run.version or not await self._grown(entry):
                entry.differences = differences(head, head_row(entry.run))
                return entry

    async def _grown(self, entry: Entry) -> bool:
        """Whether events were committed since the run was read."""
        return bool(await self._ledger.events(entry.run.tenant, entry.run.id, entry.run.version, 1))

    async def load(self, tenant: str, run: str, version: int = 0) -> Entry:
        """Fold a run from its committed events, up to a version if one is given.

        Raises:
            NotFound: The tenant has none of this id, or not its plan.
        """
        state: Run | None = None
        after = 0
        contents: OrderedDict[int, bytes] = OrderedDict()
        while True:
            room = min(_PAGE, version - after) if version else _PAGE
            page = await self._ledger.events(tenant, run, after, room) if room else ()
            for stored in page:
                state = evolve(state, decode_event(stored.header))
                if stored.payload is not None:
                    contents[stored.seq] = stored.payload
                    if len(contents) > REMEMBERED_PAYLOADS:
                        contents.popitem(last=False)
            if len(page) < _PAGE:
                break
            after = page[-1].seq
        if state is None:
            raise NotFound("run", run)
        plan = await self._plan(tenant, state.plan)
        entry = Entry(state, plan, await self.pinned(state, plan))
        if state.closed is None:
            for seq, payload in contents.items():
                entry.remember(seq, parse_canonical(payload))
        return entry
