"""Signals: what other processes of this database hear at once, and this one from them; hints that may be lost."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from bailiwick.base import Refusal
from bailiwick.stores.postgres.connect import LOST, Connection, Lines, pause_before
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.store import Topic

log = structlog.get_logger("bailiwick.store")
CHANNEL: Final = "bailiwick"
_CHECK_SECONDS: Final = 10.0


class Signals:
    """Tells the other processes after a commit, outside of its transaction, and hears what they tell.

    Notifying inside the transaction would make every commit of the cluster wait for the one before. Who hears
    nothing looks by itself after a while; that is the net.

    Args:
        lines: The way to the database.
        node: This process among those of the database; it does not hear itself.
    """

    def __init__(self, lines: Lines, node: str) -> None:
        self._lines = lines
        self._node = node
        self._hear: Callable[[Topic], None] | None = None
        self._waiting: dict[Topic, None] = {}
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    def listen(self, hear: Callable[[Topic], None]) -> asyncio.Task[None]:
        """Hear, from the running loop, what others commit until the store is closed; it is called with each topic.

        Returns:
            The task that keeps listening.
        """
        self._hear = hear
        self._listening = asyncio.create_task(self._keep_listening())
        return self._listening

    def tell(self, topic: Topic) -> None:
        """Tell the others soon; what is told while a message is on its way goes with the next."""
        self._waiting[topic] = None
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    def close(self) -> None:
        """Stop telling and listening."""
        for task in (self._telling, self._listening):
            if task is not None:
                task.cancel()

    async def _tell(self) -> None:
        while self._waiting:
            topics = list(self._waiting)
            self._waiting.clear()
            try:
                async with self._lines.borrowed() as connection:
                    await connection.execute(SQL["notify"], " ".join([self._node, *topics]))
            except Refusal:
                return  # the others look by themselves

    async def _keep_listening(self) -> None:
        attempt = 0
        while True:
            try:
                connection = await self._lines.connect()
            except Refusal:
                attempt += 1
                await asyncio.sleep(pause_before(attempt))
                continue
            try:
                await connection.add_listener(CHANNEL, self._heard)
                gone = asyncio.Event()
                connection.add_termination_listener(lambda _, gone=gone: gone.set())
                self._pass_on(Topic.LOST)  # armed before the look at what came meanwhile
                attempt = 0
                while not await _within(gone, _CHECK_SECONDS):
                    await connection.execute("SELECT 1")  # a line may be dead and nobody says so
                log.warning("store.deaf", reason="the line was cut")
            except LOST as error:
                log.warning("store.deaf", reason=type(error).__name__)
            finally:
                connection.terminate()

    def _heard(self, _connection: Connection, _pid: int, _channel: str, payload: object) -> None:
        node, *topics = str(payload).split()
        if node != self._node:
            for topic in topics:
                self._pass_on(Topic(topic))

    def _pass_on(self, topic: Topic) -> None:
        if self._hear is not None:
            self._hear(topic)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
