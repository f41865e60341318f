"""A kit for the tests of the tools: the real git, a hand that calls tools, and short ways to trees."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

from bailiwick.base import Digest
from bailiwick.contract import Contract
from bailiwick.ports import FrameSink, ToolCall, ToolResult
from bailiwick.ports import Stop as StopRequest
from bailiwick.tools import Tools, Workspaces

TENANT = "acme"
KEY = "k" * 64
CLEAN = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
FILES = {
    "app/main.py": b"def main():\n    return 1\n",
    "app/no_end.txt": b"first\nsecond",
    "app/crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "README.md": b"# Service\n\nIt serves.\n",
    "run.sh": b"#!/bin/sh\ntrue\n",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run the real git, as a person would."""
    ended = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "core.quotePath=true", *arguments],
        cwd=folder, env=CLEAN, input=stdin, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def commit_all(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD").decode().strip()


class Hand:
    """Calls tools by name, as the worker would."""

    def __init__(self, host: Tools) -> None:
        self.host = host
        self.tree: Digest | None = None
        self.frames: list[dict[str, Any]] = []

    def contract(self, name: str) -> Contract:
        return next(contract for contract in self.host.contracts() if contract.name == name)

    def call(self, name: str, *, key: str = KEY, seconds: float = 60.0, **arguments: Any) -> ToolCall:
        return ToolCall(self.contract(name), arguments, key, TENANT, "run_1", "build", self.tree, seconds)

    async def __call__(
        self,
        name: str,
        *,
        key: str = KEY,
        seconds: float = 60.0,
        stop: StopRequest | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        sink: FrameSink = self.frames.append
        call = self.call(name, key=key, seconds=seconds, **arguments)
        result: ToolResult = await self.host.execute(call, sink, stop or StopRequest())
        if result.tree is not None:
            self.tree = result.tree
        return result.output


async def store(workspaces: Workspaces, files: dict[str, bytes]) -> Digest:
    """Store a tree."""
    return await workspaces.write(TENANT, await workspaces.empty(TENANT), files)


def run(work: Any) -> Any:
    """Run a coroutine inside a hypothesis example."""
    return asyncio.run(work)
