"""A job ends by itself or is ended, and then nothing of it is left."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bailiwick.ports import SandboxJob, Stop
from bailiwick.sandbox import HostProcesses
from platform_kit import PATIENCE

DAEMON = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        print('daemon', flush=True)\n"
    "        time.sleep(600)\n"
    "    os._exit(0)\n"
)


def python(script: str, *words: str) -> tuple[str, ...]:
    return ("python", "-I", "-u", "-c", script, *words)


@pytest.mark.parametrize(
    "script", ["while True: pass", "import time; time.sleep(600)"], ids=["spin", "sleep"]
)
async def test_the_wall_limit_ends_a_job(sandbox, script: str) -> None:
    job = SandboxJob(argv=python(script), wall_seconds=0.5)
    result = await sandbox.run(job, lambda _: None, Stop())
    assert (result.ended_by, result.exit_code) == ("wall", -9)
    assert 500 <= result.wall_ms < 5_000


async def test_the_processor_limit_ends_a_job_that_spins(sandbox) -> None:
    job = SandboxJob(argv=python("while True: pass"), cpu_seconds=1, wall_seconds=20)
    result = await sandbox.run(job, lambda _: None, Stop())
    assert (result.ended_by, result.exit_code) == ("exit", -signal.SIGXCPU)


async def test_a_flood_of_output_ends_the_job_and_only_the_limit_is_kept(sandbox) -> None:
    frames = []
    job = SandboxJob(argv=("yes", "é"), output_bytes=10_001)
    result = await sandbox.run(job, frames.append, Stop())
    assert result.ended_by == "output"
    assert len(result.output.encode()) <= 10_003
    assert "".join(frame["text"] for frame in frames) == result.output
    assert result.output.startswith("é\né\n")


async def test_output_up_to_the_limit_is_no_flood(sandbox) -> None:
    job = SandboxJob(argv=python("print('x' * 9999)"), output_bytes=10_000)
    result = await sandbox.run(job, lambda _: None, Stop())
    assert (result.ended_by, len(result.output)) == ("exit", 10_000)


async def test_output_that_is_not_text_is_replaced_not_refused(sandbox) -> None:
    frames = []
    job = SandboxJob(argv=python("import os; os.write(1, b'a\\xff'); os.write(2, b'\\xc3')"))
    result = await sandbox.run(job, frames.append, Stop())
    assert result.output == "a\ufffd\ufffd"
    assert all(frame["type"] == "output" for frame in frames)


async def test_output_streams_while_the_job_runs_and_stop_ends_it_within_a_second(sandbox, survivors) -> None:
    stop = Stop()
    asked = 0.0

    def sink(frame: dict[str, object]) -> None:
        nonlocal asked
        asked = asked or time.monotonic()
        stop.request("canceled")

    job = SandboxJob(
        argv=python("import os, time; os.write(1, b'running\\n'); time.sleep(600)", "mark-stop-7f1")
    )
    result = await sandbox.run(job, sink, stop)
    assert asked
    assert time.monotonic() - asked < 1
    assert (result.ended_by, result.output, result.exit_code) == ("stop", "running\n", -9)
    assert survivors("mark-stop-7f1") == []


async def test_a_stop_that_came_first_runs_nothing(sandbox) -> None:
    stop = Stop()
    stop.request("halted")
    result = await sandbox.run(SandboxJob(argv=("echo", "ran")), lambda _: None, stop)
    assert (result.ended_by, result.output) == ("stop", "")


async def test_cancelling_the_caller_leaves_nothing_behind(sandbox, survivors) -> None:
    running = asyncio.Event()
    job = SandboxJob(argv=python("print('up'); import time; time.sleep(600)", "mark-cancel-2c9"))
    task = asyncio.create_task(sandbox.run(job, lambda _: running.set(), Stop()))
    await running.wait()
    assert survivors("mark-cancel-2c9")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert survivors("mark-cancel-2c9") == []


async def test_a_daemon_that_forked_twice_does_not_outlive_the_job(sandbox, survivors) -> None:
    job = SandboxJob(argv=python(DAEMON + "time.sleep(0.3); print('done')", "mark-daemon-5b3"))
    result = await sandbox.run(job, lambda _: None, Stop())
    assert result.ended_by == "exit"
    assert sorted(result.output.split()) == ["daemon", "done"]
    assert result.wall_ms < 5_000
    assert survivors("mark-daemon-5b3") == []


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), -15),
        (("no-such-program",), 127),
        (("python", "-c", "import os; os.close(1); os.close(2)"), 0),
    ],
)
async def test_the_exit_code_is_the_jobs_own(sandbox, argv: tuple[str, ...], code: int) -> None:
    result = await sandbox.run(SandboxJob(argv=argv), lambda _: None, Stop())
    assert (result.ended_by, result.exit_code) == ("exit", code)


async def test_stdin_is_what_the_job_was_given(sandbox) -> None:
    job = SandboxJob(argv=("sh", "-c", "cat; cat"), stdin=b"a line\n" * 3)
    result = await sandbox.run(job, lambda _: None, Stop())
    assert result.output == "a line\n" * 3


async def test_jobs_run_beside_each_other_and_do_not_mix(sandbox) -> None:
    jobs = [SandboxJob(argv=("sh", "-c", f"echo {n} > n; cat n; ls")) for n in range(6)]
    results = await asyncio.gather(*(sandbox.run(job, lambda _: None, Stop()) for job in jobs))
    assert [result.output for result in results] == [f"{n}\nn\n" for n in range(6)]


async def test_the_job_dies_with_a_killed_launcher(sandbox, survivors, tmp_path: Path) -> None:
    launcher = (
        "import asyncio, os, signal\n"
        "from bailiwick.ports import SandboxJob, Stop\n"
        "from bailiwick.sandbox import BubblewrapSandbox, default_cache_dir\n"
        "async def main():\n"
        "    box = BubblewrapSandbox(default_cache_dir())\n"
        "    await box.self_test()\n"
        "    argv = ('python', '-uc', 'print(1); import time; time.sleep(600)', 'mark-launcher-9d4')\n"
        "    await box.run(SandboxJob(argv=argv), lambda _: os.kill(os.getpid(), signal.SIGKILL), Stop())\n"
        "asyncio.run(main())\n"
    )
    result = await HostProcesses().run(
        (sys.executable, "-c", launcher),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        stdin=b"",
        timeout_seconds=30,
        output_bytes=10_000,
    )
    assert result.exit_code == -9, result.stderr
    async with asyncio.timeout(PATIENCE):
        while survivors("mark-launcher-9d4"):
            await asyncio.sleep(0)
