"""The leash: how a task in a worker's hands is stopped: its calls (a halt), or all of it (a cancel)."""

import asyncio
from collections.abc import Callable

from bailiwick.ports import Stop


class Leash:
    """One task's stop. A halt ends the calls that are on their way; after a cancel nothing new begins."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.reason = ""
        self._ended = asyncio.Event()
        self._heard: list[Callable[[], None]] = []

    def pull(self, what: str, reason: str) -> None:
        """Heed a notice (halt, cancel, timeout or lost); the first reason to end stands."""
        self.stop.request(f"{what}: {reason}")
        if what != "halt" and not self.ended:
            self.reason = reason
            self._ended.set()
            while self._heard:
                self._heard.pop()()

    def renew(self, stop: Stop) -> None:
        """Let calls begin again after one was stopped by a halt: whether they may is the gate's to say."""
        if self.stop is stop and not self.ended:
            self.stop = Stop()

    @property
    def ended(self) -> bool:
        """Whether the task should end."""
        return self._ended.is_set()

    def on_end(self, hear: Callable[[], None]) -> None:
        """Have a function called once the task should end; at once, if it should already."""
        if self.ended:
            hear()
        else:
            self._heard.append(hear)

    async def wait(self) -> None:
        """Wait until the task should end."""
        await self._ended.wait()
