"""The pump: hands what waits to the writer, and finds out what became of it when a line was lost."""

import asyncio
from typing import Any, Final

import asyncpg
import structlog

from bailiwick.base import Refusal
from bailiwick.stores.postgres.connect import LOST, Connection, Lines, pause_before
from bailiwick.stores.postgres.signals import Signals
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.postgres.writer import InDoubtError, Outcome, Writer
from bailiwick.stores.refusals import (
    OutcomeUnknown,
    SchemaTooNew,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreUnreachable,
)
from bailiwick.stores.sealing import Job

log = structlog.get_logger("bailiwick.store")

MAX_BATCH: Final = 256
"""Units that one transaction takes; the rest waits for the next."""

_TRY_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 30.0

Waiting = tuple[Job, asyncio.Future[Any]]


class Pump:
    """Commits what waits, one transaction at a time, over one connection of its own.

    Attributes:
        trouble: Why nothing could be written the last time; empty when it was.
        lost: Lines that were lost with units on them.
        doubts: Commits whose outcome had to be asked for.
        kept: Of these, the ones that had been committed.
    """

    def __init__(self, lines: Lines, writer: Writer, signals: Signals) -> None:
        self._lines = lines
        self.writer = writer
        self._signals = signals
        self._waiting: list[Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._closed = False
        self.trouble = ""
        self.lost = 0
        self.doubts = 0
        self.kept = 0

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Hand a unit over; the future answers once it survives a power cut.

        Raises:
            StoreClosed: The store is shut.
        """
        if self._closed:
            raise StoreClosed
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return future

    def withdraw(self, job: Job) -> bool:
        """Take a unit back that nobody has taken yet; whether it was there."""
        kept = [waiting for waiting in self._waiting if waiting[0] is not job]
        found = len(kept) < len(self._waiting)
        self._waiting[:] = kept
        return found

    async def drain(self) -> None:
        """Commit what waits and take nothing more."""
        self._closed = True
        if self._task is not None:
            await self._task

    def close(self) -> None:
        """Drop what waits and the connection at once."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        self._hang_up()
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(StoreClosed())
        self._waiting.clear()

    async def _work(self) -> None:
        while self._waiting:
            batch = self._waiting[:MAX_BATCH]
            del self._waiting[:MAX_BATCH]
            try:
                outcomes = await self._commit([job for job, _ in batch])
            except Exception as fault:  # a bug must reach every caller, not hang those who wait behind them
                log.exception("store.broken", exc_info=fault)
                self._hang_up()  # the line stands in the middle of a transaction
                self.writer.drop()
                outcomes = [fault] * len(batch)
            except BaseException:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(OutcomeUnknown("the store was closed"))
                raise
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue  # its caller was cancelled and no longer waits
                if isinstance(outcome, BaseException):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _commit(self, jobs: list[Job]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _TRY_SECONDS
        attempt = 0
        while True:
            try:
                return await self._once(jobs)
            except InDoubtError as doubt:
                self._hang_up()
                outcomes = await self._found_out(doubt)
                if outcomes is not None:
                    return outcomes
            except LOST as error:
                self._hang_up()
                self.writer.drop()
                self.lost += 1
                log.warning("store.line_lost", reason=type(error).__name__)
                if loop.time() > give_up:
                    return self._failed(
                        jobs, StoreUnreachable(self._lines.address.shown, type(error).__name__)
                    )
            except StoreUnreachable as refusal:
                self.writer.drop()
                if loop.time() > give_up:
                    return self._failed(jobs, refusal)
            except (SchemaTooNew, StoreBusy, StoreClosed) as refusal:
                self.writer.drop()
                return self._failed(jobs, refusal)
            except (asyncpg.DiskFullError, asyncpg.PostgresError) as error:
                self._hang_up()
                self.writer.drop()
                if isinstance(error, asyncpg.DiskFullError):
                    return self._failed(jobs, StoreFull(str(error)))
                log.exception("store.refused", sqlstate=error.sqlstate)
                return self._failed(jobs, StoreUnreachable(self._lines.address.shown, str(error)))
            attempt += 1
            await asyncio.sleep(pause_before(attempt))

    async def _once(self, jobs: list[Job]) -> list[Outcome]:
        if self._connection is None or self._connection.is_closed():
            self.writer.drop()  # others may have written while this process had no line
            await self._lines.begin()
            self._connection = await self._lines.connect()
        outcomes = await self.writer.step(self._connection, jobs)
        self.trouble = ""
        self._settle(outcomes)
        return outcomes

    def _settle(self, outcomes: list[Outcome]) -> None:
        for topic in sorted(self.writer.settle(outcomes)):
            self._signals.tell(topic)

    async def _found_out(self, doubt: InDoubtError) -> list[Outcome] | None:
        """Ask what became of a transaction whose commit was not answered; None: nothing of it was kept."""
        self.doubts += 1
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _ASK_SECONDS
        attempt = 0
        while loop.time() < give_up:
            fate = await self._asked(doubt)
            log.warning("store.commit_in_doubt", xid=doubt.xid, fate=fate)
            if fate == "committed":
                self.kept += 1
                self._settle(doubt.outcomes)
                return doubt.outcomes
            if fate == "aborted":
                self.writer.drop()
                return None
            attempt += 1
            await asyncio.sleep(pause_before(attempt))
        self.writer.drop()
        return [
            OutcomeUnknown("the database could not be asked") if outcome is None else outcome
            for outcome in doubt.outcomes
        ]

    async def _asked(self, doubt: InDoubtError) -> str:
        """Ask after a transaction by its number, and after what it wrote.

        A server that crashed gives numbers anew that it had not written down: the number may belong to nobody yet,
        or to somebody else, so only the event shows that a transaction of that number was ours.
        """
        try:
            self._connection = await self._lines.connect()
            fate = str(await self._connection.fetchval(SQL["select_fate"], doubt.xid))
            if fate != "committed" or doubt.event is None:
                return fate
            stream, seq, _, _, leaf = doubt.event
            kept = await self._connection.fetchval(SQL["select_event_is_kept"], stream, seq, leaf)
        except asyncpg.InvalidParameterValueError:
            return "aborted"
        except (StoreUnreachable, *LOST):
            self._hang_up()
            return "unknown"
        return "committed" if kept else "aborted"

    def _failed(self, jobs: list[Job], refusal: Refusal) -> list[Outcome]:
        self.trouble = refusal.message
        return [refusal] * len(jobs)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
