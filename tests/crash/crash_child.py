"""A server that forks the processes to be killed: imports and policies are made once, each child costs little.

Reads requests from standard input, one JSON object a line, and answers each with one: what the child said, and
how it ended. Without a permission to trace processes nothing here can work; then it says so and ends.
"""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from crash_check import at_rest, check
from crash_plants import plant
from crash_shop import RUNS, crash_shop, submit, tell_commits

from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.stores import StoreBroken, StoreFull
from bailiwick.telemetry import configure_logging
from bailiwick.wiring.compiler import run_policy_compiler
from platform_kit import ALICE, System
from shop_kit import POLICIES

PATIENCE_SECONDS = 60.0
Say = Callable[[dict[str, Any]], None]


async def work(folder: Path, bundle: Bundle, say: Say, request: dict[str, Any]) -> None:
    """Be the process that is killed, or whose disk fails."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    broken = asyncio.Event()
    tell_commits(say, broken)
    system = System(folder / "system", bundle, crash_shop(folder / "effects"))
    await system.open()
    system.work()
    ends = asyncio.create_task(_to_rest(system, say, request.get("first", 0)))
    breaks = asyncio.create_task(broken.wait())
    await asyncio.wait({ends, breaks}, return_when=asyncio.FIRST_COMPLETED)
    if broken.is_set():
        await _refused_for_good(system, say)
        return
    await ends
    await system.platform.sequencing.catch_up()
    await system.close()
    say({"done": True})


async def _to_rest(system: System, say: Say, first: int) -> None:
    runs = []
    for n in range(first, first + RUNS):
        run = await _insisting(lambda n=n: submit(system, n), system, say)
        say({"submitted": n, "run": run})
        runs.append(run)
    for run in runs:
        await system.until(run, at_rest)


async def _insisting(ask: Callable[[], Coroutine[Any, Any, str]], system: System, say: Say) -> str:
    """Ask again while the disk is full; meanwhile everything can be read."""
    while True:
        try:
            return await ask()
        except StoreFull as full:
            say({"refused": full.code, "category": full.category})
            await system.platform.reading.runs(ALICE)
            say({"read": True})


async def _refused_for_good(system: System, say: Say) -> None:
    """Once a sync has failed nothing is accepted until the process is started again; reading goes on."""
    for n in range(3):
        try:
            say({"after": "a failed sync", "run": await submit(system, RUNS + n)})
        except StoreBroken as refusal:
            say({"refused": refusal.code, "category": refusal.category})
    await system.platform.reading.runs(ALICE)
    say({"read": True})


def main() -> None:
    bundle = build_bundle(stacked(POLICIES), run_policy_compiler)
    configure_logging("error")
    _answer({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        _answer(serve(request, bundle))


def _answer(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve(request: dict[str, Any], bundle: Bundle) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    hold, go = os.pipe()
    child = os.fork()
    if child == 0:
        ours.close()
        os.close(go)
        os.read(hold, 1)
        _be_child(request, bundle, theirs)
    theirs.close()
    os.close(hold)
    tracer = _traced(child, request["strace"]) if request.get("strace") else None
    os.write(go, b"1")
    os.close(go)
    heard = _listen(ours, child, request)
    _, status = os.waitpid(child, 0)
    if tracer is not None:
        tracer.wait()
    code = os.waitstatus_to_exitcode(status)
    lines = [json.loads(text) for text in heard.split(b"\n")[:-1]]
    return {"said": lines, "code": code, "killed": code == -signal.SIGKILL}


def _be_child(request: dict[str, Any], bundle: Bundle, told: socket.socket) -> None:
    code = 1
    try:
        with Path(request["folder"], "child.log").open("a") as log:
            os.dup2(log.fileno(), 2)

            def say(what: dict[str, Any]) -> None:
                told.sendall(json.dumps(what).encode() + b"\n")

            plant(request.get("plant", ""))
            act = {"work": work, "check": check}[request["do"]]
            asyncio.run(
                asyncio.wait_for(act(Path(request["folder"]), bundle, say, request), PATIENCE_SECONDS / 2)
            )
            code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _traced(child: int, options: list[str]) -> "subprocess.Popen[bytes]":
    """Attach strace, and wait until it has."""
    tracer = subprocess.Popen(["strace", "-f", "-p", str(child), *options], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if b"attached" not in said:
        os.kill(child, signal.SIGKILL)
        raise SystemExit(f"this environment does not let strace trace processes: {said.decode()}")
    return tracer


def _listen(ours: socket.socket, child: int, request: dict[str, Any]) -> bytes:
    """Hear what the child says until it is gone; kill it once the awaited call has returned."""
    heard = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    delayed = Path(request["kill_after"]) if request.get("kill_after") else None
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.01 if delayed is not None else 1.0)
        if ready:
            with contextlib.suppress(ConnectionResetError):
                more = ours.recv(65536)
                heard += more
                if not more:
                    return heard
                continue
            return heard
        if delayed is not None and delayed.exists() and b"(DELAYED)" in delayed.read_bytes():
            os.kill(child, signal.SIGKILL)
            delayed = None
    os.kill(child, signal.SIGKILL)
    return heard + b'{"hung": true}\n'


if __name__ == "__main__":
    main()
