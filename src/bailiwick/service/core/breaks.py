"""Breaks: logs that were changed behind our back; what belongs to them is read-only until somebody answers for it."""

from collections.abc import Callable, Sequence

import structlog

from bailiwick.audit import LogBroken
from bailiwick.ports import Halt, Ledger, StoredEvent, Submission, Unit

log = structlog.get_logger("bailiwick.audit")
PLATFORM_LOG = "platform"


class Breaks:
    """What was found broken since this process began; a break in the platform's log concerns every tenant."""

    def __init__(self) -> None:
        self._found: dict[str, LogBroken] = {}
        self.on_found: Callable[[int], None] | None = None

    def report(self, broken: LogBroken) -> None:
        """Remember a break; the first of a log stands."""
        name = str(broken.facts["log"])
        if name in self._found:
            return
        self._found[name] = broken
        facts = broken.facts
        log.critical("audit.log_broken", log=name, place=facts["event"], reason=facts["reason"])
        if self.on_found is not None:
            self.on_found(len(self._found))

    def of(self, name: str) -> LogBroken | None:
        """Find the break of a log."""
        return self._found.get(name)

    def concerning(self, tenant: str) -> LogBroken | None:
        """Find the break that makes a tenant read-only."""
        if not self._found:
            return None
        return self._found.get(PLATFORM_LOG) or self._found.get(f"tenant:{tenant}")

    def check(self, tenant: str) -> None:
        """Let a tenant's change pass.

        Raises:
            LogBroken: The tenant is read-only.
        """
        broken = self.concerning(tenant)
        if broken is not None:
            raise LogBroken(*(str(broken.facts[name]) for name in ("log", "event", "reason")))


class GuardedLedger:
    """A `ports.Ledger` that writes nothing for a tenant whose log is broken, and passes on all else."""

    def __init__(self, ledger: Ledger, breaks: Breaks) -> None:
        self._ledger = ledger
        self._breaks = breaks

    async def commit(self, unit: Unit) -> None:
        """See `Ledger.commit`.

        Raises:
            LogBroken: The log of the unit, or of a stream that it writes to, is broken.
        """
        self._breaks.check(unit.tenant)
        for stream, _ in unit.others:
            self._breaks.check(stream.removeprefix("tenant:"))
        await self._ledger.commit(unit)

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """See `Ledger.events`."""
        return await self._ledger.events(tenant, stream, after, limit)

    async def owns(self, tenant: str, stream: str) -> bool:
        """See `Ledger.owns`."""
        return await self._ledger.owns(tenant, stream)

    async def payloads(self, tenant: str, stream: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """See `Ledger.payloads`."""
        return await self._ledger.payloads(tenant, stream, seqs)

    async def kept(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[int]:
        """See `Ledger.kept`."""
        return await self._ledger.kept(tenant, stream, after, limit)

    async def sweep(self) -> int:
        """See `Ledger.sweep`."""
        return await self._ledger.sweep()

    async def submission(self, tenant: str, key: str) -> Submission | None:
        """See `Ledger.submission`."""
        return await self._ledger.submission(tenant, key)

    async def halts(self) -> Sequence[Halt]:
        """See `Ledger.halts`."""
        return await self._ledger.halts()
