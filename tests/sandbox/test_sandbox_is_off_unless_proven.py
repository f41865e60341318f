"""Code execution is off until the self-test has passed, says why, and runs nothing."""

import os
import platform
import struct
import time
from pathlib import Path

import pytest

from bailiwick.ports import CallFailed, SandboxJob, Stop
from bailiwick.sandbox import BubblewrapSandbox, default_cache_dir
from bailiwick.sandbox.child import Spawn
from bailiwick.sandbox.jail import TMP_BYTES, options
from bailiwick.sandbox.seccomp import DENIED, build_filter

ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)


async def is_off(box: BubblewrapSandbox, why: str) -> None:
    status = box.status
    assert not status.available
    assert any(why in finding for finding in status.findings), status.findings
    with pytest.raises(CallFailed, match="code execution is off") as failure:
        await box.run(SandboxJob(argv=("true",)), lambda _: None, Stop())
    assert failure.value.category == "internal"
    assert failure.value.unsent
    assert why in failure.value.message


async def test_before_the_self_test_nothing_runs() -> None:
    await is_off(BubblewrapSandbox(default_cache_dir()), "has not run")


async def test_without_bubblewrap_nothing_runs(tmp_path: Path) -> None:
    box = BubblewrapSandbox(default_cache_dir(), bwrap=tmp_path / "bwrap")
    await box.self_test()
    await is_off(box, "install bubblewrap")


async def test_a_program_that_is_no_sandbox_is_found_out() -> None:
    box = BubblewrapSandbox(default_cache_dir(), bwrap=Path("/usr/bin/env"))
    await box.self_test()
    await is_off(box, "did not start")


async def test_a_setuid_bubblewrap_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_bytes(b"")
    fake.chmod(0o4755)
    box = BubblewrapSandbox(default_cache_dir(), bwrap=fake)
    await box.self_test()
    await is_off(box, "setuid")


async def test_a_filter_that_lets_everything_through_is_found_out() -> None:
    box = BubblewrapSandbox(default_cache_dir(), filter_program=ALLOW_ALL)
    await box.self_test()
    await is_off(box, "memfd")
    assert {finding.partition(":")[0] for finding in box.status.findings} == {"families", "calls"}


@pytest.mark.parametrize("number", [DENIED["memfd_create"], DENIED["keyctl"], DENIED["io_uring_setup"]])
async def test_one_hole_in_the_filter_is_found_out(number: int) -> None:
    rule = struct.pack("=HBBI", 0x15, 0, 1, number)
    holed = build_filter().replace(rule, struct.pack("=HBBI", 0x15, 0, 1, 9_999))
    box = BubblewrapSandbox(default_cache_dir(), filter_program=holed)
    await box.self_test()
    await is_off(box, "calls")


@pytest.mark.parametrize(
    ("told", "instead", "why"),
    [
        (["--unshare-all"], ["--unshare-ipc", "--unshare-pid", "--unshare-uts"], "connecting: reached"),
        (["--remount-ro", "/"], ["--ro-bind", "/etc", "/etc", "--remount-ro", "/"], "host_files: there are"),
        (["--remount-ro", "/dev"], [], "writing: wrote"),
        (["--size", str(TMP_BYTES)], [], "sizes: /tmp"),
    ],
    ids=["network", "files", "device-folder", "unsized"],
)
async def test_a_wall_that_is_missing_is_found_out(monkeypatch, told, instead, why) -> None:
    def weaker(*arguments: object, **fds: int) -> list[str]:
        given = options(*arguments, **fds)
        at = next(n for n in range(len(given)) if given[n : n + len(told)] == told)
        return given[:at] + instead + given[at + len(told) :]

    monkeypatch.setattr("bailiwick.sandbox.execution.options", weaker)
    box = BubblewrapSandbox(default_cache_dir())
    await box.self_test()
    await is_off(box, why)


async def test_a_launcher_that_leaks_its_environment_is_found_out(monkeypatch) -> None:
    monkeypatch.setattr(
        "bailiwick.sandbox.execution.Spawn", lambda **given: Spawn(**given | {"env": dict(os.environ)})
    )
    box = BubblewrapSandbox(default_cache_dir())
    await box.self_test()
    await is_off(box, "environment: /proc/1/environ")


async def test_a_filter_that_the_kernel_refuses_is_reported() -> None:
    box = BubblewrapSandbox(default_cache_dir(), filter_program=b"\0" * 8)
    await box.self_test()
    await is_off(box, "did not start")


async def test_another_machine_than_the_filters_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    box = BubblewrapSandbox(default_cache_dir())
    await box.self_test()
    await is_off(box, "x86_64")


async def test_a_cache_that_is_anothers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    box = BubblewrapSandbox(tmp_path / "link")
    await box.self_test()
    await is_off(box, "link")


async def test_a_later_self_test_that_fails_turns_it_off_again(tmp_path: Path) -> None:
    box = BubblewrapSandbox(default_cache_dir())
    assert (await box.self_test()).available
    box._bwrap = tmp_path / "gone"
    await box.self_test()
    await is_off(box, "is missing")


async def test_the_self_test_takes_less_than_three_seconds_and_leaves_no_canary(sandbox) -> None:
    before, began = dict(os.environ), time.monotonic()
    assert (await sandbox.self_test()).available
    assert time.monotonic() - began < 3
    assert dict(os.environ) == before


def test_every_denied_call_is_in_the_filter_and_the_filter_fits_the_kernel() -> None:
    program = build_filter()
    assert len(program) % 8 == 0
    assert len(program) // 8 <= 4096
    for number in DENIED.values():
        assert struct.pack("=HBBI", 0x15, 0, 1, number) in program
    assert len(set(DENIED.values())) == len(DENIED)
