"""What is done while crashes happen: two governed runs whose effects lie in a file outside, and who hears of what."""

import asyncio
import os
from pathlib import Path
from typing import Any

import platform_kit
from bailiwick.app import CallRefused, Context
from bailiwick.ports import Ledger, Unit
from bailiwick.service import IntentRequest
from bailiwick.stores import SqliteStore, StoreBroken, open_store
from platform_kit import ALICE, System
from shop_kit import Outside, Shop

LARGE = "x" * 20_000
"""Too large for the database: its payload is a blob, synced first."""

RUNS = 2


class EffectFile(Outside):
    """The world outside: one line for each effect, synced, and a tool of class idempotent-write that keeps keys."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def arrive(self, tool: str, text: str, key: str = "") -> None:
        if tool in ("write", "mail") and not (key and key in self.keys()):
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, f"{tool} {text} {key or '-'}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)

    def lines(self) -> list[list[str]]:
        text = self._path.read_text() if self._path.exists() else ""
        return [line.split(" ") for line in text.splitlines()]

    def keys(self) -> list[str]:
        return [line[2] for line in self.lines()]


def crash_shop(effects: Path) -> Shop:
    """Make the app: one agent that reads, writes with a key, writes a file, sends a mail and reads something large."""
    shop = Shop(outside=EffectFile(effects))
    shop.scripts["clerk"] = _clerk
    shop.workflow({"id": "work", "uses": "clerk", "input": {"n": "$.intent.input.n"}})
    return shop


async def _clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    n = given["n"]
    await ctx.tool("shop.write", {"text": n})
    await ctx.tool("files.write", {"path": f"{n}.txt", "text": n})
    try:
        await ctx.tool("shop.mail", {"text": n})
    except CallRefused as refused:
        return {"mail": refused.state}
    return {"mail": "done", **await ctx.tool("shop.read", {"text": LARGE})}


class TellingLedger:
    """A ledger that says each commit aloud, when it is asked for and once it was acknowledged."""

    def __init__(self, ledger: Ledger, say: Any, broken: asyncio.Event) -> None:
        self._ledger = ledger
        self._say = say
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def commit(self, unit: Unit) -> None:
        told = {"version": unit.expected + len(unit.drafts)}
        if unit.run:
            self._say({"asked": unit.run, **told})
        try:
            await self._ledger.commit(unit)
        except StoreBroken:
            self._broken.set()
            raise
        if unit.run:
            self._say({"stream": unit.run, **told})


def tell_commits(say: Any, broken: asyncio.Event) -> None:
    """Let every store that is opened from now on say its commits aloud."""

    def telling_store(*given: Any, **options: Any) -> SqliteStore:
        store = open_store(*given, **options)
        store.ledger = TellingLedger(store.ledger, say, broken)
        return store

    platform_kit.open_store = telling_store


async def submit(system: System, n: int) -> str:
    intent = IntentRequest(app="shop", workflow="job", input={"n": str(n)})
    return (await system.platform.submitting.submit(ALICE, intent, key=f"key-{n}")).id
