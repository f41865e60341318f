"""The sandbox: the only place where code that nobody reviewed runs."""

from pathlib import Path
from typing import Protocol

import msgspec

from bailiwick.ports.calls import FrameSink, Stop


class SandboxJob(msgspec.Struct, frozen=True):
    """A command to run on a copy of a directory, without network.

    `argv` is run by no shell. `memory_bytes` bounds each process exactly and all of them together within
    a tenth of a second. `files` is copied to the working directory inside; nothing comes back but
    the output. Sizes in bytes, durations in seconds.
    """

    argv: tuple[str, ...]
    files: Path | None = None
    stdin: bytes = b""
    wall_seconds: float = 60.0
    cpu_seconds: int = 60
    output_bytes: int = 65_536
    memory_bytes: int = 1_073_741_824
    processes: int = 64


class SandboxResult(msgspec.Struct, frozen=True):
    """How the command ended. `ended_by`: exit, wall, output, stop, or memory (its processes together held
    more than `memory_bytes`); `exit_code` is negative for a signal.
    """

    exit_code: int
    output: str
    ended_by: str
    wall_ms: int


class SandboxStatus(msgspec.Struct, frozen=True):
    """Whether code execution is on: only after the hostile self-test passed. `findings` names what failed."""

    available: bool
    backend: str
    findings: tuple[str, ...] = ()


class Sandbox(Protocol):
    """Runs foreign code, contained."""

    async def self_test(self) -> SandboxStatus:
        """Attack the sandbox from inside; remember and return the result."""
        ...

    @property
    def status(self) -> SandboxStatus:
        """The result of the last self-test."""
        ...

    async def run(self, job: SandboxJob, sink: FrameSink, stop: Stop) -> SandboxResult:
        """Run a command; output goes to the sink as {"type": "output", "text": …} while it runs.

        Raises:
            CallFailed: Code execution is off (category internal), or the sandbox did not start.
        """
        ...
