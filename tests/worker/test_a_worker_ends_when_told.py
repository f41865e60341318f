"""A worker that is told to end does so, whatever happens to its session at the same moment."""

import asyncio
from typing import Any, cast

from bailiwick.ports import Hello, Session, SessionLost, WorkerPort
from bailiwick.worker import Runner, Worker
from platform_kit import PATIENCE


class Losing:
    """A port that ends the session and lets the worker's claim linger, so that a test can tell it to end meanwhile."""

    def __init__(self) -> None:
        self.lingers = asyncio.Event()
        self.released = asyncio.Event()
        self.came_back = asyncio.Event()
        self.claims = asyncio.Event()
        self.sessions = 0

    async def hello(self, _: Hello) -> Session:
        self.sessions += 1
        if self.sessions > 1:
            self.came_back.set()
        return Session("ses_1", 1.0, 0.1)

    async def heartbeat(self, session: str, _: float) -> Any:
        await self.claims.wait()
        if self.sessions > 1:
            await asyncio.Event().wait()
        raise SessionLost(session)

    async def claim(self, _session: str, _limit: int, _wait_seconds: float) -> Any:
        self.claims.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.lingers.set()
            await self.released.wait()


async def test_a_worker_that_is_told_to_end_while_it_loses_its_session_ends() -> None:
    port = Losing()
    worker = Worker(port=cast("WorkerPort", port), runner=cast("Runner", None), name="w", capabilities=())
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(PATIENCE):
        await port.lingers.wait()  # the session is lost, and what the worker began is on its way out
        running.cancel()
        port.released.set()
        back = asyncio.create_task(port.came_back.wait())
        await asyncio.wait({running, back}, return_when=asyncio.FIRST_COMPLETED)
        assert running.cancelled(), "it opened another session"
        back.cancel()
