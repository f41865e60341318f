"""The keeper's loops: each does one idempotent duty again and again, and outlives what goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

log = structlog.get_logger("bailiwick.keeper")
MAX_PAUSE_SECONDS = 10.0


class Duty(msgspec.Struct, frozen=True):
    """One thing to look after: how, and how often, in seconds."""

    name: str
    act: Callable[[], Awaitable[int]]
    every_seconds: float


async def keep(duties: tuple[Duty, ...]) -> None:
    """Run all duties until canceled."""
    async with asyncio.TaskGroup() as group:
        for duty in duties:
            group.create_task(_keep(duty))


async def _keep(duty: Duty) -> None:
    pause = duty.every_seconds
    while True:
        try:
            done = await duty.act()
            pause = 0.0 if done else duty.every_seconds
        except Exception as error:  # a duty that stops for ever is worse than one that fails loudly
            pause = min(max(pause * 2, duty.every_seconds), MAX_PAUSE_SECONDS)
            log.exception("keeper.failed", duty=duty.name, exc_info=error)
        await asyncio.sleep(pause)
