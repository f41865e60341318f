"""The keyring: keys of identities, of which only a keyed hash is kept; who shows one is recognised by it."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from bailiwick.base import Category, Instant, Refusal
from bailiwick.policy import Permission, Principal, PrincipalKind, Role, require
from bailiwick.ports import ApiKey, Identity, Ledger, Tenant, Views, World
from bailiwick.service.core.changes import Record, record_of
from bailiwick.service.core.refusals import NotFound, TenantDisabled, Unauthenticated
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.people.roll import (
    Edit,
    Editor,
    InvalidIdentity,
    NameTaken,
    Roll,
    changed,
    check_expiry,
    check_groups,
    check_name,
    platform,
    told,
)

PREFIX = "bwk"
PERSON = "person"
SERVICE = "service"


class Held(msgspec.Struct, frozen=True):
    """A key with the identity that holds it."""

    key: ApiKey
    identity: Identity


class Keyring(Governed):
    """Makes, lists, revokes and recognises keys.

    Args:
        pepper: The deployment's secret under which keys are hashed; not in the database.
        operators: The tenant whose admins speak for the deployment; only there the role `platform` is given.
    """

    def __init__(
        self, *, ledger: Ledger, views: Views, world: World, pepper: bytes, operators: str = ""
    ) -> None:
        self._views = views
        self._world = world
        self._pepper = pepper
        self._operators = operators
        self.editor = Editor(ledger=ledger, views=views, world=world)
        self._tenants: dict[str, Tenant] = {}
        self._identities: dict[tuple[str, str], Identity] = {}
        self._keys: dict[str, ApiKey] = {}
        self._turns = 0
        self._known_since = 0  # the turn of what the three tell

    async def load(self) -> None:
        """Read who may act, and with which keys.

        What was read before a change of this process was done, or before a later look, is old: it is read again.
        """
        while True:
            turn = self._turn()
            tenants = await self._views.tenants()
            identities = await self._views.identities("")
            keys = await self._views.keys("")
            if turn > self._known_since:
                self._known_since = turn
                self._tenants = {tenant.id: tenant for tenant in tenants}
                self._identities = {(one.tenant, one.id): one for one in identities}
                self._keys = {key.mac: key for key in keys if not key.revoked_at}
                return

    def _turn(self) -> int:
        self._turns += 1
        return self._turns

    def _mac(self, secret: str) -> str:
        return hmac.new(self._pepper, secret.encode(), hashlib.sha256).hexdigest()

    def authenticate(self, secret: str) -> Principal:
        """Find whose key this is.

        Raises:
            Unauthenticated: Nobody's, or it has expired.
            TenantDisabled: Its tenant is disabled.
        """
        key = self._keys.get(self._mac(secret))
        identity = self._identities.get((key.tenant, key.identity)) if key is not None else None
        if key is None or identity is None or key.revoked_at or identity.disabled_at:
            raise Unauthenticated
        if key.expires_at and key.expires_at <= self._world.now():
            raise Unauthenticated
        self.require_enabled(key.tenant)
        return principal_of(identity, key)

    def require_enabled(self, tenant: str) -> None:
        """Let nothing of a disabled tenant begin.

        Raises:
            TenantDisabled: It is disabled.
        """
        known = self._tenants.get(tenant)
        if known is not None and known.disabled_at:
            raise TenantDisabled(tenant)

    async def edit(
        self, tenant: str, record: Record, decide: Callable[[Roll], Edit], *, found: bool = True
    ) -> Edit:
        """Change the roll of a tenant; from then on this process acts by it, whatever is read meanwhile.

        Where nobody knows whether it was committed, what it ends is refused by this process all the same.

        Raises:
            Refusal: See `Editor.edit`.
        """
        last = Edit()

        def decided(roll: Roll) -> Edit:
            nonlocal last
            last = decide(roll)
            return last

        try:
            edit = await self.editor.edit(tenant, record, decided, found=found)
        except Refusal as refusal:
            if refusal.category is Category.UNAVAILABLE:
                self._know(_endings(last))
            raise
        except BaseException:
            self._know(_endings(last))
            raise
        self._know(edit)
        return edit

    def _know(self, edit: Edit) -> None:
        if edit.tenant is not None:
            self._tenants[edit.tenant.id] = edit.tenant
        self._identities.update({(one.tenant, one.id): one for one in edit.identities})
        self._keys.update({key.mac: key for key in edit.keys})
        self._known_since = self._turn()

    @governed("keys.create")
    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        role: Role,
        groups: Sequence[str] = (),
        kind: str = PERSON,
        expires_at: int = 0,
    ) -> tuple[Held, str]:
        """Make an identity in the principal's tenant with its first key; the secret is shown this once.

        Raises:
            Forbidden: The role does not include it.
            InvalidIdentity: The name, a group, the role or the expiry cannot be.
            NameTaken: The name belongs to another identity, for good.
        """
        require(principal, Permission.KEYS_MANAGE)
        record = record_of(principal)
        given = self.drawn(principal.tenant, name=name, role=role, groups=groups, kind=kind, by=record)
        return await self._mint(principal.tenant, name, record, expires_at, given)

    @governed("keys.mint")
    async def mint(self, principal: Principal, identity: str, expires_at: int = 0) -> tuple[Held, str]:
        """Make one more key for an identity of the tenant, named by name or id; the secret is shown this once.

        Raises:
            Forbidden: The role does not include it.
            NotFound: The tenant has no such identity.
            InvalidIdentity: It is disabled, or the key would have expired already.
        """
        require(principal, Permission.KEYS_MANAGE)
        return await self._mint(principal.tenant, identity, record_of(principal), expires_at)

    async def issue(
        self, tenant: str, *, name: str, role: Role, groups: Sequence[str], by: str
    ) -> tuple[Held, str]:
        """Make a key for any tenant, and the tenant and the identity where they are missing: the platform's own act."""
        record = platform(by)
        given = self.drawn(tenant, name=name, role=role, groups=groups, kind=PERSON, by=record)
        return await self._mint(tenant, name, record, Instant(0), given, platforms=True)

    async def found(self, tenant: str, admin: str, record: Record) -> tuple[Held, str]:
        """Make a tenant with its first admin and that one's key, all in one unit."""
        given = self.drawn(tenant, name=admin, role=Role.ADMIN, groups=(), kind=PERSON, by=record)
        return await self._mint(tenant, admin, record, Instant(0), given)

    def drawn(
        self, tenant: str, *, name: str, role: Role, groups: Sequence[str], kind: str, by: Record
    ) -> Identity:
        """Draw up an identity.

        Raises:
            InvalidIdentity: The name, a group, the kind or the role cannot be.
        """
        if kind not in (PERSON, SERVICE):
            raise InvalidIdentity("kind", f"{kind[:80]!r} is neither {PERSON} nor {SERVICE}")
        if by.identity:  # the platform itself may
            self.check_role(tenant, role)
        return Identity(
            self._world.new_id("idn"),
            tenant,
            check_name(name),
            kind,
            role.value,
            check_groups(groups),
            self._world.now(),
            by.identity,
        )

    def check_role(self, tenant: str, role: Role) -> None:
        """Let the role above the tenants be given by the deployment's operators alone.

        Raises:
            InvalidIdentity: The tenant is not theirs.
        """
        if role is Role.PLATFORM and self._operators and tenant != self._operators:
            raise InvalidIdentity("role", "platform is a role of the deployment's own tenant")

    async def _mint(
        self,
        tenant: str,
        name: str,
        record: Record,
        expires_at: int,
        given: Identity | None = None,
        *,
        platforms: bool = False,
    ) -> tuple[Held, str]:
        secret = f"{PREFIX}_{(self._world.salt() + self._world.salt()).hex()}"
        id, mac = self._world.new_id("key"), self._mac(secret)
        ends = check_expiry(Instant(expires_at), self._world.now())
        holder: list[Identity] = []

        def decide(roll: Roll) -> Edit:
            edit = self._holder(roll, name, record, given, platforms=platforms)
            identity = edit.of(roll).named(name)
            if identity.disabled_at:
                raise InvalidIdentity("identity", f"{identity.name} is disabled")
            holder[:] = [identity]
            key = ApiKey(id, tenant, identity.id, mac, self._world.now(), record.identity, ends)
            said = {**told(identity), "key": id, "expires_at": ends}
            change = changed(self._world, identity, record, "key", id, key=id)
            return replace(
                edit,
                keys=(key,),
                changes=(*edit.changes, change),
                events=(*edit.events, ("key.created", said)),
            )

        edit = await self.edit(tenant, record, decide)
        return Held(edit.keys[0], holder[0]), secret

    def _holder(
        self, roll: Roll, name: str, record: Record, given: Identity | None, *, platforms: bool
    ) -> Edit:
        """Find who gets a key, or draw that identity up; the platform's own are brought to what is given."""
        if given is None:
            return Edit()
        known = next((one for one in roll.identities if one.name == name), None)
        if known is None:
            change = changed(self._world, given, record, "created", f"{given.kind}, {given.role}")
            return Edit((given,), changes=(change,), events=(("identity.created", told(given)),))
        if not platforms:
            raise NameTaken("identity", name)
        wanted = replace(known, role=given.role, groups=given.groups, disabled_at=Instant(0))
        if wanted == known:
            return Edit()
        change = changed(self._world, wanted, record, "role", wanted.role)
        return Edit((wanted,), changes=(change,), events=(("identity.changed", told(wanted)),))

    async def list(self, principal: Principal) -> Sequence[Held]:
        """List the tenant's keys, revoked ones too, each with its identity."""
        require(principal, Permission.KEYS_MANAGE)
        roll = await self.editor.read(principal.tenant)
        if roll is None:
            return []
        holders = {one.id: one for one in roll.identities}
        return [Held(key, holders[key.identity]) for key in roll.keys if key.identity in holders]

    @governed("keys.revoke")
    async def revoke(self, principal: Principal, id: str) -> Held:
        """End a key at once.

        Raises:
            NotFound: The tenant has no such key.
            LastAdmin: It is the last key by which an admin can act for ever.
        """
        require(principal, Permission.KEYS_MANAGE)
        ended: list[Held] = []

        def decide(roll: Roll) -> Edit:
            key = roll.key(id)
            identity = roll.named(key.identity)
            revoked = key if key.revoked_at else replace(key, revoked_at=self._world.now())
            ended[:] = [Held(revoked, identity)]
            if revoked is key:
                return Edit()
            return Edit(keys=(revoked,), events=(("key.revoked", {**told(identity), "key": id}),))

        try:
            await self.edit(principal.tenant, record_of(principal), decide)
        except NotFound as missing:
            raise NotFound("key", id) from missing  # also where there is no such tenant
        return ended[0]


def principal_of(identity: Identity, key: ApiKey) -> Principal:
    """Say as whom a key lets somebody act."""
    return Principal(
        identity.id,
        identity.name,
        PrincipalKind.USER,
        identity.tenant,
        Role(identity.role),
        identity.groups,
        key.id,
        identity.kind == PERSON,
    )


def _endings(edit: Edit) -> Edit:
    """Keep of an edit what ends something."""
    ended = edit.tenant if edit.tenant is not None and edit.tenant.disabled_at else None
    return Edit(
        tuple(one for one in edit.identities if one.disabled_at),
        tuple(key for key in edit.keys if key.revoked_at),
        tenant=ended,
    )
