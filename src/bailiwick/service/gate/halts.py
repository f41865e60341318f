"""The kill switch: what is halted, who is stopped by it, and how a halt is set and lifted."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

import msgspec
import structlog
from msgspec.structs import replace

from bailiwick.base import Category, Instant, Refusal
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Draft, GuardFailed, Halt, Ledger, Unit, Views, World
from bailiwick.run import Bar, Run, Standing, StandingKind
from bailiwick.service.core.barrier import Barrier
from bailiwick.service.core.bounds import MAX_NAME, MAX_REASON, within
from bailiwick.service.core.changes import record_of
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.refusing import Governed, governed

log = structlog.get_logger("bailiwick.halts")
HALTED = "halted: "
MAX_AGE_SECONDS = 0.5
SCOPES = ("platform", "tenant", "app", "workflow", "agent", "tool", "model", "run")


class InvalidHalt(Refusal, code="invalid_halt", category=Category.INVALID):
    """A halt names no scope that there is."""

    def __init__(self, scope: str, target: str) -> None:
        super().__init__(
            f"a halt cannot be set on {scope[:40]!r} {target[:80]!r}",
            remedy=f"choose a scope of {', '.join(SCOPES)}; all but platform and tenant need a target",
            scope=scope[:40],
            target=target[:80],
        )


class NotTheOperator(Refusal, code="not_the_operator", category=Category.FORBIDDEN):
    """The platform belongs to the deployment: an admin of another tenant cannot stop everybody."""

    def __init__(self, principal: Principal) -> None:
        super().__init__(
            f"{principal.name} is no admin of the tenant that operates this deployment",
            remedy="act on your own tenant (for a halt: bailiwick halts set tenant); or ask the deployment's operators",
            principal=principal.id,
        )


class HaltsUnconfirmed(Refusal, code="halts_unconfirmed", category=Category.UNAVAILABLE):
    """Nobody knows whether a halt was set elsewhere: the view of the halts is too old, so nothing starts."""

    def __init__(self, age: float) -> None:
        super().__init__(
            f"the halts were last read {age:.1f} s ago, which is too long to let anything start",
            remedy="repeat; it works again as soon as the database answers",
            age_ms=round(age * 1000),
        )


class Sharing(msgspec.Struct, frozen=True):
    """How a deployment shares its store and its kill switch.

    `operators` is the tenant whose admins speak for the whole deployment (empty: nobody does); `shared` says
    that other processes change the store too; `ticks` is a monotonic clock in seconds, the event loop's when None.
    """

    operators: str = ""
    shared: bool = False
    ticks: Callable[[], float] | None = None


class Halts(Governed):
    """The halts in force, in memory; a change is committed before it is acknowledged.

    Where one process owns the store every change goes through here. Where the store is shared, `refresh` reads
    the changes of others, and nothing starts while what was read is older than `MAX_AGE_SECONDS`.
    `on_set` and `on_lift` are awaited before a change is acknowledged: they stop and resume what it concerns.
    """

    def __init__(self, *, ledger: Ledger, views: Views, world: World, sharing: Sharing | None = None) -> None:
        self._sharing = sharing if sharing is not None else Sharing()
        self._confirmed = float("-inf")
        self._setting: dict[str, Halt] = {}
        self._edition = 0
        self._looks = 0
        self._seen = 0  # the look whose answer is in force
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

    async def settle(self) -> None:
        """Wait until all who were passing have passed: what they had looked at before no longer counts then."""
        await self._barrier.settle()

    def operating(self, principal: Principal) -> None:
        """Let pass who speaks for the whole deployment.

        Raises:
            NotTheOperator: The principal is of another tenant.
        """
        if not self.operates(principal):
            raise NotTheOperator(principal)

    def operates(self, principal: Principal) -> bool:
        """Whether somebody speaks for the whole deployment."""
        return principal.tenant == self._sharing.operators

    def in_force(self, id: str) -> bool:
        """Whether a halt stands."""
        return id in self._active

    async def load(self) -> None:
        """Read the halts in force from the ledger."""
        while True:
            asked_at, edition = self._ticks(), self._edition
            look = self._looks = self._looks + 1
            found = {halt.id: halt for halt in await self._ledger.halts()}
            # What was changed here meanwhile, or seen by a later look, may not be in what was read.
            if edition == self._edition and look > self._seen:
                break
        self._seen = look
        self._active = found | self._setting
        self._confirmed = max(self._confirmed, asked_at)

    async def refresh(self) -> int:
        """Read what other processes have set and lifted, and act on it; answer how many changes there were."""
        before = self._active
        await self.load()
        new = [id for id in self._active if id not in before]
        gone = [halt for id, halt in before.items() if id not in self._active]
        if new and self.on_set is not None:
            await self.on_set()
        for halt in gone:
            if self.on_lift is not None:
                await self.on_lift(halt)
        return len(new) + len(gone)

    async def confirm(self) -> None:
        """Make sure that the view of the halts is fresh, before something starts.

        Raises:
            HaltsUnconfirmed: The database does not answer; nothing may start.
        """
        if self._age() <= MAX_AGE_SECONDS:
            return
        try:
            await self.refresh()
        except Refusal as refusal:
            raise HaltsUnconfirmed(min(self._age(), 1e6)) from refusal
        self.require_fresh()

    def require_fresh(self) -> None:
        """Refuse to let anything start on an old view of the halts.

        Raises:
            HaltsUnconfirmed: The store is shared, and was not read for too long.
        """
        age = self._age()
        if age > MAX_AGE_SECONDS:
            raise HaltsUnconfirmed(min(age, 1e6))

    def _age(self) -> float:
        return self._ticks() - self._confirmed if self._sharing.shared else 0.0

    def _ticks(self) -> float:
        return self._sharing.ticks() if self._sharing.ticks is not None else asyncio.get_running_loop().time()

    def any_active(self) -> bool:
        """Whether any halt is in force, as far as is known: an old view may hide one."""
        return bool(self._active) or self._age() > MAX_AGE_SECONDS

    def list(self, tenant: str) -> list[Halt]:
        """List the halts in force that concern a tenant."""
        return [halt for halt in self._active.values() if halt.tenant == tenant or halt.scope == "platform"]

    @property
    def shared(self) -> bool:
        """Whether other processes may set and lift halts."""
        return self._sharing.shared

    def stopping(self, run: Run, agent: str, capability: str) -> Bar | None:
        """Say why an action may not start now; None when nothing stops it.

        Raises:
            HaltsUnconfirmed: Nobody can say.
        """
        self.require_fresh()
        return self.known(run, agent, capability)

    def known(self, run: Run, agent: str, capability: str) -> Bar | None:
        """Name the halt that concerns an action, of those that are known here, however old the view is."""
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
                reason = f"{HALTED}{halt.id} ({halt.scope} {halt.target}) by {halt.set_by}: {halt.reason}"
                return Bar(reason, Standing(StandingKind.HALT, halt.id))
        return None

    @governed("halts.set")
    async def set(self, principal: Principal, scope: str, target: str, reason: str) -> Halt:
        """Stop everything in a scope. After this returns no action there starts.

        Raises:
            Forbidden: The role does not include it; the platform needs an admin of the deployment's own tenant.
            InvalidHalt: There is no such scope, or the target is missing.
        """
        require(principal, Permission.HALTS_SET)
        if scope not in SCOPES or (not target and scope not in ("platform", "tenant")):
            raise InvalidHalt(scope, target)
        within(MAX_NAME, target=target)
        within(MAX_REASON, reason=reason)
        if scope == "platform":
            require(principal, Permission.HALTS_LIFT)
            self.operating(principal)
        return await self._set(principal, principal.tenant, scope, target, reason)

    async def set_for(self, principal: Principal, tenant: str, reason: str) -> Halt:
        """Stop a tenant, on behalf of the deployment; the tenant itself cannot lift it without a key that is heard.

        Raises:
            Forbidden, NotTheOperator: The principal does not speak for the deployment.
        """
        require(principal, Permission.TENANTS_MANAGE)
        self.operating(principal)
        return await self._set(principal, tenant, "tenant", "", reason)

    async def _set(self, principal: Principal, tenant: str, scope: str, target: str, reason: str) -> Halt:
        halt = Halt(
            id=self._world.new_id("hlt"),
            tenant=tenant,
            scope=scope,
            target=target,
            reason=reason,
            set_by=principal.name,
            set_at=self._world.now(),
        )
        # First in memory: from here on nothing passes the gate, also if the store is read before it is written.
        self._setting[halt.id] = self._active[halt.id] = halt
        try:
            await self._write(halt, "halt.set", principal)
        finally:
            self._setting.pop(halt.id, None)
            self._edition += 1
        await self.settle()
        log.warning("halt.set", halt=halt.id, scope=scope, target=target, by=principal.name)
        if self.on_set is not None:
            await self.on_set()
        return halt

    @governed("halts.lift")
    async def lift(self, principal: Principal, id: str) -> Halt:
        """Lift a halt: the named act that lets work go on; what it blocked is resumed.

        Raises:
            NotFound: No such halt is in force for this tenant.
        """
        require(principal, Permission.HALTS_LIFT)
        return await self._lift(principal, principal.tenant, id)

    async def lift_for(self, principal: Principal, tenant: str, id: str) -> Halt:
        """Lift a halt of a tenant, on behalf of the deployment.

        Raises:
            Forbidden, NotTheOperator: The principal does not speak for the deployment.
            NotFound: No such halt is in force for the tenant.
        """
        require(principal, Permission.TENANTS_MANAGE)
        self.operating(principal)
        return await self._lift(principal, tenant, id)

    async def _lift(self, principal: Principal, tenant: str, id: str) -> Halt:
        halt = self._active.get(id)
        if halt is None or halt.tenant != tenant:
            raise NotFound("halt", id)
        lifted = replace(halt, lifted_by=principal.name, lifted_at=Instant(self._world.now()))
        try:
            await self._write(lifted, "halt.lifted", principal)
        except GuardFailed as lost:
            await self.refresh()  # another has lifted it, or an earlier lift whose answer was lost
            raise NotFound("halt", id) from lost
        self._active.pop(id, None)
        self._edition += 1
        log.warning("halt.lifted", halt=id, by=principal.name)
        if self.on_lift is not None:
            await self.on_lift(lifted)
        return lifted

    async def _write(self, halt: Halt, kind: str, principal: Principal) -> None:
        fields = {
            "kind": kind,
            "at": self._world.now(),
            **record_of(principal).fields,
            "halt": halt.id,
            "scope": halt.scope,
            "target": halt.target,
            "reason": halt.reason,
        }
        stream = f"tenant:{halt.tenant}"
        await self._ledger.commit(Unit(tenant=halt.tenant, others=((stream, Draft(fields)),), halts=(halt,)))
