"""A fuse in every wire between the platform, its store, its blobs, its tools and its worker: it blows at one point."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import platform_kit
from bailiwick.stores import open_store
from shop_kit import Outside
from world_kit import JsonPort

PORT = ("hello", "claim", "act", "settle", "finish")
STORE = {
    "ledger": ("commit", "events", "payloads", "submission", "halts"),
    "queue": ("claimable", "open_session", "next_due", "orphans"),
    "views": ("run", "approval"),
    "blobs": ("put", "get", "has"),
}


class Fuse:
    """Counts the points that are passed; at the chosen one the process is as good as dead: nothing more gets through."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.armed = False
        self.points: list[str] = []
        self.blown = asyncio.Event()
        self._over = asyncio.Event()

    async def point(self, name: str) -> None:
        if not self.armed:
            return
        if self._over.is_set():
            raise asyncio.CancelledError
        if self.blown.is_set():
            await self._death()
        self.points.append(name)
        if len(self.points) == self.at:
            self.blown.set()
            await self._death()

    async def _death(self) -> None:
        await self._over.wait()
        raise asyncio.CancelledError

    def clear(self) -> None:
        """Let go what hangs, now that nobody hears it any more."""
        self._over.set()

    async def around(self, name: str, work: Awaitable[Any]) -> Any:
        try:
            await self.point(f"before {name}")
        except asyncio.CancelledError:
            if asyncio.iscoroutine(work):
                work.close()
            raise
        answer = await work
        await self.point(f"after {name}")
        return answer


class Fused:
    """An object of which some methods lead through a fuse."""

    def __init__(self, inner: Any, fuse: Fuse, name: str, methods: tuple[str, ...]) -> None:
        self._inner = inner
        self._fuse = fuse
        self._name = name
        self._methods = methods

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._inner, method)
        if method not in self._methods:
            return real

        async def fused(*given: Any, **named: Any) -> Any:
            return await self._fuse.around(f"{self._name}.{method}", real(*given, **named))

        return fused


class FusedPort(Fused):
    """The worker's port behind a fuse."""

    def __init__(self, platform: Any, fuse: Fuse) -> None:
        super().__init__(JsonPort(platform), fuse, "port", PORT)
        self.platform = platform


class FusedOutside(Outside):
    """The world outside behind a fuse: a call may die before it arrives, or before its answer does."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse()

    async def arrive(self, tool: str, text: str, key: str = "") -> None:
        await self.fuse.around(f"tool {tool}", super().arrive(tool, text, key))


def fused_store(fuse: Fuse, real: Any = open_store) -> Any:
    """Make what opens a store whose calls lead through a fuse."""

    def open_one(*given: Any, **options: Any) -> Any:
        store = real(*given, **options)
        for name, methods in STORE.items():
            setattr(store, name, Fused(getattr(store, name), fuse, name, methods))
        return store

    return open_one


def install(fuse: Fuse, monkeypatch: Any) -> None:
    """Lay the fuse into whatever system is opened next."""
    monkeypatch.setattr(platform_kit, "open_store", fused_store(fuse))
    monkeypatch.setattr(platform_kit, "JsonPort", lambda platform: FusedPort(platform, fuse))


def remove(monkeypatch: Any) -> None:
    """Open the next system without one."""
    monkeypatch.setattr(platform_kit, "open_store", open_store)
    monkeypatch.setattr(platform_kit, "JsonPort", JsonPort)
