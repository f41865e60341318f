"""The self-test: lures are laid outside, the attack runs inside, and what it did not report was not contained."""

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.ports import CallFailed, SandboxJob, Stop
from bailiwick.sandbox import attack
from bailiwick.sandbox.execution import Setup, execute
from bailiwick.sandbox.jail import (
    FILE_BYTES,
    OPEN_FILES,
    SHM_BYTES,
    TMP_BYTES,
    WORK,
    WORK_BYTES,
    environment,
)

_CANARY = "BAILIWICK_SANDBOX_CANARY"
_PROCESSES = 24
_MEMORY = 536_870_912
_SCRIPT = Path(attack.__file__).read_text(encoding="utf-8")
_TOP = ["bin", "dev", "job", "lib", "lib64", "opt", "proc", "stdin", "tmp", "usr"]
_HOG = (
    "import os,time\n"
    "for _ in range(5): os.fork()\n"
    "held = bytearray(33554432)\n"
    "held[::4096] = b'x' * 8192\n"
    "time.sleep(60)\n"
)


class _Lures(msgspec.Struct, frozen=True):
    tcp: socket.socket
    udp: socket.socket
    abstract: str
    file: str
    canary: str


async def findings(setup: Setup) -> tuple[str, ...]:
    """Attack a sandbox from inside; name everything that was not contained. Empty: it held."""
    with _lures() as lures:
        job = SandboxJob(
            argv=("python", "-I", "-c", _SCRIPT),
            stdin=json.dumps(_facts(setup, lures)).encode(),
            wall_seconds=30,
            cpu_seconds=10,
            memory_bytes=_MEMORY,
            processes=_PROCESSES,
        )
        try:
            result = await execute(setup, job, lambda _: None, Stop())
        except CallFailed as failure:
            return (failure.message,)
        found = _read(result.output)
        if found is None:
            return (
                f"the attack did not report: {result.ended_by} {result.exit_code}: {result.output[-600:]}",
            )
        found["datagram"] = "it arrived" if _arrived(lures.udp) else found.get("datagram", "")
    return tuple(f"{name}: {how}" for name, how in found.items() if how) + await _memory(setup)


async def _memory(setup: Setup) -> tuple[str, ...]:
    """Hold much memory in many processes, each below its own limit."""
    job = SandboxJob(argv=("python", "-I", "-c", _HOG), wall_seconds=30, memory_bytes=268_435_456)
    result = await execute(setup, job, lambda _: None, Stop())
    return () if result.ended_by == "memory" else (f"memory: many processes together: {result.ended_by}",)


def _read(output: str) -> dict[str, str] | None:
    """Read the report; an attack that is missing in it counts as not contained."""
    try:
        told = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    return {one.__name__: str(told.get(one.__name__, "not reported")) for one in attack.ATTACKS}


def _facts(setup: Setup, lures: _Lures) -> dict[str, Any]:
    return {
        "hosts": ["127.0.0.1", *_own_addresses()],
        "tcp": lures.tcp.getsockname()[1],
        "udp": lures.udp.getsockname()[1],
        "abstract": lures.abstract,
        "canary": lures.canary,
        "variables": sorted(environment(setup.interior)),
        "absent": ["/etc", "/root", "/home", "/var", "/sys", "/run", lures.file],
        "top": _TOP,
        "sizes": {"/tmp": TMP_BYTES, "/dev/shm": SHM_BYTES, WORK: WORK_BYTES, "/usr/local": 4096},  # noqa: S108
        "uid": os.getuid(),
        "limits": {
            "RLIMIT_AS": _MEMORY,
            "RLIMIT_NPROC": _PROCESSES,
            "RLIMIT_CPU": 11,
            "RLIMIT_FSIZE": FILE_BYTES,
            "RLIMIT_NOFILE": OPEN_FILES,
            "RLIMIT_CORE": 0,
        },
        "processes": _PROCESSES,
        "modules": ["pytest", "fastapi", "starlette", "pydantic", "httpx2"],
    }


@contextmanager
def _lures() -> Iterator[_Lures]:
    """Lay out what an escape would find: listening sockets, a file, a variable."""
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("0.0.0.0", 0)))  # noqa: S104 - closed in seconds, never read
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("0.0.0.0", 0))  # noqa: S104
        udp.setblocking(False)
        abstract = f"bailiwick-{secrets.token_hex(8)}"
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind("\0" + abstract)
        unix.listen()
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        canary = secrets.token_hex(16)
        os.environ[_CANARY] = canary
        stack.callback(os.environ.pop, _CANARY)
        yield _Lures(tcp=tcp, udp=udp, abstract=abstract, file=file.name, canary=canary)


def _arrived(udp: socket.socket) -> bool:
    try:
        return bool(udp.recv(16))
    except BlockingIOError:
        return False


def _own_addresses() -> list[str]:
    """Find the address that this machine would use for the world; a connected datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if probe.connect_ex(("192.0.2.1", 9)):
            return []
        return [probe.getsockname()[0]]
