"""The bubblewrap sandbox: off until its own hostile self-test has passed, and off again when one fails."""

import os
import platform
from pathlib import Path

from bailiwick.base import Refusal
from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, FrameSink, SandboxJob, SandboxResult, SandboxStatus, Stop
from bailiwick.sandbox.execution import Setup, execute
from bailiwick.sandbox.jail import INSIDE_UID
from bailiwick.sandbox.runtime import stage
from bailiwick.sandbox.seccomp import ARCHITECTURE, build_filter
from bailiwick.sandbox.selftest import findings

_BACKEND = "bubblewrap"
_PROGRAMS = ("/usr/bin/prlimit", "/usr/bin/sh", "/usr/bin/tar")


class BubblewrapSandbox:
    """Implements `bailiwick.ports.Sandbox` with user namespaces, a system-call filter and rlimits.

    Args:
        cache_dir: Where the Python runtime of jobs is kept; ours alone to write, everybody's to traverse
            (see `default_cache_dir`).
        bwrap: The bubblewrap program, 0.8 or newer, not setuid.
        filter_program: The system-call filter as BPF; None for the one of `build_filter`.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        bwrap: Path = Path("/usr/bin/bwrap"),
        filter_program: bytes | None = None,
    ) -> None:
        self._cache_dir = cache_dir
        self._bwrap = bwrap
        self._filter = build_filter() if filter_program is None else filter_program
        self._setup: Setup | None = None
        self._status = SandboxStatus(
            available=False, backend=_BACKEND, findings=("the self-test has not run",)
        )

    @property
    def status(self) -> SandboxStatus:
        """The result of the last self-test."""
        return self._status

    async def self_test(self) -> SandboxStatus:
        """Stage the runtime (the first time: some seconds), attack the sandbox, remember the result.

        Never raises for what it finds: a sandbox that cannot be set up is one that is off.
        """
        self._setup = None
        found = _missing(self._bwrap)
        if not found:
            root = os.geteuid() == 0
            try:
                interior = await stage(self._cache_dir, uid=INSIDE_UID if root else os.geteuid())
                setup = Setup(
                    bwrap=self._bwrap,
                    filter_program=self._filter,
                    interior=interior,
                    uid=INSIDE_UID if root else None,
                )
                found = await findings(setup)
            except Refusal as refusal:
                found = (f"{refusal.message}; {refusal.remedy}",)
            except (CallFailed, OSError) as error:
                found = (str(error),)
        if not found:
            self._setup = setup
        self._status = SandboxStatus(available=not found, backend=_BACKEND, findings=found)
        return self._status

    async def run(self, job: SandboxJob, sink: FrameSink, stop: Stop) -> SandboxResult:
        """Run a command; see `bailiwick.ports.Sandbox.run`.

        The program finds a copy of `job.files` in its working directory, `python` with pytest and FastAPI
        on its PATH, and git. Links that leave the tree, devices and pipes are not copied; the output says so.
        """
        if self._setup is None:
            raise CallFailed(
                ErrorCategory.INTERNAL,
                f"code execution is off: {'; '.join(self._status.findings)}",
                unsent=True,
            )
        return await execute(self._setup, job, sink, stop)


def _missing(bwrap: Path) -> tuple[str, ...]:
    if platform.machine() != ARCHITECTURE or platform.system() != "Linux":
        return (f"the system-call filter is made for Linux on {ARCHITECTURE}, not {platform.platform()}",)
    if not bwrap.is_file():
        return (f"{bwrap} is missing: install bubblewrap",)
    if bwrap.stat().st_mode & 0o6000:
        return (f"{bwrap} is setuid: install a bubblewrap that is not",)
    return tuple(f"{program} is missing" for program in _PROGRAMS if not Path(program).exists())
