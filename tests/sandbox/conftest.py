"""One sandbox for all of these tests: its self-test must pass here, a missing bubblewrap is an error."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bailiwick.ports import SandboxJob, SandboxResult, Stop
from bailiwick.sandbox import BubblewrapSandbox, default_cache_dir

RunInside = Callable[..., Awaitable[SandboxResult]]


@pytest.fixture(scope="session")
def sandbox() -> BubblewrapSandbox:
    made = BubblewrapSandbox(default_cache_dir())
    status = asyncio.run(made.self_test())
    assert status.available, status.findings
    return made


@pytest.fixture
def python_inside(sandbox: BubblewrapSandbox) -> RunInside:
    """Run a Python script inside; keywords go to the job."""

    async def run(script: str, **job: Any) -> SandboxResult:
        argv = ("python", "-I", "-c", script)
        return await sandbox.run(SandboxJob(argv=argv, **{"wall_seconds": 20} | job), lambda _: None, Stop())

    return run


@pytest.fixture
def survivors() -> Callable[[str], list[str]]:
    """List the processes of this machine whose command line holds a mark."""

    def find(mark: str) -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes()
            except OSError:
                continue
            if mark.encode() in line:
                found.append(f"{entry.parts[2]}: {line[:200]!r}")
        return found

    return find
