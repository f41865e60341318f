"""A depot for tests of rollbacks: things that tools make and unmake outside, with a ledger of each effect."""

from typing import Any

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed
from bailiwick.run import Run, StepStatus, is_undo
from platform_kit import ALICE, System
from shop_kit import Shop


class Depot:
    """Things and their versions; every effect that happened here, in order, and how often each tool was called."""

    def __init__(self) -> None:
        self.things: dict[str, int] = {}
        self.effects: list[tuple[str, str]] = []
        self.calls: list[tuple[str, str]] = []
        self.answered: dict[str, dict[str, Any]] = {}
        self.refusing: dict[str, ErrorCategory] = {}
        self.stumbles: dict[str, int] = {}
        self.times = 0

    def make(self, thing: str, key: str) -> dict[str, Any]:
        self.calls.append(("make", thing))
        if key not in self.answered:
            self.things[thing] = 1
            self.effects.append(("make", thing))
            self.answered[key] = {"thing": thing, "version": 1}
        return self.answered[key]

    def unmake(self, thing: str, version: int, key: str) -> dict[str, Any]:
        """Unmake a thing if it is as it was left; a foreign change is never overwritten."""
        self.calls.append(("unmake", thing))
        if thing in self.refusing:
            self.times += 1
            raise CallFailed(self.refusing[thing], "the depot is closed")
        if self.stumbles.get(thing, 0):
            self.stumbles[thing] -= 1
            raise CallFailed(ErrorCategory.TRANSIENT, "try again")
        if key not in self.answered:
            if self.things.get(thing) != version:
                found = self.things.get(thing)
                raise CallFailed(ErrorCategory.TOOL_FAILED, f"precondition: {thing} is at version {found}")
            del self.things[thing]
            self.effects.append(("unmake", thing))
            self.answered[key] = {}
        return self.answered[key]

    def undone(self, tool: str = "unmake") -> list[str]:
        """What was undone, in order, as often as it really happened."""
        return [thing for what, thing in self.effects if what == tool]


def stock(shop: Shop, price: int = 0) -> Depot:
    """Give a shop tools that make things and unmake them; the external ones keep no key and are never repeated."""
    depot, tool = Depot(), shop.app.tool

    @tool("depot.make", effect="idempotent-write")
    async def make(thing: str, key: str) -> dict[str, Any]:
        return depot.make(thing, key)

    @tool("depot.unmake", effect="idempotent-write", price_micro_usd=price)
    async def unmake(thing: str, version: int, key: str) -> dict[str, Any]:
        return depot.unmake(thing, version, key)

    return depot


def made(id: str, **rest: Any) -> dict[str, Any]:
    """Write a step that makes a thing, with the compensation that unmakes it as it was left."""
    undo = {
        "uses": "depot.unmake",
        "input": {"thing": f"$.steps.{id}.input.thing", "version": f"$.steps.{id}.output.version"},
        "retry": {"on": ["transient"], "attempts": 2, "backoff_seconds": 0},
    }
    return {"id": id, "uses": "depot.make", "input": {"thing": id}, "compensate": undo, **rest}


async def done(system: System, **fields: Any) -> Run:
    """Submit a run, let a worker work, and wait for its end."""
    return await system.ended(await system.submit(**fields))


async def roll_back(system: System, run: str) -> Run:
    return await system.platform.control.roll_back(ALICE, run, "it was wrong")


def compensated(run: Run) -> list[str]:
    return [step.name for step in run.steps.values() if step.status is StepStatus.COMPENSATED]


def undoing(run: Run) -> dict[str, str]:
    """The compensations of a run and where each is, in the order in which they were opened."""
    return {step.name: str(step.status) for step in run.steps.values() if is_undo(step.name)}
