"""Identities: who may act in a tenant; made, changed, disabled and enabled, never deleted."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from bailiwick.base import Instant
from bailiwick.policy import Permission, Principal, Role, require
from bailiwick.ports import Identity, World
from bailiwick.service.core.changes import record_of
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.people.keyring import PERSON, Keyring
from bailiwick.service.people.roll import Edit, NameTaken, Roll, changed, check_groups, told

Change = tuple[Identity, str, str]
"""An identity as it becomes, what is changed of it (role, groups, state), and in words."""


class Identities(Governed):
    """The identities of a tenant; whoever manages keys manages them."""

    def __init__(self, *, keyring: Keyring, world: World) -> None:
        self._keyring = keyring
        self._world = world

    @governed("identities.create")
    async def create(
        self, principal: Principal, *, name: str, role: Role, groups: Sequence[str] = (), kind: str = PERSON
    ) -> Identity:
        """Make an identity, without a key yet; its name is the tenant's own for good.

        Raises:
            Forbidden: The role does not include it.
            InvalidIdentity: The name, a group, the kind or the role cannot be.
            NameTaken: Another identity has, or had, the name.
        """
        require(principal, Permission.KEYS_MANAGE)
        record = record_of(principal)
        drawn = self._keyring.drawn(
            principal.tenant, name=name, role=role, groups=groups, kind=kind, by=record
        )

        def decide(roll: Roll) -> Edit:
            if any(one.name == name for one in roll.identities):
                raise NameTaken("identity", name)
            change = changed(self._world, drawn, record, "created", f"{kind}, {role.value}")
            return Edit((drawn,), changes=(change,), events=(("identity.created", told(drawn)),))

        await self._keyring.edit(principal.tenant, record, decide)
        return drawn

    async def list(self, principal: Principal) -> Sequence[Identity]:
        """List the tenant's identities by name, disabled ones too."""
        require(principal, Permission.KEYS_MANAGE)
        roll = await self._keyring.editor.read(principal.tenant)
        return roll.identities if roll is not None else ()

    @governed("identities.change")
    async def change(
        self,
        principal: Principal,
        name: str,
        *,
        role: Role | None = None,
        groups: Sequence[str] | None = None,
    ) -> Identity:
        """Give an identity another role, other groups, or both; its keys act by them at once.

        Raises:
            Forbidden: The role does not include it.
            NotFound: The tenant has no such identity.
            InvalidIdentity: A group or the role cannot be.
            LastAdmin: It holds the last key by which an admin can act for ever.
        """
        if role is not None:
            self._keyring.check_role(principal.tenant, role)
        wanted = check_groups(groups) if groups is not None else None

        def become(identity: Identity) -> Sequence[Change]:
            changes: tuple[Change, ...] = ()
            if role is not None and role != identity.role:
                identity = replace(identity, role=role.value)
                changes = (*changes, (identity, "role", role.value))
            if wanted is not None and wanted != identity.groups:
                identity = replace(identity, groups=wanted)
                changes = (*changes, (identity, "groups", ", ".join(wanted)))
            return changes

        return await self._become(principal, name, "identity.changed", become)

    @governed("identities.disable")
    async def disable(self, principal: Principal, name: str) -> Identity:
        """Let an identity act no more: all its keys are refused at once; its name stays taken.

        Raises:
            Forbidden: The role does not include it.
            NotFound: The tenant has no such identity.
            LastAdmin: It holds the last key by which an admin can act for ever.
        """

        def become(identity: Identity) -> Sequence[Change]:
            off = replace(identity, disabled_at=self._world.now())
            return [(off, "state", "disabled")] if not identity.disabled_at else []

        return await self._become(principal, name, "identity.disabled", become)

    @governed("identities.enable")
    async def enable(self, principal: Principal, name: str) -> Identity:
        """Let a disabled identity act again, with those of its keys that were not revoked.

        Raises:
            Forbidden: The role does not include it.
            NotFound: The tenant has no such identity.
        """

        def become(identity: Identity) -> Sequence[Change]:
            on = replace(identity, disabled_at=Instant(0))
            return [(on, "state", "enabled")] if identity.disabled_at else []

        return await self._become(principal, name, "identity.enabled", become)

    async def _become(
        self, principal: Principal, name: str, kind: str, become: Callable[[Identity], Sequence[Change]]
    ) -> Identity:
        require(principal, Permission.KEYS_MANAGE)
        record = record_of(principal)
        known: list[Identity] = []

        def decide(roll: Roll) -> Edit:
            before = roll.named(name)
            steps = become(before)
            after = steps[-1][0] if steps else before
            known[:] = [after]
            if not steps:
                return Edit()
            changes = tuple(changed(self._world, after, record, what, detail) for _, what, detail in steps)
            return Edit((after,), changes=changes, events=((kind, told(after)),))

        await self._keyring.edit(principal.tenant, record, decide)
        return known[0]
