"""The runtime is staged once, whole, by us alone, and where its user can read it."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from bailiwick.ports import SandboxJob, Stop
from bailiwick.sandbox import default_cache_dir
from bailiwick.sandbox.closure import NotInstalled, closure
from bailiwick.sandbox.execution import Setup, execute
from bailiwick.sandbox.jail import INSIDE_UID
from bailiwick.sandbox.runtime import Base, StagingRefused, choose_base, stage
from bailiwick.sandbox.seccomp import build_filter

UID = INSIDE_UID if os.geteuid() == 0 else os.geteuid()


def test_the_closure_holds_what_is_required_and_no_more() -> None:
    names = set(closure(["pytest", "fastapi", "httpx2"]))
    assert {"pytest", "pluggy", "fastapi", "starlette", "pydantic-core", "anyio", "httpx2"} <= names
    assert not names & {"bailiwick", "ruff", "mypy", "openai", "cryptography"}


def test_a_missing_distribution_is_named() -> None:
    with pytest.raises(NotInstalled, match="no-such-thing"):
        closure(["no-such-thing"])


async def test_two_that_stage_at_once_both_find_it_whole(tmp_path: Path) -> None:
    cache = _traversable(tmp_path)
    first, second = await asyncio.gather(stage(cache, uid=os.geteuid()), stage(cache, uid=os.geteuid()))
    assert first == second
    assert [path.name for path in cache.iterdir()] == [first.runtime.parent.name]
    for path in first.runtime.rglob("*"):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) in {0o755, 0o644}
    assert list(first.runtime.rglob("fastapi/__pycache__/*.pyc"))


async def test_a_staged_runtime_is_found_and_not_built_again() -> None:
    first = await stage(default_cache_dir(), uid=UID)
    made = first.runtime.stat().st_ctime_ns
    assert (await stage(default_cache_dir(), uid=UID)).runtime.stat().st_ctime_ns == made


@pytest.mark.parametrize("mode", [0o777, 0o775], ids=["all", "group"])
async def test_a_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(StagingRefused, match="others may write"):
        await stage(cache, uid=os.geteuid())


async def test_a_directory_below_one_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StagingRefused, match="rename"):
        await stage(tmp_path / "open" / "cache", uid=os.geteuid())


async def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "cache").symlink_to("theirs")
    with pytest.raises(StagingRefused, match="link"):
        await stage(tmp_path / "cache", uid=os.geteuid())
    assert list((tmp_path / "theirs").iterdir()) == []


async def test_a_directory_that_the_jobs_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    with pytest.raises(StagingRefused, match="may not go there"):
        await stage(tmp_path / "private" / "cache", uid=54_321)


async def test_an_interpreter_that_was_copied_runs_the_jobs() -> None:
    """What happens where ours is out of reach and the system has none of its version."""
    base = Base(prefix=Path(sys.base_prefix).resolve(), copied=True)
    interior = await stage(default_cache_dir(), uid=UID, base=base)
    setup = Setup(
        bwrap=Path("/usr/bin/bwrap"),
        filter_program=build_filter(),
        interior=interior,
        uid=UID if os.geteuid() == 0 else None,
    )
    script = "import sys, ssl, sqlite3, pytest, fastapi; print(sys.base_prefix, sys.version)"
    result = await execute(setup, SandboxJob(argv=("python", "-c", script)), lambda _: None, Stop())
    assert result.output == f"/opt/base {sys.version}\n"


async def test_the_chosen_interpreter_is_one_that_the_user_can_reach() -> None:
    base = await choose_base(UID)
    if not base.copied:
        assert (
            all(parent.stat().st_mode & 0o001 for parent in (base.prefix / "bin").parents)
            or os.geteuid() == UID
        )


def _traversable(path: Path) -> Path:
    cache = path / "cache"
    cache.mkdir(mode=0o755)
    return cache
