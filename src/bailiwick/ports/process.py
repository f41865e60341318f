"""Processes: starting trusted programs of this machine (git) on its own files, for rooms that may not start any."""

from pathlib import Path
from typing import Protocol

import msgspec


class ProcessResult(msgspec.Struct, frozen=True):
    """How a program ended, and all it wrote. `exit_code` is negative for a signal."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Processes(Protocol):
    """Runs programs that we trust, outside the sandbox; never anything that an agent wrote."""

    async def run(
        self,
        argv: tuple[str, ...],
        *,
        cwd: Path,
        env: dict[str, str],
        stdin: bytes,
        timeout_seconds: float,
        output_bytes: int,
    ) -> ProcessResult:
        """Run a program to its end; a non-zero exit code is a result, not an error.

        Args:
            argv: The program (found on the PATH of `env`, or a path) and its arguments; no shell.
            cwd: The directory it starts in.
            env: Its whole environment; nothing of ours is added.
            stdin: What it reads.
            timeout_seconds: Then it is killed, with all that it started.
            output_bytes: The most that stdout and stderr may hold together; one more byte, and it is killed.

        Raises:
            CallFailed: It could not be started (category internal, `unsent`), ran out of time (timeout) or
                wrote too much (tool-failed); in the last two it was killed half-way (`ambiguous`).
        """
        ...
