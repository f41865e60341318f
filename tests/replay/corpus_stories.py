"""Stories for the corpus: each leads the real platform through one course of a run, and answers the run's id."""

from collections.abc import Awaitable, Callable
from typing import Any

from bailiwick.contract import ErrorCategory
from bailiwick.policy import Bundle, Role, stacked
from bailiwick.run import CallState
from platform_kit import ALICE, BOB, ROOT, Hand, System, decide_seen, person
from shop_kit import POLICIES, Shop

Story = Callable[[System], Awaitable[str]]


def the_shop() -> Shop:
    """A shop whose workflows have steps in a row, side by side, in loops, with retries and fallbacks."""
    shop = Shop()
    clerk: dict[str, Any] = {"uses": "clerk", "input": {}}

    @shop.app.code_agent("look", output={"ok": bool})
    async def look(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True}

    shop.workflow()
    shop.workflow({"id": "a", **clerk}, {"id": "b", "uses": "shop.read", "input": {"text": "b"}}, name="row")
    shop.workflow(
        {"id": "a", **clerk, "after": [], "reason": "they share nothing"},
        {"id": "b", "uses": "other", "input": {}, "after": [], "reason": "they share nothing"},
        {"id": "c", "uses": "third", "input": {}, "after": ["a", "b"]},
        name="side-by-side",
    )
    shop.workflow(
        {
            "id": "poll",
            "do": [{"id": "look", "uses": "look", "input": {}}],
            "repeat": {"until": "steps.look.output.ok", "max": 3},
        },
        {"id": "end", **clerk, "when": "steps.look.output.ok"},
        name="loop",
    )
    shop.workflow({"id": "a", **clerk, "on_error": "fallback", "fallback": "other"}, name="fallback")
    shop.workflow({"id": "a", **clerk, "on_error": "human"}, name="human")
    return shop


async def _begun(system: System, workflow: str = "job", **fields: Any) -> tuple[Hand, str]:
    run = await system.submit(workflow, **fields)
    hand = await system.hand()
    assert await hand.claim() is not None
    return hand, run


async def completed(system: System) -> str:
    hand, run = await _begun(system, "row", labels={"feature": "corpus", "team": "proof"})
    for tool in ("read", "quote", "write", "mail", "never", "undeclared"):
        await hand.call(tool)
    await hand.call("read", "again")
    await hand.finish({})
    action = hand.assignment
    assert action.step == "b"
    await hand.call("read", "b")
    await hand.finish({"said": "b"})
    return run


async def failed(system: System) -> str:
    hand, run = await _begun(system)
    await hand.call("fragile")
    await hand.finish(category=ErrorCategory.TOOL_FAILED, reason="the tool broke")
    return run


async def canceled(system: System) -> str:
    hand, run = await _begun(system)
    dispatch = await hand.dispatched("write")
    await system.platform.control.cancel(ALICE, run, "changed my mind")
    await hand.port.settle(hand.session, await hand.execute(dispatch))
    await hand.finish(category=ErrorCategory.CANCELED, reason="told to")
    return run


async def out_of_money(system: System) -> str:
    hand, run = await _begun(system, budget_usd="0.0006")
    await hand.call("quote", "one")
    await hand.act("quote", "two")
    await system.platform.control.resume(ALICE, run, add_micro_usd=5_000)
    await hand.claim()
    await hand.call("quote", "two")
    await hand.finish({})
    return run


async def _paid(system: System, hand: Hand) -> None:
    granted = await hand.claim()
    assert granted is not None
    assert granted.dispatch is not None
    await hand.port.settle(hand.session, await hand.execute(granted.dispatch))


async def granted(system: System) -> str:
    hand, run = await _begun(system)
    await hand.act("pay")
    await decide_seen(system.platform, BOB, (await system.approval(run)).id, approve=True)
    await _paid(system, hand)
    await hand.claim()
    await hand.call("pay")
    await hand.finish({})
    return run


async def escalated(system: System) -> str:
    """Under other policies nobody answers in time, so the second group may."""
    held = POLICIES["shop.cedar"].replace(
        '@approval_ttl("PT1H")', '@approval_ttl("PT1H") @escalate_to("chiefs") @escalate_after("PT15M")'
    )
    await system.platform.activating.activate(ROOT, Bundle(stacked({"shop.cedar": held})))
    hand, run = await _begun(system)
    await hand.act("pay")
    system.clock.advance(901)
    assert await system.platform.recovering.escalate_approvals() == 1
    chief = person("chief", Role.APPROVER, groups=("chiefs",))
    await decide_seen(system.platform, chief, (await system.approval(run)).id, approve=True)
    hand = await system.hand("later")
    await _paid(system, hand)
    await hand.claim()
    await hand.call("pay")
    await hand.finish({})
    return run


async def rejected(system: System) -> str:
    hand, run = await _begun(system)
    await hand.act("pay")
    id = (await system.approval(run)).id
    await decide_seen(system.platform, BOB, id, approve=False, reason="too much")
    return run


async def expired(system: System) -> str:
    hand, run = await _begun(system, deadline_seconds=80_000)
    await hand.act("pay")
    system.clock.advance(3601)
    await system.platform.recovering.expire_approvals()
    return run


async def retried(system: System) -> str:
    hand, run = await _begun(system)
    await hand.call("write", "one")
    await hand.finish(category=ErrorCategory.TRANSIENT, reason="a glitch")
    system.clock.advance(10)
    await hand.claim()
    await hand.call("write", "one")
    await hand.finish(category=ErrorCategory.RATE_LIMITED, reason="429", retry_after=3.25)
    system.clock.advance(4)
    await hand.claim()
    await hand.finish({})
    return run


async def looped(system: System) -> str:
    hand, run = await _begun(system, "loop")
    await hand.finish({"ok": False})
    await hand.finish({"ok": True})
    await hand.finish({})
    return run


async def exhausted(system: System) -> str:
    hand, run = await _begun(system, "loop")
    for _ in range(3):
        await hand.finish({"ok": False})
    return run


async def side_by_side(system: System) -> str:
    hand, run = await _begun(system, "side-by-side")
    first = hand.assignment
    await hand.call("read")
    await hand.claim()
    await hand.call("read", "other")
    dispatch = await hand.dispatched("read", "late")
    second, hand.assignment = hand.assignment, first
    await hand.call("quote")
    hand.assignment = second
    await hand.port.settle(hand.session, await hand.execute(dispatch))
    await hand.finish({})
    hand.assignment = first
    await hand.finish({})
    await hand.finish({})
    return run


async def _both_wrote(system: System, left: str, right: str) -> tuple[Hand, str]:
    """Two steps beside each other write a file each, and end."""
    hand, run = await _begun(system, "side-by-side")
    first = hand.assignment
    await hand.claim()
    second = hand.assignment
    for assignment, path in ((first, left), (second, right)):
        hand.assignment = assignment
        edited = {"path": path, "text": assignment.step}
        await hand.call("files.write:", capability="files.write", arguments=edited)
    for assignment in (first, second):
        hand.assignment = assignment
        await hand.finish({})
    return hand, run


async def joined(system: System) -> str:
    hand, run = await _both_wrote(system, "left", "right")
    await hand.finish({})
    return run


async def in_conflict(system: System) -> str:
    hand, run = await _both_wrote(system, "one", "one")
    await system.platform.control.resume(ALICE, run)
    await system.platform.control.choose(ALICE, run, "c", take="b")
    await hand.claim()
    await hand.finish({})
    return run


async def late(system: System) -> str:
    hand, run = await _begun(system, deadline_seconds=60)
    await hand.dispatched("mail")
    system.clock.advance(61)
    await system.platform.recovering.pass_deadlines()
    return run


async def crashed(system: System) -> str:
    hand, run = await _begun(system)
    await hand.call("read")
    await hand.call("quote")
    await hand.dispatched("quote", "lost")
    await hand.dispatched("write", "again")
    await system.crash()
    hand = await system.hand()
    await hand.claim()
    await hand.call("read")
    await hand.call("quote", "lost")
    await hand.call("write", "again")
    await hand.finish({})
    return run


async def unknown(system: System) -> str:
    hand, run = await _begun(system)
    dispatch = await hand.dispatched("mail")
    await system.crash()
    await system.platform.control.resolve(ALICE, run, dispatch.key, done=True, output={"said": "x"})
    hand = await system.hand()
    await hand.claim()
    await hand.call("mail")
    await hand.finish({})
    assert (await system.calls(run))["mail"].state is CallState.DONE
    return run


async def halted(system: System) -> str:
    hand, run = await _begun(system)
    halt = await system.platform.halts.set(ROOT, "run", run, "look first")
    await hand.act("quote")
    await system.platform.halts.lift(ROOT, halt.id)
    await hand.claim()
    await hand.call("quote")
    await hand.finish({})
    return run


async def fell_back(system: System) -> str:
    hand, run = await _begun(system, "fallback")
    await hand.finish(category=ErrorCategory.INTERNAL, reason="it broke")
    await hand.claim()
    await hand.finish({})
    return run


async def asked(system: System) -> str:
    hand, run = await _begun(system, "human")
    await hand.finish(category=ErrorCategory.INTERNAL, reason="it broke")
    await system.platform.control.resume(ALICE, run)
    await hand.claim()
    await hand.finish({})
    return run


async def waiting(system: System) -> str:
    hand, run = await _begun(system)
    await hand.act("sign")
    return run


async def stuck(system: System) -> str:
    hand, run = await _begun(system, budget_usd="0.0006")
    await hand.call("quote", "one")
    await hand.act("quote", "two")
    return run


async def attempted(system: System) -> str:
    """A step that asks for what it cannot have, more often than each time has an event."""
    hand, run = await _begun(system, environment={"region": "eu"})
    for number in range(1, 31):
        await hand.act("nobody", str(number), n=number)
    await hand.call("read")
    await hand.finish({})
    return run


STORIES: dict[str, Story] = {
    story.__name__.replace("_", "-"): story
    for story in (
        completed,
        failed,
        canceled,
        out_of_money,
        granted,
        escalated,
        rejected,
        expired,
        retried,
        looped,
        exhausted,
        side_by_side,
        joined,
        in_conflict,
        late,
        crashed,
        unknown,
        halted,
        fell_back,
        asked,
        waiting,
        stuck,
        attempted,
    )
}
