"""A process is ready when each of its parts says so, and says it in time; a part that lies silent is not ready."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick.app import App
from bailiwick.keeper import Duty
from bailiwick.sandbox import BubblewrapSandbox
from bailiwick.wiring import load_settings, readiness
from bailiwick.wiring.embedded import Embedded, build
from bailiwick.wiring.readiness import Readiness, checks_of

PARTS = {"serving", "store", "blobs", "space", "clock", "keeper", "log", "sandbox"}


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[Embedded]:
    settings = load_settings(data_dir=str(tmp_path / "data"))
    app = App("shop")
    made = await build(settings, [app], BubblewrapSandbox(tmp_path / "cache"))
    await made.prepare(BubblewrapSandbox(tmp_path / "cache"))
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def _each_look_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.3)


async def why(system: Embedded, serving: str = "") -> dict[str, str]:
    found = await Readiness(checks_of(system, lambda: serving))()
    assert set(found) == PARTS
    return {name: reason for name, reason in found.items() if reason}


async def test_a_healthy_process_is_ready(system: Embedded) -> None:
    assert await why(system) == {}


async def test_a_door_that_takes_nothing_new_says_why(system: Embedded) -> None:
    assert await why(system, "draining") == {"serving": "draining"}


async def test_a_store_that_is_closed_or_silent_is_not_ready(
    system: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(system.store.views, "run", silent)
        assert await why(system) == {"store": "no answer within 0.3 s"}
    assert await why(system) == {}


async def test_a_store_that_could_not_write_is_not_ready(system: Embedded) -> None:
    writer: Any = system.store.writer
    writer._full = "database or disk is full"
    assert await why(system) == {"store": "database or disk is full"}
    writer._full, writer._broken = "", "disk I/O error"
    assert await why(system) == {"store": "disk I/O error"}


@pytest.mark.parametrize("broken", [errno.ENOSPC, errno.EIO])
async def test_artifacts_that_cannot_be_stored_are_not_ready(
    system: Embedded, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(broken, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(system.store.blobs, "_fill", full)
        assert "no room" in (await why(system))["blobs"]
    assert ("blobs" in await why(system)) == (broken == errno.EIO), "after a failed sync only a restart helps"


async def test_too_little_space_is_not_ready(system: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FREE_BYTES", 2**60)
    assert str(system.settings.folder) in (await why(system))["space"]


async def test_a_time_that_nobody_knows_is_not_ready(
    system: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "knows_the_time", lambda: False)
    assert set(await why(system)) == {"clock"}


async def test_a_duty_that_is_not_done_is_named(system: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    async def reap() -> int:
        return 0

    system.pulse.beat(Duty("reap", reap, 0.0))
    monkeypatch.setattr(readiness, "STUCK_SECONDS", -1.0)
    assert (await why(system))["keeper"].endswith(": reap")


async def test_a_sandbox_counts_where_an_agent_needs_it(
    system: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.sandbox = None
    assert await why(system) == {}
    monkeypatch.setattr(type(system), "needs_sandbox", property(lambda _: True))
    assert set(await why(system)) == {"sandbox"}


async def test_a_check_that_breaks_is_no_yes(system: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(system.store.views, "run", broken)
    assert await why(system) == {"store": "RuntimeError"}
