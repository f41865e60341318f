"""Crashed before or after each call of port, store, blobs and tool, an action keeps the promise of its class (P6)."""

from pathlib import Path
from typing import Any

import pytest
from crash_kit import LONG
from fuse_kit import Fuse, FusedOutside, install, remove

from bailiwick.app import CallRefused, Context
from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.run import CallState, Run, Status
from bailiwick.wiring.compiler import run_policy_compiler
from figures import tell
from platform_kit import ALICE, System, soon
from shop_kit import POLICIES, Shop

FEWEST = 24
TOOLS = ("read", "quote", "write", "mail")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return build_bundle(stacked(POLICIES), run_policy_compiler)


def shop_of(tool: str, outside: FusedOutside) -> Shop:
    shop = Shop(outside=outside)

    async def clerk(ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        try:
            await ctx.tool(f"shop.{tool}", {"text": "x"})
        except CallRefused as refused:
            return {"state": refused.state}
        return {"state": "done"}

    shop.scripts["clerk"] = clerk
    shop.workflow()
    return shop


def rests(run: Run) -> bool:
    return run.closed is not None or run.status is Status.BLOCKED


async def crashed(system: System, fuse: Fuse, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run until the fuse blows or the run has ended; then lose all that is in memory, and go on without a fuse."""
    await system.open()
    run = await system.submit()
    fuse.armed = True
    worker = system.work()
    await soon(_first(fuse, system, run))
    worker.cancel()
    fuse.clear()
    system.tampered = True  # the fuse is blown: nothing can be looked at before it is taken out
    await system.close()
    system.tampered = False
    remove(monkeypatch)
    outside = system.outside
    assert isinstance(outside, FusedOutside)
    outside.fuse = Fuse()
    await system.open()
    system.work()
    return run


async def _first(fuse: Fuse, system: System, run: str) -> None:
    if fuse.at:
        await fuse.blown.wait()
    else:
        await system.until(run, rests)


async def test_every_class_keeps_its_promise_at_every_point(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for tool in TOOLS:
        points = await _points(tool, tmp_path, bundle, monkeypatch)
        assert len(points) >= FEWEST, points
        assert f"before tool {tool}" in points
        unknown = 0
        step = 1 if LONG or tool == "mail" else 3 if tool == "write" else 7
        for at in range(1, len(points) + 1, step):
            unknown += await _judged(tool, at, tmp_path / f"{tool}-{at}", bundle, monkeypatch)
        told.append(f"{tool}: {len(points)} points, every {step}. tried, {unknown} unknown")
        assert (unknown > 0) == (tool == "mail")
    tell("; ".join(told))


async def _points(tool: str, folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the points from the claim to the recorded end, in a run in which nothing blows."""
    fuse = Fuse()
    install(fuse, monkeypatch)
    outside = FusedOutside()
    outside.fuse = fuse
    system = System(folder / tool, bundle, shop_of(tool, outside))
    await crashed(system, fuse, monkeypatch)
    await system.close()
    last = max(
        at for at, name in enumerate(fuse.points) if name in ("after ledger.commit", "after port.settle")
    )
    return fuse.points[: last + 1]


async def _judged(tool: str, at: int, folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Crash at a point, drive to the end, hold the effects to the class; answer whether an outcome was unknown."""
    fuse = Fuse(at)
    install(fuse, monkeypatch)
    outside = FusedOutside()
    outside.fuse = fuse
    system = System(folder, bundle, shop_of(tool, outside))
    id = await crashed(system, fuse, monkeypatch)
    where = f"{tool} {fuse.points[-1]}"
    run = await system.until(id, rests)
    unknown = run.status is Status.BLOCKED
    if unknown:
        assert tool == "mail", where
        (question,) = (await system.platform.reading.detail(ALICE, id)).questions
        assert question.call.state is CallState.UNKNOWN, where
        assert question.call.quarantine_until > question.call.dispatched_at, where
        assert question.evidence, where
        happened = outside.count("mail") == 1
        await system.platform.control.resolve(
            ALICE,
            id,
            question.call.key,
            done=happened,
            output={"said": "x"} if happened else None,
            reason="looked",
            despite_quarantine=True,
        )
        run = await system.until(id, rests)
    assert run.status is Status.COMPLETED, where
    match tool:
        case "mail":
            assert outside.count("mail") <= 1, where
            assert unknown or outside.count("mail") == 1, where
        case "write":
            assert list(outside.effects.values()) == ["x"], where
        case _:
            assert outside.count(tool) >= 1, where
    await system.close()
    return unknown
