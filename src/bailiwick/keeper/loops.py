"""The keeper's loops: each does one idempotent duty again and again, and outlives what goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

log = structlog.get_logger("bailiwick.keeper")
MAX_PAUSE_SECONDS = 10.0


Act = Callable[[], Awaitable[int]]
"""One round of a duty; answers how much there was to do, and is asked again at once if it was anything."""


class Duty(msgspec.Struct, frozen=True):
    """One thing to look after: how, and how often, in seconds."""

    name: str
    act: Act
    every_seconds: float


class Pulse:
    """When each duty was last done."""

    def __init__(self) -> None:
        self._done: dict[str, tuple[float, float]] = {}

    def beat(self, duty: Duty) -> None:
        """Note that a duty was done."""
        self._done[duty.name] = (asyncio.get_running_loop().time(), duty.every_seconds)

    def late(self, seconds: float) -> list[str]:
        """Name the duties that were not done for so many seconds beyond their period."""
        now = asyncio.get_running_loop().time()
        return [name for name, (at, every) in self._done.items() if now - at > every + seconds]


async def keep(duties: tuple[Duty, ...], pulse: Pulse | None = None) -> None:
    """Run all duties until canceled; the pulse, if there is one, tells which are done."""
    heard = pulse if pulse is not None else Pulse()
    async with asyncio.TaskGroup() as group:
        for duty in duties:
            heard.beat(duty)
            group.create_task(_keep(duty, heard))


async def _keep(duty: Duty, pulse: Pulse) -> None:
    pause = duty.every_seconds
    while True:
        try:
            done = await duty.act()
            pulse.beat(duty)
            pause = 0.0 if done else duty.every_seconds
        except Exception as error:  # a duty that stops for ever is worse than one that fails loudly
            pause = min(max(pause * 2, duty.every_seconds), MAX_PAUSE_SECONDS)
            log.exception("keeper.failed", duty=duty.name, exc_info=error)
        await asyncio.sleep(pause)
