"""Load a run, decide, commit: the one way in which a run changes."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base import Digest, Json, canonical, parse_canonical
from bailiwick.plan import Plan, parse_plan, plan_bytes, plan_digest
from bailiwick.policy import ActionKind, ActionRequest, Bundle, Principal, PrincipalKind, Verdict
from bailiwick.ports import (
    Approval,
    ApprovalState,
    Blobs,
    Draft,
    Ledger,
    MoveApproval,
    Posting,
    StaleVersion,
    Submission,
    Unit,
    Views,
    World,
)
from bailiwick.run import (
    CallMoved,
    CallState,
    Command,
    ContentNeeded,
    Created,
    Event,
    Offer,
    Run,
    Sight,
    Start,
    create,
    decide,
    decode_event,
    evolve,
)
from bailiwick.service.catalogue import Catalogue
from bailiwick.service.refusals import NotFound
from bailiwick.service.rows import head_row, task_rows

MAX_DECISIONS = 8
REMEMBERED_RUNS = 2048
REMEMBERED_PAYLOADS = 256
_PAGE = 500


class Extra(msgspec.Struct, frozen=True):
    """What goes into the unit beside the events that the machine decides."""

    payload: Json = None
    new_approvals: tuple[Approval, ...] = ()
    moved_approvals: tuple[MoveApproval, ...] = ()
    postings: tuple[Posting, ...] = ()
    submission: Submission | None = None
    others: tuple[tuple[str, Draft], ...] = ()


class Record(msgspec.Struct, frozen=True):
    """Who and what an event names as its cause: `actor` (user:ID, agent:REF, worker:SESSION, timer:NAME)."""

    actor: str
    cause: str = ""


class Change(msgspec.Struct, frozen=True):
    """A command with what goes beside it; `offer` is a session that would take the run's next step."""

    command: Command
    record: Record
    extra: Extra = Extra()
    offer: Offer | None = None


class Entry:
    """A run in memory: its state, its plan, and the payloads read of late."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self.run = run
        self.plan = plan
        self.contents: OrderedDict[int, Json] = OrderedDict()

    def remember(self, seq: int, payload: Json) -> None:
        """Keep a payload; the oldest goes when there are many."""
        self.contents[seq] = payload
        if len(self.contents) > REMEMBERED_PAYLOADS:
            self.contents.popitem(last=False)


Changer = Callable[[Run, Plan], Awaitable[Change | None]]


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
        self.on_commit: Callable[[Run | None, Run, tuple[Event, ...]], None] | None = None
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}
        self._plans: dict[str, Plan] = {}

    async def entry(self, tenant: str, run: str) -> Entry:
        """Load a run of a tenant.

        Raises:
            NotFound: The tenant has none of this id.
        """
        entry = self._entries.get(run)
        if entry is None:
            entry = await self._load(tenant, run)
            self._keep(entry)
        if entry.run.tenant != tenant:
            raise NotFound("run", run)
        return entry

    async def payload(self, tenant: str, run: str, seq: int) -> Json:
        """Read the payload of one event; None when it has none or it was erased."""
        entry = await self.entry(tenant, run)
        await self.fill(entry, (seq,))
        return entry.contents.get(seq)

    async def open(
        self, opening: Created, plan: Plan, extra: Extra, *, record: Record, offer: Offer | None = None
    ) -> Run:
        """Create a run: its first events, its tasks and its head in one unit."""
        await self.keep_plan(opening.tenant, plan)
        sight = self.sight_of(opening, {1: extra.payload})
        events, run = create(opening, plan, sight, offer)
        await self._commit(None, run, plan, events, extra, record)
        entry = Entry(run, plan)
        entry.remember(1, extra.payload)
        self._keep(entry)
        self._announce(None, run, events)
        return run

    async def change(self, tenant: str, run: str, changer: Changer) -> tuple[Run, Run]:
        """Let a changer look at the run and say what to do; decide it and commit it.

        The changer may be asked again when another process was faster. It may answer None: nothing to do.

        Returns:
            The state before and after.

        Raises:
            Refusal: What the machine or the store refuses; nothing was written.
        """
        lock = self._locks.setdefault(run, asyncio.Lock())
        self._waiting[run] = self._waiting.get(run, 0) + 1
        try:
            async with lock:
                return await self._change(tenant, run, changer)
        finally:
            self._waiting[run] -= 1
            if not self._waiting[run]:
                del self._waiting[run]
                del self._locks[run]

    async def _change(self, tenant: str, run: str, changer: Changer) -> tuple[Run, Run]:
        for attempt in range(MAX_DECISIONS):
            entry = await self.entry(tenant, run)
            change = await changer(entry.run, entry.plan)
            if change is None:
                return entry.run, entry.run
            before = entry.run
            events, after = await self._decide(entry, change)
            if not events:
                return before, before
            extra = await self._withdrawing(before, after, change.extra)
            try:
                await self._commit(before, after, entry.plan, events, extra, change.record)
            except StaleVersion:
                self._entries.pop(run, None)
                if attempt + 1 == MAX_DECISIONS:
                    raise
                continue
            except BaseException:
                self._entries.pop(run, None)
                raise
            entry.run = after
            if change.extra.payload is not None:
                entry.remember(before.version + 1, change.extra.payload)
            self._announce(before, after, events)
            return before, after
        raise AssertionError("the loop returns or raises")

    async def _withdrawing(self, before: Run, after: Run, extra: Extra) -> Extra:
        """Take back the requests to humans whose actions can no longer happen."""
        moves: list[MoveApproval] = []
        for key, call in after.calls.items():
            old = before.calls.get(key)
            if (
                old is None
                or old.state not in (CallState.HELD, CallState.GRANTED)
                or call.state is not CallState.CANCELED
            ):
                continue
            approval = await self.views.approval(after.tenant, call.approval)
            if approval is not None:
                withdrawn = replace(approval, state=ApprovalState.WITHDRAWN, decided_at=self.world.now())
                moves.append(MoveApproval(approval.state, withdrawn, unexpired=False))
        return replace(extra, moved_approvals=(*extra.moved_approvals, *moves)) if moves else extra

    async def _decide(self, entry: Entry, change: Change) -> tuple[tuple[Event, ...], Run]:
        fresh: dict[int, Json] = {}
        if change.extra.payload is not None:
            fresh[entry.run.version + 1] = change.extra.payload
        while True:
            sight = self.sight_of(entry.run, {**entry.contents, **fresh})
            try:
                return decide(entry.run, entry.plan, change.command, sight, change.offer)
            except ContentNeeded as needed:
                await self.fill(entry, needed.seqs)

    def known(self, run: str) -> Entry | None:
        """Find a run that is in memory."""
        return self._entries.get(run)

    def sight(self, entry: Entry) -> Sight:
        """Make what decisions about a run may see, from what is in memory; see `fill`."""
        return self.sight_of(entry.run, entry.contents)

    def sight_of(self, run: Run | Created, contents: Mapping[int, Json]) -> Sight:
        """Make what decisions may see: the time, contents, contracts, and policy's judgement of starts."""
        tenant, app, by = run.tenant, run.app, run.requested_by
        principal = Principal(by, by, PrincipalKind.USER, tenant)

        def judge(start: Start) -> Verdict:
            contract = start.contract
            return self.bundle.decide(
                ActionRequest(
                    principal=principal,
                    action=ActionKind.STEP_START,
                    capability=contract.name,
                    version=contract.version,
                    kind=contract.kind,
                    effect=contract.effect,
                    tenant=tenant,
                    app=app,
                    declared=True,
                )
            )

        return Sight(self.world.now(), contents, self.catalogue.contracts, judge)

    async def _commit(
        self,
        before: Run | None,
        after: Run,
        plan: Plan,
        events: tuple[Event, ...],
        extra: Extra,
        record: Record,
    ) -> None:
        new, moved = task_rows(before, after, plan)
        await self.ledger.commit(
            Unit(
                tenant=after.tenant,
                run=after.id,
                expected=before.version if before is not None else 0,
                drafts=self._drafts(before, after, events, extra.payload, record),
                others=extra.others,
                head=head_row(after),
                new_tasks=new,
                moved_tasks=moved,
                new_approvals=extra.new_approvals,
                moved_approvals=extra.moved_approvals,
                postings=extra.postings,
                submission=extra.submission,
            )
        )

    def _drafts(
        self, before: Run | None, after: Run, events: tuple[Event, ...], payload: Json, record: Record
    ) -> tuple[Draft, ...]:
        drafts: list[Draft] = []
        for at, event in enumerate(events):
            fields: dict[str, Any] = msgspec.to_builtins(event)
            fields["actor"] = record.actor
            if record.cause:
                fields["cause"] = record.cause
            if at == len(events) - 1:
                fields["status"] = after.status.value
            if before is not None and isinstance(event, CallMoved):
                fields["evidence"] = evidence_of(before)
            body = canonical(payload) if at == 0 and payload is not None else None
            drafts.append(Draft(fields, body, self.world.salt() if body is not None else b""))
        return tuple(drafts)

    def _announce(self, before: Run | None, after: Run, events: tuple[Event, ...]) -> None:
        if self.on_commit is not None:
            self.on_commit(before, after, events)

    async def keep_plan(self, tenant: str, plan: Plan) -> Digest:
        """Store a plan once; it is named by its digest everywhere else."""
        digest = plan_digest(plan)
        if f"{tenant}/{digest}" not in self._plans:
            await self.blobs.put(tenant, plan_bytes(plan))
            self._plans[f"{tenant}/{digest}"] = plan
        return digest

    async def _plan(self, tenant: str, digest: Digest) -> Plan:
        plan = self._plans.get(f"{tenant}/{digest}")
        if plan is None:
            body = await self.blobs.get(tenant, digest)
            if body is None:
                raise NotFound("plan", digest)
            plan = self._plans[f"{tenant}/{digest}"] = parse_plan(body)
        return plan

    async def _load(self, tenant: str, run: str) -> Entry:
        state: Run | None = None
        after = 0
        contents: dict[int, Json] = {}
        while True:
            page = await self.ledger.events(tenant, run, after, _PAGE)
            for stored in page:
                state = evolve(state, decode_event(stored.header))
                if stored.payload is not None:
                    contents[stored.seq] = parse_canonical(stored.payload)
            if len(page) < _PAGE:
                break
            after = page[-1].seq
        if state is None:
            raise NotFound("run", run)
        entry = Entry(state, await self._plan(tenant, state.plan))
        for seq, payload in list(contents.items())[-REMEMBERED_PAYLOADS:]:
            entry.remember(seq, payload)
        return entry

    async def fill(self, entry: Entry, seqs: tuple[int, ...]) -> None:
        """Read payloads into memory.

        Raises:
            NotFound: One of them does not exist or was erased.
        """
        wanted = [seq for seq in seqs if seq not in entry.contents]
        if wanted:
            found = await self.ledger.payloads(entry.run.tenant, entry.run.id, wanted)
            for seq, body in found.items():
                entry.remember(seq, parse_canonical(body))
            missing = [seq for seq in wanted if seq not in found]
            if missing:
                raise NotFound("payload", f"{entry.run.id}.{missing[0]}")

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.run.id] = entry
        self._entries.move_to_end(entry.run.id)
        if len(self._entries) > REMEMBERED_RUNS:
            self._entries.popitem(last=False)


def evidence_of(run: Run) -> list[str]:
    """Name the outputs that a decision about an action rests on, by their digests."""
    return [step.output_digest for step in run.steps.values() if step.output_digest]
