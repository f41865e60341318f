"""A child process: started from the event loop's thread, read through pipes, waited for through a pidfd.

It works alike on every event loop (not all of them can start a child as another user).
"""

import asyncio
import fcntl
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

CHUNK_BYTES = 65_536
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Spawn(msgspec.Struct, frozen=True):
    """What to start. `env` is the whole environment; `uid` None keeps ours; no shell, no inherited files."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stdin: int
    pass_fds: tuple[int, ...] = ()
    uid: int | None = None


class Child:
    """A started process, leader of its own session and group. End with `kill` (or `ended`), then `close`.

    Raises:
        OSError: It could not be started.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._popen = subprocess.Popen(
            spawn.argv,
            env=spawn.env,
            cwd=spawn.cwd,
            stdin=spawn.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=spawn.pass_fds,
            start_new_session=True,
            bufsize=0,
            user=spawn.uid,
            group=spawn.uid,
            extra_groups=None if spawn.uid is None else [],
        )
        self._pid = self._popen.pid
        self._pidfd = os.pidfd_open(self._pid)
        self._unread = [pipe for pipe in (self._popen.stdout, self._popen.stderr) if pipe is not None]
        self._reading: list[asyncio.ReadTransport] = []

    async def pipes(self) -> tuple[asyncio.StreamReader, asyncio.StreamReader]:
        """Open its stdout and stderr for reading; once."""
        return await self._read(self._unread[0]), await self._read(self._unread[0])

    async def _read(self, pipe: IO[bytes]) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._unread.remove(pipe)
        self._reading.append(transport)
        return reader

    async def ended(self) -> int:
        """Wait for its end, then kill what is left of its group; answer the exit code, negative for a signal."""
        if self._popen.returncode is None:
            await pidfd_ended(self._pidfd)
        self.kill()
        return self._popen.wait()

    def kill(self) -> None:
        """Kill it and its group now. Not after it was reaped: the number may be another's by then."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """Reap it and let go of its pipes; it must have been killed or have ended."""
        self._popen.wait()
        for transport in self._reading:
            transport.close()
        for pipe in self._unread:
            pipe.close()
        os.close(self._pidfd)


async def pidfd_ended(pidfd: int) -> None:
    """Wait until the process behind a pidfd has ended (for the first of a pid namespace: and all others in it)."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(pidfd)


def sealed_file(name: str, body: bytes) -> int:
    """Keep bytes in an anonymous file that nobody can change; its descriptor is the caller's to close."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd
