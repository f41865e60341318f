"""The kill switch: what is halted, who is stopped by it, and how a halt is set and lifted."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import ClassVar

import structlog
from msgspec.structs import replace

from bailiwick.base import Category, Instant, Refusal
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Draft, Halt, Ledger, Unit, Views, World
from bailiwick.run import Run
from bailiwick.service.barrier import Barrier
from bailiwick.service.refusals import NotFound

log = structlog.get_logger("bailiwick.halts")
HALTED = "halted: "
SCOPES = ("platform", "tenant", "app", "workflow", "agent", "tool", "model", "run")


class InvalidHalt(Refusal):
    """A halt names no scope that there is."""

    code: ClassVar[str] = "invalid_halt"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, scope: str, target: str) -> None:
        super().__init__(
            f"a halt cannot be set on {scope[:40]!r} {target[:80]!r}",
            remedy=f"choose a scope of {', '.join(SCOPES)}; all but platform and tenant need a target",
            scope=scope[:40],
            target=target[:80],
        )


class Halts:
    """The halts in force, in memory; every change goes through here and is committed before it is acknowledged.

    `on_set` and `on_lift` are awaited before a change is acknowledged: they stop and resume what it concerns.
    """

    def __init__(self, *, ledger: Ledger, views: Views, world: World) -> None:
        self._ledger = ledger
        self.views = views
        self._world = world
        self._active: dict[str, Halt] = {}
        self._barrier = Barrier()
        self.on_set: Callable[[], Awaitable[object]] | None = None
        self.on_lift: Callable[[Halt], Awaitable[object]] | None = None

    def passing(self) -> AbstractContextManager[None]:
        """Be waited for by whoever sets a halt: from the look at the halts until what it let pass has begun."""
        return self._barrier.passing()

    def in_force(self, id: str) -> bool:
        """Whether a halt stands."""
        return id in self._active

    async def load(self) -> None:
        """Read the halts in force from the ledger."""
        self._active = {halt.id: halt for halt in await self._ledger.halts()}

    async def refresh(self) -> None:
        """Take up what other processes have set and lifted; what this one just sets stays."""
        before = dict(self._active)
        found = {halt.id: halt for halt in await self._ledger.halts()}
        added = found.keys() - before.keys()
        self._active = {
            **{id: halt for id, halt in self._active.items() if id in found or id not in before},
            **found,
        }
        if added and self.on_set is not None:
            await self.on_set()

    def any_active(self) -> bool:
        """Whether any halt is in force."""
        return bool(self._active)

    def list(self, tenant: str) -> list[Halt]:
        """List the halts in force that concern a tenant."""
        return [halt for halt in self._active.values() if halt.tenant == tenant or halt.scope == "platform"]

    def stopping(self, run: Run, agent: str, capability: str) -> str | None:
        """Say why an action may not start now; None when nothing stops it."""
        if not self._active:
            return None
        names = {
            "platform": ("", "*"),
            "tenant": (run.tenant, ""),
            "app": (run.app,),
            "workflow": (run.workflow,),
            "agent": (agent, agent.partition("@")[0]),
            "tool": (capability, capability.partition("@")[0]),
            "model": (capability.removeprefix("model:").partition("@")[0],),
            "run": (run.id,),
        }
        for halt in self._active.values():
            concerned = halt.tenant == run.tenant or halt.scope == "platform"
            if concerned and halt.target in names[halt.scope]:
                return f"{HALTED}{halt.id} ({halt.scope} {halt.target}) by {halt.set_by}: {halt.reason}"
        return None

    async def set(self, principal: Principal, scope: str, target: str, reason: str) -> Halt:
        """Stop everything in a scope. After this returns no action there starts.

        Raises:
            Forbidden: The role does not include it; platform and tenant need an admin.
            InvalidHalt: There is no such scope, or the target is missing.
        """
        require(principal, Permission.HALTS_SET)
        if scope not in SCOPES or (not target and scope not in ("platform", "tenant")):
            raise InvalidHalt(scope, target)
        if scope == "platform":
            require(principal, Permission.HALTS_LIFT)
        halt = Halt(
            id=self._world.new_id("hlt"),
            tenant=principal.tenant,
            scope=scope,
            target=target,
            reason=reason,
            set_by=principal.name,
            set_at=self._world.now(),
        )
        self._active[halt.id] = halt  # first in memory: from here on nothing passes the gate
        await self._write(halt, "halt.set", principal)
        await self._barrier.settle()
        log.warning("halt.set", halt=halt.id, scope=scope, target=target, by=principal.name)
        if self.on_set is not None:
            await self.on_set()
        return halt

    async def lift(self, principal: Principal, id: str) -> Halt:
        """Lift a halt: the named act that lets work go on; what it blocked is resumed.

        Raises:
            NotFound: No such halt is in force for this tenant.
        """
        require(principal, Permission.HALTS_LIFT)
        halt = self._active.get(id)
        if halt is None or halt.tenant != principal.tenant:
            raise NotFound("halt", id)
        lifted = replace(halt, lifted_by=principal.name, lifted_at=Instant(self._world.now()))
        await self._write(lifted, "halt.lifted", principal)
        self._active.pop(id, None)
        log.warning("halt.lifted", halt=id, by=principal.name)
        if self.on_lift is not None:
            await self.on_lift(lifted)
        return lifted

    async def _write(self, halt: Halt, kind: str, principal: Principal) -> None:
        fields = {
            "kind": kind,
            "at": self._world.now(),
            "actor": f"user:{principal.name}",
            "halt": halt.id,
            "scope": halt.scope,
            "target": halt.target,
            "reason": halt.reason,
        }
        stream = f"tenant:{halt.tenant}"
        await self._ledger.commit(Unit(tenant=halt.tenant, others=((stream, Draft(fields)),), halts=(halt,)))


def halt_in(reason: str) -> str:
    """Name the halt that a blocked step's reason speaks of; empty when it speaks of none."""
    return reason.removeprefix(HALTED).partition(" ")[0] if reason.startswith(HALTED) else ""
