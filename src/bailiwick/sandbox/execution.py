"""One execution: a single-use sandbox from its first process to the proof that its last one is gone."""

import asyncio
import codecs
import json
import os
import signal
import time
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, FrameSink, SandboxJob, SandboxResult, Stop
from bailiwick.sandbox.child import CHUNK_BYTES, Child, Spawn, pidfd_ended, sealed_file
from bailiwick.sandbox.jail import READY, WORK_BYTES, Interior, command, options
from bailiwick.sandbox.memory import outgrown
from bailiwick.sandbox.tree import Packed, pack

_KEPT_ERRORS = 4_096
_STATUS_BYTES = 4_096


class Setup(msgspec.Struct, frozen=True):
    """What every execution shares. `uid` is the user to become, None when we are nobody special already."""

    bwrap: Path
    filter_program: bytes
    interior: Interior
    uid: int | None


async def execute(setup: Setup, job: SandboxJob, sink: FrameSink, stop: Stop) -> SandboxResult:
    """Run one job; returns only when every process of it is gone. Cancelling is a stop.

    Raises:
        CallFailed: The files could not be copied, or the sandbox did not start.
    """
    packed = None
    if job.files is not None:
        packed = await asyncio.to_thread(pack, job.files, limit_bytes=WORK_BYTES // 2)
    if stop.requested:
        return SandboxResult(exit_code=-signal.SIGKILL, output="", ended_by="stop", wall_ms=0)
    execution = _Execution(job, sink)
    running = asyncio.ensure_future(execution.run(setup, packed, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        execution.end("stop")
        with suppress(CallFailed):
            await running
        raise


class _Execution:
    def __init__(self, job: SandboxJob, sink: FrameSink) -> None:
        self._job = job
        self._sink = sink
        self._ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._kept = bytearray()
        self._errors = b""
        self._first = 0

    def end(self, reason: str) -> None:
        """Say why the job ends; the first reason stands."""
        if not self._ending.done():
            self._ending.set_result(reason)

    async def run(self, setup: Setup, packed: Packed | None, stop: Stop) -> SandboxResult:
        began = time.monotonic()
        note = _note(packed)
        if note:
            self._sink({"type": "output", "text": note})
        timer = asyncio.get_running_loop().call_later(self._job.wall_seconds, self.end, "wall")
        with ExitStack() as stack:
            stack.callback(timer.cancel)
            status, child = self._start(stack, setup, packed)
            stack.callback(child.close)
            stack.callback(child.kill)
            inner = await self._find_inner(stack, status)
            code, reason = await self._watch(child, inner, stop)
        if reason == "exit" and READY not in self._errors:
            why = self._errors.decode("utf-8", "replace").strip()
            raise CallFailed(ErrorCategory.INTERNAL, f"the sandbox did not start: {why}", unsent=True)
        return SandboxResult(
            exit_code=_signal_of(code) if reason == "exit" else -signal.SIGKILL,
            output=note + self._kept.decode("utf-8", "replace"),
            ended_by=reason,
            wall_ms=round((time.monotonic() - began) * 1000),
        )

    def _start(self, stack: ExitStack, setup: Setup, packed: Packed | None) -> tuple[int, Child]:
        """Start bubblewrap with nothing of ours: no variable, no file but these, no path on its command line."""
        status, status_end = os.pipe()
        stack.callback(os.close, status)
        with ExitStack() as ours:
            ours.callback(os.close, status_end)

            def lend(name: str, body: bytes) -> int:
                fd = sealed_file(name, body)
                ours.callback(os.close, fd)
                return fd

            seccomp, stdin = lend("filter", setup.filter_program), lend("stdin", self._job.stdin)
            told = options(setup.interior, seccomp_fd=seccomp, stdin_fd=stdin, status_fd=status_end)
            args = lend("args", b"".join(option.encode() + b"\0" for option in told))
            spawn = Spawn(
                argv=[str(setup.bwrap), "--args", str(args), *command(self._job, unpack=packed is not None)],
                env={},
                cwd=Path("/"),
                stdin=lend("files", b"" if packed is None else packed.body),
                pass_fds=(seccomp, stdin, args, status_end),
                uid=setup.uid,
            )
            try:
                return status, Child(spawn)
            except OSError as error:
                raise CallFailed(
                    ErrorCategory.INTERNAL,
                    f"{setup.bwrap} could not be started: {error.strerror}",
                    unsent=True,
                ) from error

    async def _find_inner(self, stack: ExitStack, status: int) -> int | None:
        """Get hold of the first process inside, whose death is the death of all; None if there is none.

        Bubblewrap tells it before that process does anything, so nothing runs that we could not end.
        """
        line = await _first_line(status)
        if not line:
            return None
        self._first = int(json.loads(line)["child-pid"])
        try:
            inner = os.pidfd_open(self._first)
        except ProcessLookupError:
            return None
        stack.callback(os.close, inner)
        stack.callback(_kill, inner)
        return inner

    async def _watch(self, child: Child, inner: int | None, stop: Stop) -> tuple[int, str]:
        """Let the job run until something ends it, then end all of it and wait for the proof."""
        stdout, stderr = await child.pipes()
        pumps = [
            asyncio.ensure_future(self._pump(stdout)),
            asyncio.ensure_future(self._gather_errors(stderr)),
        ]
        ended = asyncio.ensure_future(child.ended())
        ended.add_done_callback(lambda _: self.end("exit"))
        guards = [asyncio.ensure_future(self._end_after(stop.wait(), "stop"))]
        if inner is not None:
            guards.append(
                asyncio.ensure_future(
                    self._end_after(outgrown(self._first, self._job.memory_bytes), "memory")
                )
            )
        try:
            reason = await self._ending
            if inner is not None:
                _kill(inner)
                await pidfd_ended(inner)
            code = await ended
            await asyncio.gather(*pumps)
        finally:
            for task in (*guards, *pumps, ended):
                task.cancel()
        return code, reason

    async def _end_after(self, waiting: Coroutine[Any, Any, object], reason: str) -> None:
        await waiting
        self.end(reason)

    async def _pump(self, stdout: asyncio.StreamReader) -> None:
        """Stream output as text, up to the limit; one byte more ends the job."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while chunk := await stdout.read(CHUNK_BYTES):
            room = self._job.output_bytes - len(self._kept)
            self._kept += chunk[:room]
            if text := decoder.decode(chunk[:room]):
                self._sink({"type": "output", "text": text})
            if len(chunk) > room:
                self.end("output")
        if text := decoder.decode(b"", final=True):
            self._sink({"type": "output", "text": text})

    async def _gather_errors(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(CHUNK_BYTES):
            self._errors = (self._errors + chunk)[-_KEPT_ERRORS:]


async def _first_line(fd: int) -> bytes:
    """Read up to the first line's end; it may arrive in pieces. Empty when the writer went without one."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    line = b""
    loop.add_reader(fd, arrived.set)
    try:
        while b"\n" not in line:
            await arrived.wait()
            arrived.clear()
            part = os.read(fd, _STATUS_BYTES)
            if not part:
                return b""
            line += part
    finally:
        loop.remove_reader(fd)
    return line.partition(b"\n")[0]


def _kill(pidfd: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _signal_of(code: int) -> int:
    """Turn bubblewrap's 128 + n back into the signal; a program that exits with such a code looks the same."""
    return 128 - code if 128 < code <= 128 + signal.NSIG else code


def _note(packed: Packed | None) -> str:
    if packed is None or not packed.left_out:
        return ""
    names = ", ".join(ascii(name) for name in packed.left_out[:10])
    return f"sandbox: not copied, {len(packed.left_out)} in all: {names}\n"
