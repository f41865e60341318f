"""The jail: what bubblewrap is told to build, and the few lines of shell that hand it over to the job.

Memory of one job is bounded by `processes x memory_bytes` (address space, by rlimit) plus the three
temporary file systems below; `memory.py` ends a job whose processes together hold more than `memory_bytes`.
"""

from pathlib import Path

import msgspec

from bailiwick.ports import SandboxJob

WORK = "/job"
WORK_BYTES = 134_217_728
TMP_BYTES = 67_108_864
SHM_BYTES = 16_777_216
FILE_BYTES = WORK_BYTES
OPEN_FILES = 256
RUNTIME = "/opt/python"
BASE = "/opt/base"
READY = b"ready\n"
INSIDE_UID = 65_534

_UNPACK = f"/usr/bin/tar --extract --no-same-owner --no-same-permissions --directory={WORK} --file=- && "
_HAND_OVER = (
    "echo 1000 >/proc/self/oom_score_adj && unset PWD OLDPWD && echo ready >&2 && exec 2>&1 </stdin && "
    'exec /usr/bin/prlimit "$@"'
)


class Interior(msgspec.Struct, frozen=True):
    """What is mounted inside beside /usr: the staged runtime and, if it is not /usr's, its base interpreter."""

    runtime: Path
    base: Path | None
    library_path: str = ""


def environment(interior: Interior) -> dict[str, str]:
    """Make the whole environment of a job."""
    inside = {
        "PATH": f"{RUNTIME}/bin:/usr/bin",
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return inside | ({"LD_LIBRARY_PATH": interior.library_path} if interior.library_path else {})


def options(interior: Interior, *, seccomp_fd: int, stdin_fd: int, status_fd: int) -> list[str]:
    """List bubblewrap's options (its order is the order of mounting)."""
    given = (
        "--unshare-all --unshare-user --disable-userns --die-with-parent --new-session --clearenv --cap-drop ALL "
        f"--uid {INSIDE_UID} --gid {INSIDE_UID} --hostname sandbox "
        "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 "
        "--size 4096 --tmpfs /usr/local --remount-ro /usr/local --proc /proc --dev /dev "
        f"--size {SHM_BYTES} --perms 1777 --tmpfs /dev/shm --remount-ro /dev "
        f"--size {TMP_BYTES} --perms 1777 --tmpfs /tmp --size {WORK_BYTES} --tmpfs {WORK} --chdir {WORK} "
        f"--perms 0444 --file {stdin_fd} /stdin --seccomp {seccomp_fd} --json-status-fd {status_fd}"
    ).split()
    given += ["--ro-bind", str(interior.runtime), RUNTIME]
    if interior.base is not None:
        given += ["--ro-bind", str(interior.base), BASE]
    for name, value in environment(interior).items():
        given += ["--setenv", name, value]
    return [*given, "--remount-ro", "/"]


def command(job: SandboxJob, *, unpack: bool) -> list[str]:
    """Make the command inside: unpack stdin, say `ready` on stderr, swap both for the job's, limit, become it."""
    limits = (
        f"--as={job.memory_bytes} --nproc={job.processes} --cpu={job.cpu_seconds}:{job.cpu_seconds + 1} "
        f"--fsize={FILE_BYTES} --nofile={OPEN_FILES} --core=0"
    )
    script = (_UNPACK if unpack else "") + _HAND_OVER
    return ["/usr/bin/sh", "-c", script, "sandbox", *limits.split(), "--", *job.argv]
