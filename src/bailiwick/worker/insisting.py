"""Insisting: what must be recorded is said again while the store cannot be written for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bailiwick.base import Category, Refusal

T = TypeVar("T")
PAUSES = (0.05, 0.2, 1.0, 3.0, 6.0)


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until it is answered, some ten seconds long.

    Raises:
        Refusal: The answer is a no, or nobody could answer.
    """
    for pause in PAUSES:
        try:
            return await ask()
        except Refusal as refusal:
            if refusal.category is not Category.UNAVAILABLE:
                raise
        await asyncio.sleep(pause)
    return await ask()
