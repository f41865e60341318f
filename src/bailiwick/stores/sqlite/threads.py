"""Threads: one that steps the writer, one that scans for the readers, and how a loop waits for them."""

import asyncio
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

import apsw

from bailiwick.stores.refusals import StoreClosed
from bailiwick.stores.sqlite.writer import Entry, Outcome, Writer

T = TypeVar("T")

MAX_BATCH: Final = 512
"""Entries that one transaction takes; the rest waits for the next."""

Waiting = tuple[Entry, asyncio.Future[Any]]


class Submits(Protocol):
    """Takes entries for a writer: a thread in a running system, a scheduler in a simulated one."""

    def submit(self, entry: Entry) -> Awaitable[Any]:
        """Hand an entry over; the answer comes once it survives a power cut."""
        ...


class Asks(Protocol):
    """Runs queries that may take long."""

    async def ask(self, query: Callable[[apsw.Connection], T]) -> T:
        """Run a query and wait for its answer."""
        ...

    def close(self) -> None:
        """Answer what waits, then stop."""
        ...


class WriterThread:
    """Steps a writer with whatever waits, as soon as anything does.

    What one turn of a loop submits is handed over at once, at its end: batches are larger, and the two threads take the
    interpreter from each other once a turn instead of once an entry.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._queue: SimpleQueue[list[Waiting] | None] = SimpleQueue()
        self._turns: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
        self._closed = False
        self._thread = Thread(target=self._work, name="bailiwick-writer", daemon=True)
        self._thread.start()

    def submit(self, entry: Entry) -> asyncio.Future[Any]:
        """Hand an entry to the writer; the future answers once it survives a power cut.

        Raises:
            StoreClosed: The store is shut.
        """
        if self._closed:
            raise StoreClosed
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if loop not in self._turns:
            self._turns[loop] = []
            loop.call_soon(self._hand_over, loop)
        self._turns[loop].append((entry, future))
        return future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        handed = self._turns.pop(loop, None)
        if handed is not None:
            self._queue.put(handed)

    def close(self) -> None:
        """Commit what waits, then stop and close the connection."""
        if self._closed:
            return
        self._closed = True
        for loop in list(self._turns):
            self._hand_over(loop)
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        waiting: list[Waiting] = []
        closing = False
        while waiting or not closing:
            handed = self._queue.get() if not waiting else []
            while handed is not None:
                waiting += handed
                if len(waiting) >= MAX_BATCH:
                    break
                try:
                    handed = self._queue.get_nowait()
                except Empty:
                    break
            closing = closing or handed is None
            if waiting:
                self._step(waiting[:MAX_BATCH])
                del waiting[:MAX_BATCH]
        self.writer.close()

    def _step(self, batch: list[Waiting]) -> None:
        try:
            outcomes = self.writer.step([entry for entry, _ in batch])
        except Exception as fault:  # a bug here must reach every caller, not hang them
            outcomes = [fault] * len(batch)
        _deliver([(future, outcome) for (_, future), outcome in zip(batch, outcomes, strict=True)])
        self.writer.tend()


class ReaderThread:
    """Runs queries that may take long, off the loop, on a connection of its own."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._queue: SimpleQueue[tuple[Callable[[apsw.Connection], Any], asyncio.Future[Any]] | None]
        self._queue = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name="bailiwick-reader", daemon=True)
        self._thread.start()

    async def ask(self, query: Callable[[apsw.Connection], T]) -> T:
        """Run a query there and wait for its answer.

        Raises:
            StoreClosed: The store is shut.
        """
        if self._closed:
            raise StoreClosed
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((query, future))
        return await future

    def close(self) -> None:
        """Answer what waits, then stop and close the connection."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (asked := self._queue.get()) is not None:
            query, future = asked
            try:
                outcome: Outcome = query(self._connection)
            except Exception as fault:  # the caller waits for it on the loop
                outcome = fault
            _deliver([(future, outcome)])
        self._connection.close()


def _deliver(answers: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    """Wake each loop once with all that it waits for."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].get_loop(), []).append(answer)
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:
            if not loop.is_closed():
                raise


def _settle(answers: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    for future, outcome in answers:
        if future.done():
            continue  # its caller was cancelled and no longer waits
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
