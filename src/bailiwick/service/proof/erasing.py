"""Erasing: payloads of ended runs go for good, on the record, and every proof about their events stays valid."""

from collections.abc import Iterator, Sequence

import msgspec
import structlog

from bailiwick.base import Digest, Json, Refusal, parse_canonical
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Blobs, Draft, GuardFailed, Ledger, StaleVersion, Unit, World
from bailiwick.run import Run
from bailiwick.service.core.changes import record_of
from bailiwick.service.core.refusals import NotErasable, NotFound, ReasonMissing, ReasonTooLong, RunNotEnded
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.core.runs import Runs
from bailiwick.service.core.streams import Streams

MAX_ERASED = 100
"""Payloads that one unit erases."""

MAX_REASON = 400
MAX_NAMED = 1_000
"""Artifacts that an answer names."""

_ATTEMPTS = 4
log = structlog.get_logger("bailiwick.erasing")


class Erased(msgspec.Struct, frozen=True):
    """What is gone (events, `STREAM.SEQ`), and artifacts of the tenant that are not: those that what is gone named,
    the run's plan and its workspaces.
    """

    run: str
    erased: tuple[str, ...]
    artifacts: tuple[Digest, ...]


class Erasing(Governed):
    """Erases payloads. The header of an event stays, with a commitment that says nothing without its salt."""

    def __init__(self, *, runs: Runs, ledger: Ledger, blobs: Blobs, streams: Streams, world: World) -> None:
        self._runs = runs
        self._ledger = ledger
        self._blobs = blobs
        self._streams = streams
        self._world = world

    @governed("payloads.erase")
    async def erase(self, principal: Principal, run: str, seq: int, reason: str) -> Erased:
        """Erase the payload of one event of an ended run, or of a refused request in the tenant's stream, `tenant:ID`.

        Args:
            principal: Who erases.
            run: The run.
            seq: The event's number in it.
            reason: Why, 1..400 characters; it stands in the log in the open, for ever.

        Raises:
            ReasonMissing, ReasonTooLong: There is no reason, or too much of it.
            NotFound: The tenant has no such run or event.
            RunNotEnded: The run may still need it.
            NotErasable: The event has no payload, or has none any more.
        """
        self._admit(principal, reason)
        if run == f"tenant:{principal.tenant}":
            return await self._erase_of_tenant(principal, run, seq, reason)
        return await self._erase(principal, run, reason, [seq])

    async def _erase_of_tenant(self, principal: Principal, stream: str, seq: int, reason: str) -> Erased:
        """Erase what is kept of a refused request; no run needs it."""
        event = f"{stream}.{seq}"
        gone = Draft({**self._fields(principal, reason), "erased": event})
        try:
            await self._ledger.commit(
                Unit(tenant=principal.tenant, others=((stream, gone),), erased=((stream, seq),))
            )
        except GuardFailed as failed:
            raise await self._why_not(principal.tenant, stream, [seq]) from failed
        log.warning("payload.erased", run_id=stream, payloads=1, by=principal.name)
        await self._ledger.sweep()
        return Erased(stream, (event,), ())

    @governed("payloads.erase-run")
    async def erase_run(self, principal: Principal, run: str, reason: str) -> Erased:
        """Erase all payloads of an ended run, some at a time; asked again, it goes on where it was interrupted.

        Raises:
            ReasonMissing, ReasonTooLong: There is no reason, or too much of it.
            NotFound: The tenant has no such run.
            RunNotEnded: The run may still need them.
            NotErasable: None is left.
        """
        self._admit(principal, reason)
        await self._ended(principal.tenant, run)
        gone: list[str] = []
        named: dict[Digest, None] = {}
        seen: Sequence[int] = ()
        while seqs := await self._ledger.kept(principal.tenant, run, 0, MAX_ERASED):
            try:
                part = await self._erase(principal, run, reason, seqs)
            except NotErasable:
                if seqs == seen:
                    raise
                seen = seqs  # somebody erases the same run beside us: look again for what is left
                continue
            gone += part.erased
            named.update(dict.fromkeys(part.artifacts))
        if not gone:
            raise NotErasable(run, "the run has no payload any more")
        return Erased(run, tuple(gone), tuple(named)[:MAX_NAMED])

    async def sweep(self) -> int:
        """Finish what an interrupted erasure left to do."""
        return await self._ledger.sweep()

    def _admit(self, principal: Principal, reason: str) -> None:
        require(principal, Permission.PAYLOADS_ERASE)
        if not reason.strip():
            raise ReasonMissing("an erasure")
        if len(reason) > MAX_REASON:
            raise ReasonTooLong(len(reason), MAX_REASON)

    async def _ended(self, tenant: str, run: str) -> Run:
        state = (await self._runs.entry(tenant, run)).run
        if state.closed is None:
            raise RunNotEnded(run, state.status)
        return state

    async def _erase(self, principal: Principal, run: str, reason: str, seqs: Sequence[int]) -> Erased:
        for attempt in range(_ATTEMPTS):
            state = await self._ended(principal.tenant, run)
            named = await self._named(state, seqs)
            try:
                await self._ledger.commit(self._unit(principal, state, reason, seqs))
            except StaleVersion:
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            except GuardFailed as failed:
                raise await self._why_not(principal.tenant, run, seqs) from failed
            finally:
                # Also after a commit that nobody could wait for.
                self._runs.memory.forget(run)
                self._streams.committed(run, closed=True)
            log.warning("payload.erased", run_id=run, payloads=len(seqs), by=principal.name)
            await self._ledger.sweep()
            return Erased(run, tuple(f"{run}.{seq}" for seq in seqs), named)
        raise AssertionError("the loop returns or raises")

    def _unit(self, principal: Principal, run: Run, reason: str, seqs: Sequence[int]) -> Unit:
        """Put together what goes and the events that say so; the run must not have gone on meanwhile."""
        stream = f"tenant:{principal.tenant}"
        fields = self._fields(principal, reason)
        return Unit(
            tenant=principal.tenant,
            run=run.id,
            expected=run.version,
            others=tuple((stream, Draft({**fields, "erased": f"{run.id}.{seq}"})) for seq in seqs),
            erased=tuple((run.id, seq) for seq in seqs),
        )

    def _fields(self, principal: Principal, reason: str) -> dict[str, Json]:
        return {
            "kind": "payload.erased",
            "at": self._world.now(),
            **record_of(principal).fields,
            "reason": reason,
        }

    async def _why_not(self, tenant: str, run: str, seqs: Sequence[int]) -> Refusal:
        found = await self._ledger.events(tenant, run, seqs[0] - 1, 1)
        event = f"{run}.{seqs[0]}"
        if not found or found[0].seq != seqs[0]:
            return NotFound("event", event)
        if "payload" not in parse_canonical(found[0].header):
            return NotErasable(event, "the event never had a payload")
        return NotErasable(event, "its payload was erased before")

    async def _named(self, run: Run, seqs: Sequence[int]) -> tuple[Digest, ...]:
        """Name the artifacts that stay: those that the payloads name, the plan, the workspaces."""
        try:
            bodies = await self._ledger.payloads(run.tenant, run.id, seqs)
        except Refusal as damaged:
            log.warning("erasing.unread", run_id=run.id, code=damaged.code)
            bodies = {}  # what is damaged can be erased all the same
        told = [digest for body in bodies.values() for digest in _digests(parse_canonical(body))]
        trees = [call.tree for call in run.calls.values()]
        trees += [tree for step in run.steps.values() for tree in (step.tree_before, step.tree_after) if tree]
        wanted = dict.fromkeys(digest for digest in (*told, run.plan, run.tree, *trees) if digest)
        return tuple([Digest(name) for name in [*wanted][:MAX_NAMED] if await self._has(run.tenant, name)])

    async def _has(self, tenant: str, digest: str) -> bool:
        return await self._blobs.has(tenant, Digest(digest))


def _digests(value: Json) -> Iterator[str]:
    """Find what may be names of artifacts."""
    match value:
        case str() if len(value) == 64:
            yield value
        case dict():
            for child in value.values():
                yield from _digests(child)
        case list():
            for child in value:
                yield from _digests(child)
        case _:
            return
