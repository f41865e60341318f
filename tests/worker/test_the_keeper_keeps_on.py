"""The keeper's loops: a duty that fails is tried again, more slowly, and never stops its neighbours."""

import asyncio

from structlog.testing import capture_logs

from bailiwick.keeper import Duty, keep
from bailiwick.run import Status
from platform_kit import ALICE, System, soon
from shop_kit import Shop


async def test_a_failing_duty_goes_on_and_disturbs_nobody() -> None:
    tries: list[str] = []
    enough = asyncio.Event()

    async def fail() -> int:
        tries.append("fail")
        if tries.count("fail") == 4 and "work" in tries:
            enough.set()
        raise RuntimeError("no")

    async def work() -> int:
        tries.append("work")
        return 0

    with capture_logs() as lines:
        keeping = asyncio.ensure_future(keep((Duty("fail", fail, 0.001), Duty("work", work, 0.001))))
        await soon(enough.wait())
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    failed = [line for line in lines if line["event"] == "keeper.failed"]
    assert len(failed) >= 4
    assert {line["duty"] for line in failed} == {"fail"}


async def test_duties_that_find_nothing_to_do_rest(shop: Shop, system: System) -> None:
    """A run that is late but cannot end yet must not keep the keeper busy."""
    run = await system.submit(deadline_seconds=60)
    hand = await system.hand()
    await hand.claim()
    await hand.dispatched("mail")
    await system.crash()
    assert (await system.run(run)).status is Status.BLOCKED
    system.clock.advance(61)
    recovering = system.platform.recovering
    assert await recovering.pass_deadlines() == 1
    approvals = (recovering.escalate_approvals, recovering.expire_approvals)
    duties = (recovering.reap, recovering.time_out, recovering.pass_deadlines, *approvals)
    assert [await duty() for duty in duties] == [0, 0, 0, 0, 0]
    (key,) = (await system.run(run)).calls
    await system.platform.control.resolve(ALICE, run, key, done=True)
    assert (await system.run(run)).status is Status.FAILED
