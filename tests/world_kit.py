"""What stands around a test's platform: a clock that can be moved, ids from a counter, a wire to its workers."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from bailiwick.base import Instant, mint_id
from bailiwick.ports import (
    Assignment,
    Dispatch,
    Frame,
    Hello,
    Notice,
    Outcome,
    Parked,
    Proposal,
    Recorded,
    Report,
    Session,
)
from bailiwick.service import Platform


class Clock:
    """Real time that can be moved; the store's clock and the world's in one."""

    def __init__(self) -> None:
        self.ahead = 0
        self.stopped_at = 0
        self.followers: list[Callable[[int, int], None]] = []  # told what is ahead, and where it stands

    def __call__(self) -> int:
        return (self.stopped_at or time.time_ns() // 1_000) + self.ahead

    def stop(self) -> None:
        self.stopped_at = time.time_ns() // 1_000
        self._lead()

    def advance(self, seconds: float) -> None:
        self.ahead += round(seconds * 1_000_000)
        self._lead()

    def _lead(self) -> None:
        for follow in self.followers:
            follow(self.ahead, self.stopped_at)


class TestWorld:
    """Ids and salts from a counter."""

    __test__ = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0

    def now(self) -> Instant:
        return Instant(self._clock())

    def error_seconds(self) -> float:
        return 0.0

    def new_id(self, prefix: str) -> str:
        self._count += 1
        return mint_id(prefix, self._clock() // 1_000, self._count)

    def salt(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(16, "big")

    def spread(self) -> float:
        return 0.5


def through_json(value: Any, shape: Any) -> Any:
    """Send plain data over a wire: whatever is not in its bytes is lost."""
    return msgspec.json.decode(msgspec.json.encode(value), type=shape)


class JsonPort:
    """The worker port as a worker in another process sees it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def hello(self, hello: Hello) -> Session:
        return through_json(await self.platform.hello(through_json(hello, Hello)), Session)

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        return through_json(await self.platform.heartbeat(session, wait_seconds), tuple[Notice, ...])

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        found = await self.platform.claim(session, limit, wait_seconds)
        return through_json(found, tuple[Assignment, ...])

    async def act(self, session: str, proposal: Proposal) -> Dispatch | Recorded | Parked:
        answer = await self.platform.act(session, through_json(proposal, Proposal))
        return through_json(answer, Dispatch | Recorded | Parked)

    async def settle(self, session: str, outcome: Outcome) -> Recorded:
        return through_json(await self.platform.settle(session, through_json(outcome, Outcome)), Recorded)

    async def frames(self, session: str, frames: tuple[Frame, ...]) -> None:
        await self.platform.frames(session, through_json(frames, tuple[Frame, ...]))

    async def finish(self, session: str, report: Report) -> Assignment | None:
        following = await self.platform.finish(session, through_json(report, Report))
        return through_json(following, Assignment | None)

    async def leave(self, session: str) -> int:
        return await self.platform.leave(session)
