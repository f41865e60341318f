"""Insisting: what must be recorded is said again for as long as the store cannot take it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bailiwick.base import Category, Refusal
from bailiwick.ports import StoreUnavailable

T = TypeVar("T")
PAUSES = (0.05, 0.2, 1.0, 3.0, 6.0)
log = structlog.get_logger("bailiwick.worker")


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until it is answered: a store that is full or away for long is a reason to wait, and nobody's failure.

    Whoever must not wait cancels: a lost lease does, and the end of the process. Every other trouble is given
    some ten seconds.

    Raises:
        Refusal: The answer is a no, or something else than the store could not answer.
    """
    tries = 0
    while True:
        try:
            return await ask()
        except Refusal as refusal:
            passing = isinstance(refusal, StoreUnavailable)
            if refusal.category is not Category.UNAVAILABLE or (tries >= len(PAUSES) and not passing):
                raise
            if tries >= len(PAUSES):
                log.warning("worker.waits_for_store", code=refusal.code, reason=refusal.message)
        await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
        tries += 1
