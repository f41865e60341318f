"""`shell.run` hands the sandbox a copy of the workspace and an allowed command, and reports what came of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tools_kit import TENANT, Hand, store

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, FrameSink, SandboxJob, SandboxResult, SandboxStatus, Stop
from bailiwick.sandbox import BubblewrapSandbox, default_cache_dir
from bailiwick.tools import Checkouts, ShellTool, Workspaces

Make = Callable[..., Hand]


class Desk:
    """A sandbox that runs nothing: it notes the job and answers as it was told to."""

    status = SandboxStatus(available=True, backend="desk")

    def __init__(self, answer: SandboxResult) -> None:
        self.answer = answer
        self.jobs: list[SandboxJob] = []

    async def self_test(self) -> SandboxStatus:
        return self.status

    async def run(self, job: SandboxJob, sink: FrameSink, stop: Stop) -> SandboxResult:
        self.jobs.append(job)
        sink({"type": "output", "text": self.answer.output[:10]})
        return self.answer


@pytest.fixture
def checkouts(workspaces: Workspaces, tmp_path: Path) -> Checkouts:
    return Checkouts(workspaces, tmp_path / "checkouts")


async def test_a_command_that_fails_is_a_result_and_its_end_is_shown(
    host_of: Make, workspaces: Workspaces, checkouts: Checkouts
) -> None:
    desk = Desk(SandboxResult(exit_code=1, output="x" * 20_000 + "\0 1 failed", ended_by="exit", wall_ms=5))
    hand = host_of(*ShellTool(workspaces, checkouts, desk).tools())
    hand.tree = await store(workspaces, {"test_a.py": b"assert False\n"})
    before = hand.tree
    ended = await hand("shell.run", argv=["pytest", "-q"], seconds=30)
    assert (ended["exit_code"], ended["ended_by"], ended["truncated"]) == (1, "exit", True)
    assert len(ended["output"]) == 16_384
    assert ended["output"].endswith("\ufffd 1 failed")
    assert hand.tree == before
    assert hand.frames == [{"type": "output", "text": "x" * 10}]
    (job,) = desk.jobs
    assert job.argv == ("pytest", "-q")
    assert job.wall_seconds == 25
    assert job.files is not None
    assert (job.files / "test_a.py").read_bytes() == b"assert False\n"


@pytest.mark.parametrize(
    "argv", [["sh", "-c", "ls"], ["/usr/bin/python"], ["./python"], [""], [], ["Python"], [1]], ids=str
)
async def test_another_command_does_not_start(
    host_of: Make, workspaces: Workspaces, checkouts: Checkouts, argv: list[object]
) -> None:
    desk = Desk(SandboxResult(exit_code=0, output="", ended_by="exit", wall_ms=0))
    with pytest.raises(CallFailed, match=r"arguments do not fit|command_refused"):
        await host_of(*ShellTool(workspaces, checkouts, desk).tools())("shell.run", argv=argv)
    assert desk.jobs == []


async def test_an_app_narrows_the_commands_and_models_read_it_in_the_contract(
    host_of: Make, workspaces: Workspaces, checkouts: Checkouts
) -> None:
    desk = Desk(SandboxResult(exit_code=0, output="", ended_by="exit", wall_ms=0))
    hand = host_of(*ShellTool(workspaces, checkouts, desk, commands=("pytest",)).tools())
    assert hand.contract("shell.run").input["properties"]["argv"]["prefixItems"] == [{"enum": ["pytest"]}]
    with pytest.raises(CallFailed):
        await hand("shell.run", argv=["python", "-V"])


async def test_a_stopped_command_is_canceled(
    host_of: Make, workspaces: Workspaces, checkouts: Checkouts
) -> None:
    desk = Desk(SandboxResult(exit_code=-9, output="", ended_by="stop", wall_ms=0))
    with pytest.raises(CallFailed) as failed:
        await host_of(*ShellTool(workspaces, checkouts, desk).tools())("shell.run", argv=["ls"])
    assert failed.value.category is ErrorCategory.CANCELED


async def test_the_real_sandbox_sees_the_files_and_cannot_change_them(
    host_of: Make, workspaces: Workspaces, checkouts: Checkouts
) -> None:
    sandbox = BubblewrapSandbox(await asyncio.to_thread(default_cache_dir))
    status = await sandbox.self_test()
    assert status.available, status.findings
    hand = host_of(*ShellTool(workspaces, checkouts, sandbox).tools())
    hand.tree = await store(
        workspaces,
        {"d/main.py": b"print(open('d/data').read())\nopen('new', 'w').write('x')\n", "d/data": b"hello"},
    )
    folder = await checkouts.materialise(TENANT, hand.tree)
    ended = await hand("shell.run", argv=["python", "d/main.py"])
    assert ended["output"] == "hello\n", ended
    assert ended["exit_code"] == 0
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["d", "d/data", "d/main.py"]
