"""Readiness: whether this process should get traffic, found out by asking each part, with little time for an answer."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from bailiwick.base import Refusal
from bailiwick.service.core.breaks import PLATFORM_LOG
from bailiwick.wiring.embedded import Embedded

log = structlog.get_logger("bailiwick.readiness")
CHECK_SECONDS = 1.0
FRESH_SECONDS = 1.0
"""For how long an answer holds: whoever asks often must not keep the disk busy."""
FREE_BYTES = 64 * 1_048_576
STUCK_SECONDS = 30.0

Check = Callable[[], Awaitable[str]]
"""Answers why a part is not ready; empty when it is."""


class Readiness:
    """Asks every part, at once and each with a limit; what does not answer is not ready.

    Args:
        checks: By name.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self._found: dict[str, str] = {}
        self._asked_at = -FRESH_SECONDS
        self._asking = asyncio.Lock()

    async def __call__(self) -> dict[str, str]:
        """Tell of each part why it is not ready; empty where it is."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._asked_at >= FRESH_SECONDS:
                found = await asyncio.gather(*(_asked(check) for check in self._checks.values()))
                self._found = dict(zip(self._checks, found, strict=True))
                self._asked_at = asyncio.get_running_loop().time()
            return dict(self._found)


async def _asked(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Refusal as refusal:
        return refusal.message
    except Exception as error:  # a check that breaks says as much: this part is not known to be ready
        log.exception("readiness.failed", exc_info=error)
        return type(error).__name__


def checks_of(system: Embedded, serving: Callable[[], str]) -> dict[str, Check]:
    """List what a served system must have.

    Args:
        system: The system.
        serving: Answers why its door takes nothing new; empty when it does.
    """
    folders = {system.settings.folder, system.settings.shared_folder}

    async def door() -> str:
        return serving()

    async def store() -> str:
        await system.store.views.run("", "")
        return system.store.trouble

    async def clock() -> str:
        return "" if system.knows_the_time() else "the store's time is not known well enough"

    async def space() -> str:
        short = [str(folder) for folder in folders if await asyncio.to_thread(_free, folder) < FREE_BYTES]
        return f"less than {FREE_BYTES} bytes are free in {', '.join(short)}" if short else ""

    async def keeper() -> str:
        late = system.pulse.late(STUCK_SECONDS)
        return f"not done for more than {STUCK_SECONDS:g} s: {', '.join(late)}" if late else ""

    async def platform_log() -> str:
        broken = system.platform.breaks.of(PLATFORM_LOG)
        return broken.message if broken is not None else ""

    async def sandbox() -> str:
        status = system.sandbox
        if not system.needs_sandbox or (status is not None and status.available):
            return ""
        return f"agents need it, and it is off: {'; '.join(status.findings) if status is not None else 'untested'}"

    return {
        "serving": door,
        "store": store,
        "blobs": system.store.blobs.probe,
        "space": space,
        "clock": clock,
        "keeper": keeper,
        "log": platform_log,
        "sandbox": sandbox,
    }


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
