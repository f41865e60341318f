"""Tenants: made, listed, disabled and enabled by the deployment's operators; each has a roll and a log of its own."""

from collections.abc import Sequence

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Tenant, Views, World
from bailiwick.service.core.changes import record_of
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.gate.halts import Halts
from bailiwick.service.people.keyring import Held, Keyring
from bailiwick.service.people.roll import Edit, InvalidIdentity, NameTaken, Roll, check_name

FIRST_ADMIN = "admin"
_WHY = "the tenant is disabled"


class Tenancy(Governed):
    """What stands above the tenants; for the role `platform`, and admins of the deployment's own tenant."""

    def __init__(self, *, keyring: Keyring, halts: Halts, views: Views, world: World) -> None:
        self._keyring = keyring
        self._halts = halts
        self._views = views
        self._world = world

    def _admit(self, principal: Principal) -> None:
        require(principal, Permission.TENANTS_MANAGE)
        self._halts.operating(principal)

    @governed("tenants.create")
    async def create(self, principal: Principal, id: str) -> tuple[Tenant, Held, str]:
        """Make a tenant with its first admin and that one's key; the secret is shown this once.

        Raises:
            Forbidden, NotTheOperator: The principal does not speak for the deployment.
            InvalidIdentity: It cannot be named so.
            NameTaken: There is such a tenant.
        """
        self._admit(principal)
        check_name(id, "tenant")
        if any(known.id == id for known in await self._views.tenants()):
            raise NameTaken("tenant", id)
        held, secret = await self._keyring.found(id, FIRST_ADMIN, record_of(principal))
        return await self._find(id), held, secret

    async def list(self, principal: Principal) -> Sequence[Tenant]:
        """List the tenants, disabled ones too."""
        self._admit(principal)
        return await self._views.tenants()

    @governed("tenants.disable")
    async def disable(self, principal: Principal, id: str) -> Tenant:
        """Refuse the tenant's keys, and stop what runs of it as a halt does: it stands still until it is enabled.

        Raises:
            Forbidden, NotTheOperator: The principal does not speak for the deployment.
            NotFound: There is no such tenant.
            InvalidIdentity: It is the deployment's own.
        """
        self._admit(principal)
        if id == principal.tenant:
            raise InvalidIdentity("tenant", f"{id} operates the deployment and cannot be disabled")
        await self._find(id)
        await self._hold(principal, id)
        await self._turn(principal, id, self._world.now(), "tenant.disabled")
        await self._hold(
            principal, id
        )  # the tenant's own admin may have lifted it until its keys were refused
        return await self._find(id)

    async def _hold(self, principal: Principal, id: str) -> None:
        if not self._standing(id):
            await self._halts.set_for(principal, id, _WHY)

    @governed("tenants.enable")
    async def enable(self, principal: Principal, id: str) -> Tenant:
        """Let a disabled tenant work again: its keys are heard, and what stood still goes on.

        Raises:
            Forbidden, NotTheOperator: The principal does not speak for the deployment.
            NotFound: There is no such tenant.
        """
        self._admit(principal)
        await self._turn(principal, id, Instant(0), "tenant.enabled")
        for halt in self._standing(id):
            await self._halts.lift_for(principal, id, halt)
        return await self._find(id)

    async def _turn(self, principal: Principal, id: str, disabled_at: Instant, kind: str) -> None:
        def decide(roll: Roll) -> Edit:
            if bool(roll.tenant.disabled_at) == bool(disabled_at):
                return Edit()
            turned = replace(roll.tenant, disabled_at=disabled_at)
            return Edit(events=((kind, {"tenant": id}),), tenant=turned)

        await self._keyring.edit(id, record_of(principal), decide, found=False)

    def _standing(self, id: str) -> Sequence[str]:
        """Name the halts by which the tenant stands still because it is disabled."""
        return [
            halt.id
            for halt in self._halts.list(id)
            if halt.tenant == id and halt.scope == "tenant" and halt.reason == _WHY
        ]

    async def _find(self, id: str) -> Tenant:
        for tenant in await self._views.tenants():
            if tenant.id == id:
                return tenant
        raise NotFound("tenant", id)
