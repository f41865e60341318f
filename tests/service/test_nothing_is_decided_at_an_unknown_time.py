"""P17: a process that cannot tell the store's time decides nothing; what it refuses can be asked again, and nothing is lost."""

import math

import pytest

from bailiwick.ports import MAX_CLOCK_ERROR_SECONDS, ClockUnsure
from platform_kit import ALICE, System


async def test_a_process_that_may_be_wrong_by_more_than_half_a_second_refuses_and_then_goes_on(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.work()
    error = math.inf
    monkeypatch.setattr(system.world, "error_seconds", lambda: error)
    with pytest.raises(ClockUnsure) as refused:
        await system.submit(title="at what time?")
    assert refused.value.category == "unavailable"
    assert refused.value.facts == {"error": "any amount", "allowed_seconds": 0.5}
    assert await system.store.views.runs("acme", status="", app="", before="", limit=9) == []
    error = MAX_CLOCK_ERROR_SECONDS + 0.1
    with pytest.raises(ClockUnsure, match=r"0\.6 s"):
        await system.submit(title="at what time?")
    error = MAX_CLOCK_ERROR_SECONDS
    run = await system.submit(title="at what time?")
    assert (await system.ended(run)).closed is not None


async def test_a_run_waits_while_the_time_is_unknown_and_ends_when_it_is_known(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await system.submit(title="later")
    error = 1.0
    monkeypatch.setattr(system.world, "error_seconds", lambda: error)
    with pytest.raises(ClockUnsure):
        await system.platform.control.cancel(ALICE, run)
    before = (await system.refolded(run)).version
    error = 0.0
    system.work()
    assert (await system.ended(run)).version > before
