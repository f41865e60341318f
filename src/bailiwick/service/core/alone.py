"""Alone: in one process one change of a run is decided and committed at a time; others wait in order of arrival."""

import asyncio
from types import TracebackType


class _Turn:
    """The line before one run; it is forgotten when nobody stands in it."""

    __slots__ = ("_lines", "_lock", "_run", "_waiting")

    def __init__(self, lines: dict[str, "_Turn"], run: str) -> None:
        self._lines = lines
        self._run = run
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._lock.acquire()
        except BaseException:  # canceled while it stood in line
            self._leave()
            raise

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._lock.release()
        self._leave()

    def _leave(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            del self._lines[self._run]


class Alone:
    """Gives whoever changes a run its turn: `async with alone.with_run(id)`."""

    def __init__(self) -> None:
        self._lines: dict[str, _Turn] = {}

    def with_run(self, run: str) -> _Turn:
        """Stand in line for a run; enter what is given at once, before anything is awaited."""
        turn = self._lines.get(run)
        if turn is None:
            turn = self._lines[run] = _Turn(self._lines, run)
        return turn
