"""Patience: until when whoever asks wants to wait for a store; a request of the API has an end, the keeper has none."""

import asyncio
from contextvars import ContextVar

_until: ContextVar[tuple[int, float] | None] = ContextVar("until", default=None)


def wait_at_most(seconds: float) -> None:
    """Let this task wait for a store no longer than that from now on, all in all; what it starts is not meant."""
    task = asyncio.current_task()
    _until.set((id(task), asyncio.get_running_loop().time() + seconds))


def wait_for_ever() -> None:
    """Take back what was said: this task lives longer than a request."""
    _until.set(None)


def patience() -> float | None:
    """Tell how many seconds this task still wants to wait, >= 0; None when it did not say."""
    said = _until.get()
    if said is None or said[0] != id(asyncio.current_task()):
        return None
    return max(said[1] - asyncio.get_running_loop().time(), 0.0)
