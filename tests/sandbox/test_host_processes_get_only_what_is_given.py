"""Trusted programs run on this machine with the environment given, and die with all that they started."""

import asyncio
from pathlib import Path

import pytest

from bailiwick.ports import CallFailed, Processes, ProcessResult
from bailiwick.sandbox import HostProcesses
from platform_kit import PATIENCE

ENV = {"PATH": "/usr/bin"}


async def run(*argv: str, cwd: Path, **kept: object) -> ProcessResult:
    processes: Processes = HostProcesses()
    given = {"env": ENV, "stdin": b"", "timeout_seconds": 10.0, "output_bytes": 100_000} | kept
    return await processes.run(argv, cwd=cwd, **given)


async def test_stdout_stderr_and_the_exit_code_come_back_apart(tmp_path: Path) -> None:
    result = await run("sh", "-c", "pwd; echo bad >&2; exit 3", cwd=tmp_path)
    assert result == ProcessResult(exit_code=3, stdout=f"{tmp_path}\n".encode(), stderr=b"bad\n")


async def test_the_environment_is_what_was_given_and_nothing_of_ours(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", "sk-secret")
    result = await run("env", cwd=tmp_path, env={"PATH": "/usr/bin", "GIT_CONFIG_NOSYSTEM": "1"})
    assert sorted(result.stdout.split()) == [b"GIT_CONFIG_NOSYSTEM=1", b"PATH=/usr/bin"]


async def test_stdin_reaches_it_whole(tmp_path: Path) -> None:
    body = bytes(range(256)) * 1_000
    result = await run("cat", cwd=tmp_path, stdin=body, output_bytes=len(body))
    assert result.stdout == body


async def test_git_works_on_a_repository_of_this_machine(tmp_path: Path) -> None:
    assert (await run("git", "init", "-q", ".", cwd=tmp_path)).exit_code == 0
    assert (await run("git", "status", "--porcelain=v2", "--branch", cwd=tmp_path)).stdout.startswith(
        b"# branch"
    )


async def test_out_of_time_it_dies_with_its_children(tmp_path: Path, survivors) -> None:
    script = "sleep 600.0731 & sleep 600.0731"
    with pytest.raises(CallFailed) as failure:
        await run("sh", "-c", script, cwd=tmp_path, timeout_seconds=0.2)
    assert failure.value.category == "timeout"
    assert failure.value.ambiguous
    async with asyncio.timeout(PATIENCE):
        while survivors("600.0731"):
            await asyncio.sleep(0)


async def test_cancelled_it_dies_with_its_children(tmp_path: Path, survivors) -> None:
    task = asyncio.create_task(run("sh", "-c", "echo > up; sleep 600.0732 & sleep 600.0732", cwd=tmp_path))
    async with asyncio.timeout(PATIENCE):
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(PATIENCE):
        while survivors("600.0732"):
            await asyncio.sleep(0)


async def test_what_it_left_running_dies_when_it_ends(tmp_path: Path, survivors) -> None:
    result = await run("sh", "-c", "sleep 600.0733 & echo done", cwd=tmp_path)
    assert (result.exit_code, result.stdout) == (0, b"done\n")
    async with asyncio.timeout(PATIENCE):
        while survivors("600.0733"):
            await asyncio.sleep(0)


async def test_too_much_output_ends_it(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="1000 bytes") as failure:
        await run("yes", cwd=tmp_path, output_bytes=1_000)
    assert failure.value.category == "tool-failed"


async def test_output_of_both_pipes_counts_and_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    assert (
        await run("sh", "-c", "printf 12345; printf 67890 >&2", cwd=tmp_path, output_bytes=10)
    ).exit_code == 0
    with pytest.raises(CallFailed):
        await run("sh", "-c", "printf 12345; printf 678901 >&2", cwd=tmp_path, output_bytes=10)


async def test_a_program_that_is_not_there_was_never_started(tmp_path: Path) -> None:
    with pytest.raises(CallFailed) as failure:
        await run("no-such-program", cwd=tmp_path)
    assert failure.value.unsent
    assert failure.value.category == "internal"


async def test_a_signal_is_a_negative_exit_code(tmp_path: Path) -> None:
    assert (await run("sh", "-c", "kill -TERM $$", cwd=tmp_path)).exit_code == -15
