"""What runs a data directory holds when a newer program opens it: each ended, or stands where only an act helps it on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bailiwick.contract import ErrorCategory
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.run import Status, StepStatus
from platform_kit import ALICE, ROOT, Hand, System
from saga_kit import Depot, made, stock
from shop_kit import Shop

Story = Callable[[System, Depot], Awaitable[str]]
TWINS = tuple(Principal(f"key_twin{n}", "twin", PrincipalKind.USER, "acme", Role.OPERATOR) for n in (1, 2))
"""Two keys of one name: before names were unique, nobody could say which of them asked."""


def the_shop() -> tuple[Shop, Depot]:
    """A shop whose workflows can come to stand in every way that there was."""
    shop = Shop()
    depot = stock(shop)
    clerk: dict[str, Any] = {"uses": "clerk", "input": {}}
    shop.workflow()
    shop.workflow({**clerk, "id": "a"}, {"id": "b", "uses": "shop.read", "input": {"text": "b"}}, name="row")
    shop.workflow({**clerk, "id": "a", "on_error": "human"}, name="human")
    shop.workflow({**clerk, "id": "a", "limits": {"calls": 2}}, name="limited")
    shop.workflow({**clerk, "id": "a", "retry": {"on": ["transient"], "attempts": 3}}, name="retry")
    shop.workflow(
        made("a"), {"id": "mail", "uses": "shop.mail", "input": {"text": "m"}}, made("b"), name="saga"
    )
    shop.workflow(made("a"), made("b"), name="depot")
    return shop, depot


async def begun(system: System, workflow: str = "job", **fields: Any) -> tuple[Hand, str]:
    run = await system.submit(workflow, **fields)
    hand = await system.hand()
    assert await hand.claim() is not None
    assert hand.assignment.run == run
    return hand, run


async def completed(system: System, _: Depot) -> str:
    hand, run = await begun(system, "row", labels={"feature": "upgrade", "team": "proof"})
    for tool in ("read", "quote", "write", "mail", "never"):
        await hand.call(tool)
    await hand.finish({})
    await hand.call("read", "b")
    await hand.finish({"said": "b"})
    return run


async def held(system: System, _: Depot) -> str:
    hand, run = await begun(system)
    await hand.call("write")
    await hand.act("pay")
    return run


async def held_for_a_twin(system: System, _: Depot) -> str:
    hand, run = await begun(system, who=TWINS[0])
    await hand.act("pay", "twin")
    return run


async def out_of_money(system: System, _: Depot) -> str:
    hand, run = await begun(system, budget_usd="0.0006")
    await hand.call("quote", "one")
    await hand.act("quote", "two")
    return run


async def halted(system: System, _: Depot) -> str:
    hand, run = await begun(system)
    await system.platform.halts.set(ROOT, "run", run, "look first")
    await hand.act("quote")
    return run


async def without_progress(system: System, _: Depot) -> str:
    hand, run = await begun(system)
    n = 0
    while (await system.run(run)).steps["work"].status is StepStatus.RUNNING:
        n += 1
        await hand.call("read", "same", n=n) if n <= 4 else await hand.act("read", "same", n=n)
    return run


async def at_a_limit(system: System, _: Depot) -> str:
    hand, run = await begun(system, "limited")
    await hand.call("read", "one")
    await hand.call("read", "two")
    await hand.act("read", "three")
    return run


async def asked(system: System, _: Depot) -> str:
    hand, run = await begun(system, "human")
    await hand.finish(category=ErrorCategory.INTERNAL, reason="it broke")
    return run


async def divergent(system: System, _: Depot) -> str:
    hand, run = await begun(system)
    await hand.call("read")
    assert system.edit(f"UPDATE runs SET title = title || '!' WHERE id = '{run}'") == 1
    assert await system.platform.comparing.compare() == 1
    return run


async def a_retry_waits(system: System, _: Depot) -> str:
    hand, run = await begun(system, "retry")
    await hand.call("write", "retried")
    await hand.finish(category=ErrorCategory.TRANSIENT, reason="a glitch")
    return run


async def an_undo_by_hand(system: System, depot: Depot) -> str:
    work = system.work()
    run = (await system.ended(await system.submit("saga"))).id
    await system.platform.control.roll_back(ALICE, run, "it was wrong")
    await system.status(run, Status.BLOCKED)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return run


async def an_undo_that_broke(system: System, depot: Depot) -> str:
    work = system.work()
    run = (await system.ended(await system.submit("depot"))).id
    depot.refusing["b"] = ErrorCategory.TRANSIENT
    await system.platform.control.roll_back(ALICE, run, "it was wrong")
    await system.status(run, Status.BLOCKED)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return run


async def unknown(system: System, _: Depot) -> str:
    """Begun here; that its outcome is unknown is found when the process is gone."""
    hand, run = await begun(system)
    await hand.dispatched("mail")
    return run


async def in_hand(system: System, _: Depot) -> str:
    """A worker had it, and a write of it was on its way, when the process ended."""
    hand, run = await begun(system)
    await hand.call("read")
    await hand.dispatched("write", "again")
    return run


async def queued(system: System, _: Depot) -> str:
    return await system.submit()


STORIES: tuple[Story, ...] = (
    completed,
    held,
    held_for_a_twin,
    out_of_money,
    halted,
    without_progress,
    at_a_limit,
    asked,
    divergent,
    a_retry_waits,
    an_undo_by_hand,
    an_undo_that_broke,
    unknown,
    in_hand,
    queued,
)


KEYS: tuple[tuple[str, Role, tuple[str, ...]], ...] = (
    ("alice", Role.OPERATOR, ()),
    ("bob", Role.APPROVER, ("payers", "change-approvers")),
    ("root", Role.ADMIN, ("payers",)),
    ("twin", Role.OPERATOR, ()),
    ("twin", Role.APPROVER, ("payers",)),
)


async def tell_all(system: System, depot: Depot) -> dict[str, str]:
    """Lead the platform through every story; answers the run of each."""
    for name, role, groups in KEYS:
        await system.platform.keyring.issue("acme", name=name, role=role, groups=groups, by="root")
    runs = {}
    for story in STORIES:
        if story is in_hand:
            await system.crash()  # who could have reported on the unknown is gone
        runs[story.__name__] = await story(system, depot)
    while await system.platform.sequencing.place():
        pass
    while await system.platform.sequencing.integrate():
        pass
    return runs


__all__ = ["STORIES", "TWINS", "tell_all", "the_shop"]
