"""A worker's line to the platform that is cut once, and the duty that finds what it had."""

import asyncio
from typing import Any

from bailiwick.ports import SessionLost
from platform_kit import PATIENCE, System


class CutLine:
    """A worker port whose first action is answered by silence for so long that the session counts as lost."""

    def __init__(self, port: Any, method: str) -> None:
        self._port = port
        self._method = method
        self.cut = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name) if name != self._method or self.cut else self._lost

    async def _lost(self, session: str, _: Any) -> Any:
        self.cut += 1
        raise SessionLost(session)


async def given_back(system: System) -> None:
    """Do the keeper's duty until it finds a step whose session has ended."""
    async with asyncio.timeout(PATIENCE):
        while not await system.platform.recovering.reap():
            await asyncio.sleep(0)
