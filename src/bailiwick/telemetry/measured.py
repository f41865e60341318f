"""Measured ports: a ledger and a worker's port that time and count what passes through them, and change nothing."""

import time
from collections.abc import Sequence
from types import TracebackType

from bailiwick.base import LeaseLost
from bailiwick.ports import (
    Assignment,
    Dispatch,
    Fenced,
    Frame,
    Halt,
    Hello,
    Ledger,
    Notice,
    Outcome,
    Parked,
    Proposal,
    Recorded,
    Report,
    Session,
    SessionLost,
    StoredEvent,
    Submission,
    Unit,
    WorkerPort,
)
from bailiwick.telemetry.metrics import Metrics

# The ledger's own refusal is counted where the ledger is measured, or it would count twice.
_LOST = (LeaseLost, SessionLost)


class MeasuredLedger:
    """A `ports.Ledger` that times commits, and counts what was committed and what was fenced."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics

    async def commit(self, unit: Unit) -> None:
        """See `Ledger.commit`."""
        began = time.perf_counter()
        try:
            await self._ledger.commit(unit)
        except Fenced as fenced:
            self._metrics.fenced(fenced.code)
            raise
        self._metrics.hop("commit", time.perf_counter() - began)
        self._metrics.unit(unit)

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


class _Hop:
    """Times what is done in a `with`, unless it fails; a lost lease is counted."""

    __slots__ = ("_began", "_metrics", "_name")

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if error is None:
            self._metrics.hop(self._name, time.perf_counter() - self._began)
        elif isinstance(error, _LOST):
            self._metrics.fenced(error.code)


class MeasuredPort:
    """A `ports.WorkerPort` that times act, settle and finish, and counts what came from lost leases.

    A claim waits for work and a heartbeat for news: their own time says nothing. How long a ready step waits
    for its claim is measured where it is committed.
    """

    def __init__(self, port: WorkerPort, metrics: Metrics) -> None:
        self._port = port
        self._metrics = metrics

    async def hello(self, hello: Hello) -> Session:
        """See `WorkerPort.hello`."""
        return await self._port.hello(hello)

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """See `WorkerPort.heartbeat`."""
        return await self._port.heartbeat(session, wait_seconds)

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """See `WorkerPort.claim`."""
        return await self._port.claim(session, limit, wait_seconds)

    async def act(self, session: str, proposal: Proposal) -> Dispatch | Recorded | Parked:
        """See `WorkerPort.act`."""
        with _Hop(self._metrics, "act"):
            return await self._port.act(session, proposal)

    async def settle(self, session: str, outcome: Outcome) -> Recorded:
        """See `WorkerPort.settle`."""
        with _Hop(self._metrics, "settle"):
            return await self._port.settle(session, outcome)

    async def frames(self, session: str, frames: tuple[Frame, ...]) -> None:
        """See `WorkerPort.frames`."""
        await self._port.frames(session, frames)

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """See `WorkerPort.finish`."""
        with _Hop(self._metrics, "finish"):
            return await self._port.finish(session, report)

    async def leave(self, session: str) -> int:
        """See `WorkerPort.leave`."""
        return await self._port.leave(session)
