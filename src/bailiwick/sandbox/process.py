"""Host processes: trusted programs such as git, run on this machine's files with only the environment given."""

import asyncio
import os
from pathlib import Path

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, ProcessResult
from bailiwick.sandbox.child import CHUNK_BYTES, Child, Spawn, sealed_file


class _WroteTooMuch(Exception):
    """A program wrote more than it may."""


class HostProcesses:
    """Implements `bailiwick.ports.Processes`. Each program leads its own group, which dies with it."""

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
        """Run a program to its end; see `bailiwick.ports.Processes.run`."""
        source = sealed_file("stdin", stdin)
        try:
            child = Child(Spawn(argv=argv, env=env, cwd=cwd, stdin=source))
        except OSError as error:
            raise CallFailed(
                ErrorCategory.INTERNAL, f"{argv[0]} could not be started: {error.strerror}", unsent=True
            ) from error
        finally:
            os.close(source)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await _to_its_end(child, output_bytes)
        except TimeoutError as error:
            raise CallFailed(
                ErrorCategory.TIMEOUT, f"{argv[0]} was killed after {timeout_seconds:g} s", ambiguous=True
            ) from error
        except _WroteTooMuch as error:
            raise CallFailed(
                ErrorCategory.TOOL_FAILED,
                f"{argv[0]} was killed: it wrote more than {output_bytes} bytes",
                ambiguous=True,
            ) from error
        finally:
            child.kill()
            child.close()


async def _to_its_end(child: Child, limit: int) -> ProcessResult:
    left = limit

    async def read(pipe: asyncio.StreamReader) -> bytes:
        nonlocal left
        parts = []
        while chunk := await pipe.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise _WroteTooMuch
            parts.append(chunk)
        return b"".join(parts)

    stdout, stderr = await child.pipes()
    tasks = (
        asyncio.ensure_future(read(stdout)),
        asyncio.ensure_future(read(stderr)),
        asyncio.ensure_future(child.ended()),
    )
    try:
        out, err, code = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return ProcessResult(exit_code=code, stdout=out, stderr=err)
