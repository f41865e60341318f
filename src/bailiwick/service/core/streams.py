"""Streams: who watches a run is woken by its commits and gets its live frames; nobody can slow a run down."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from bailiwick.ports import Frame

RING = 256
RING_CHARACTERS = 131_072
MAX_RINGS = 1024
STIR_SECONDS = 0.1


class Ring:
    """The newest frames, at most `RING` of them with `RING_CHARACTERS` characters of text; older ones make room."""

    def __init__(self) -> None:
        self._frames: deque[dict[str, Any]] = deque()
        self._characters = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._frames)

    def add(self, frame: dict[str, Any]) -> int:
        """Add a frame; answer how many frames are lost by that, which is itself when it is too large alone."""
        size = _characters(frame)
        if size > RING_CHARACTERS:
            return 1
        lost = 0
        while self._frames and (len(self._frames) == RING or self._characters + size > RING_CHARACTERS):
            self._characters -= _characters(self._frames.popleft())
            lost += 1
        self._frames.append(frame)
        self._characters += size
        return lost

    def clear(self) -> None:
        """Forget all of them."""
        self._frames.clear()
        self._characters = 0


def _characters(frame: dict[str, Any]) -> int:
    return sum(len(value) for value in frame.values() if isinstance(value, str))


class Watcher:
    """One reader of a run: woken by commits, with a bounded queue of frames (the oldest are dropped)."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._frames = Ring()
        self.dropped = 0

    def offer(self, frame: dict[str, Any]) -> None:
        """Hand in a frame; never blocks."""
        self.dropped += self._frames.add(frame)
        self._wake.set()

    def wake(self) -> None:
        """Say that there are new events to read from the log."""
        self._wake.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for something new; False when nothing came in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def take(self) -> list[dict[str, Any]]:
        """Take the frames that came since the last time."""
        frames = list(self._frames)
        self._frames.clear()
        return frames


class Streams:
    """The watchers of all runs, and a short memory of each run's frames for those who join late."""

    def __init__(self) -> None:
        self._watchers: dict[str, list[Watcher]] = {}
        self._rings: dict[str, Ring] = {}
        self._stirring: asyncio.TimerHandle | None = None

    def watch(self, run: str) -> Watcher:
        """Begin to watch a run; end with `leave`."""
        watcher = Watcher()
        for frame in self._rings.get(run, ()):
            watcher.offer(frame)
        self._watchers.setdefault(run, []).append(watcher)
        return watcher

    def leave(self, run: str, watcher: Watcher) -> None:
        """Stop watching."""
        watchers = self._watchers.get(run, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop(run, None)

    def committed(self, run: str, *, closed: bool) -> None:
        """Wake the watchers of a run."""
        for watcher in self._watchers.get(run, ()):
            watcher.wake()
        if closed:
            self._rings.pop(run, None)

    def stir(self) -> None:
        """Wake every watcher: another process has committed, and which runs is for their readers to see.

        Said again and again, it wakes them once in `STIR_SECONDS`.
        """
        if self._stirring is None and self._watchers:
            self._stirring = asyncio.get_running_loop().call_later(STIR_SECONDS, self._stir)

    def _stir(self) -> None:
        self._stirring = None
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake()

    def frames(self, frames: Iterable[Frame]) -> None:
        """Pass frames on to whoever watches."""
        for frame in frames:
            body = {"step": frame.step, "epoch": frame.epoch, "key": frame.key, "at": frame.at, **frame.body}
            if frame.run not in self._rings and len(self._rings) >= MAX_RINGS:
                self._rings.pop(next(iter(self._rings)))
            self._rings.setdefault(frame.run, Ring()).add(body)
            for watcher in self._watchers.get(frame.run, ()):
                watcher.offer(body)
