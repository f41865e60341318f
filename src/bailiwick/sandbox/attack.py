"""The attack: one script that runs inside and tries to get out; it needs only Python's standard library.

It reads what to look for as JSON from stdin and writes, as its last line, JSON of {attack: how it went}, where
an empty text means that it was contained. It is read as text and run inside, never called from outside.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

_LIBC = ctypes.CDLL(None, use_errno=True)
_CALLS = {
    "ptrace": (101, 1, 0, 0, 0),
    "io_uring": (425, 1, 0),
    "keyctl": (250, 0, -3, 1),
    "bpf": (321, 0, 0, 0),
    "perf": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "sysv_memory": (29, 0, 4096, 0o1600),
    "secret_memory": (447, 0),
    "unshare": (272, 0x10000000),
    "chroot": (161, b"/tmp"),
    "new_mounts": (430, b"tmpfs", 0),
}
_FAMILIES = {
    "vsock": 40,
    "packet": 17,
    "alg": 38,
    "bluetooth": 31,
    "can": 29,
    "rds": 21,
    "tipc": 30,
    "xdp": 44,
}
_REFUSED = {errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT}


def connecting(facts: Facts) -> str:
    """Reach the TCP port that listens outside, by loopback and by the machine's own addresses."""
    for host in facts["hosts"]:
        try:
            socket.create_connection((host, facts["tcp"]), timeout=0.5).close()
        except OSError:
            continue
        return f"reached {host}"
    names = [name for _, name in socket.if_nameindex()]
    return "" if names in ([], ["lo"]) else f"there are network devices: {names}"


def datagram(facts: Facts) -> str:
    """Send to the UDP port outside; whether it arrived is seen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for host in facts["hosts"]:
            try:
                sender.sendto(b"out", (host, facts["udp"]))
            except OSError:
                continue
    return ""


def unix_socket(facts: Facts) -> str:
    """Reach the abstract Unix socket that listens outside."""
    with socket.socket(socket.AF_UNIX) as caller:
        return "" if caller.connect_ex("\0" + facts["abstract"]) else "reached it"


def name_lookup(_: Facts) -> str:
    """Ask for an address."""
    try:
        return f"answered {socket.getaddrinfo('example.com', 80)[0][4]}"
    except OSError:
        return ""


def families(_: Facts) -> str:
    """Make sockets that an empty network does not stop, and raw ones."""
    made = []
    for name, number in _FAMILIES.items():
        try:
            socket.socket(number, socket.SOCK_RAW if name != "vsock" else socket.SOCK_STREAM).close()
        except OSError as error:
            if error.errno in _REFUSED:
                continue
        made.append(name)
    for protocol in (132, 262, 1):
        try:
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol).close()
        except OSError as error:
            if error.errno in _REFUSED:
                continue
        made.append(f"protocol {protocol}")
    return f"made {made}" if made else ""


def environment(facts: Facts) -> str:
    """Find variables of the launcher, here and in every process that can be seen."""
    if sorted(os.environ) != facts["variables"]:
        return f"variables: {sorted(os.environ)}"
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = entry.read_bytes()
        except OSError:
            continue
        if facts["canary"].encode() in text or (entry.parts[2] == "1" and text):
            return f"{entry} holds {len(text)} bytes of the launcher's"
    return ""


def host_files(facts: Facts) -> str:
    """Find files of the machine."""
    seen = [path for path in facts["absent"] if os.path.lexists(path)]
    if seen:
        return f"there are {seen}"
    names = sorted(path.name for path in Path("/").iterdir())
    return "" if names == facts["top"] and not any(Path("/tmp").iterdir()) else f"there are {names}"  # noqa: S108


def open_files(_: Facts) -> str:
    """Use files that the launcher left open."""
    left = sorted(int(path.name) for path in Path("/proc/self/fd").iterdir())
    return "" if left in ([0, 1, 2], [0, 1, 2, 3]) else f"descriptors {left}"


def writing(_: Facts) -> str:
    """Write where only the working directory and the temporary ones may be written."""
    places = (
        "/x",
        "/usr/x",
        "/usr/local/x",
        "/opt/python/x",
        "/dev/x",
        "/stdin",
        "/proc/sys/kernel/core_pattern",
    )
    written = []
    for place in places:
        try:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT))
        except OSError:
            continue
        written.append(place)
    return f"wrote {written}" if written else ""


def sizes(facts: Facts) -> str:
    """Find a place without a size."""
    for place, limit in facts["sizes"].items():
        found = os.statvfs(place)
        if found.f_blocks * found.f_frsize > limit:
            return f"{place} holds {found.f_blocks * found.f_frsize} bytes"
    return ""


def calls(_: Facts) -> str:
    """Make the system calls that the filter refuses."""
    done = [name for name, arguments in _CALLS.items() if not _refused(*arguments)]
    if not _refused(165, b"none", b"/tmp", b"tmpfs", 0, 0):
        done.append("mount")
    if not _refused(319, b"x", 0):
        done.append("memfd")
    for name, flag in (("user", 0x10000000), ("network", 0x40000000)):
        ctypes.set_errno(0)
        pid = _LIBC.syscall(56, flag | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        if pid > 0:
            os.waitpid(pid, 0)
        if pid != -1 or ctypes.get_errno() != errno.EPERM:
            done.append(f"clone into a new {name} namespace")
    return f"allowed: {done}" if done else ""


def _refused(*arguments: object) -> bool:
    ctypes.set_errno(0)
    return _LIBC.syscall(*arguments) == -1 and ctypes.get_errno() in _REFUSED


def privileges(facts: Facts) -> str:
    """Find a privilege that was kept, or a limit that was not set."""
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16}
    odd = {name: status[name] for name, value in wanted.items() if status[name].strip() != value}
    if (
        odd
        or os.getuid() in {0, facts["uid"]}
        or os.getgroups() not in ([], [os.getgid()], [os.getgid()] * 2)
    ):
        return f"{odd} uid {os.getuid()} groups {os.getgroups()}"
    for name, limit in facts["limits"].items():
        if resource.getrlimit(getattr(resource, name))[1] > limit:
            return f"{name} is {resource.getrlimit(getattr(resource, name))}"
    return ""


def fork_bomb(facts: Facts) -> str:
    """Make processes until that is refused."""
    children: list[int] = []
    try:
        while len(children) < 4 * facts["processes"]:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except BlockingIOError:
        pass
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return "" if len(children) < facts["processes"] else f"{len(children)} processes ran at once"


def runtime(facts: Facts) -> str:
    """Not an attack: say whether jobs find what they are promised."""
    absent = [name for name in facts["modules"] if find_spec(name) is None]
    return f"cannot import {absent}" if absent else ""


ATTACKS: tuple[Callable[[Facts], str], ...] = (
    connecting,
    datagram,
    unix_socket,
    name_lookup,
    families,
    environment,
    host_files,
    open_files,
    writing,
    sizes,
    calls,
    privileges,
    fork_bomb,
    runtime,
)

if __name__ == "__main__":
    told = json.load(sys.stdin)
    sys.stdout.write("\n" + json.dumps({attack.__name__: attack(told) for attack in ATTACKS}) + "\n")
