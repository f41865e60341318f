"""Entering: an author's code runs in a task of its own, so that nothing it raises, swallows or ignores gets out."""

import asyncio
from typing import Any

from bailiwick.app import CodeAgent, Parking
from bailiwick.worker.handle import Handle

GRACE_SECONDS = 2.0


class AgentRaised(Exception):
    """An agent's code ended with an exception, whatever its kind; it is the cause."""


async def enter(code: CodeAgent, handle: Handle, given: dict[str, Any]) -> Any:
    """Run an agent's code until it answers, or its task is to end.

    Raises:
        Parking: The step has left this worker or is to end; the code was unwound, or left to itself after two
            seconds: its handle is closed, so it can do nothing any more.
        AgentRaised: The code raised something.
    """
    loop = asyncio.get_running_loop()
    work = loop.create_task(_contained(code, handle, given))
    over = loop.create_future()

    def hear(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    work.add_done_callback(hear)
    handle.leash.on_end(hear)
    try:
        await over
        if not work.done():
            await _unwind(work)
            raise Parking(handle.leash.reason)
    finally:
        if not work.done():
            await _unwind(work)
    if work.cancelled():
        raise AgentRaised from asyncio.CancelledError("the agent canceled itself")
    answer, error = work.result()
    if handle.parked is not None:
        raise Parking(handle.parked)
    if error is not None:
        raise AgentRaised from error
    return answer


async def _contained(
    code: CodeAgent, handle: Handle, given: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    """Carry whatever the code raises as a value: a SystemExit would end the event loop."""
    try:
        return await code(handle, given), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # an author's code may raise anything at all
        return None, error


async def _unwind(work: asyncio.Future[Any]) -> None:
    work.cancel()
    await asyncio.wait({work}, timeout=GRACE_SECONDS)
