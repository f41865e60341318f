"""The roll of a tenant: who may act in it, with which keys; how an edit of it is checked and written."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base import Category, Instant, Refusal
from bailiwick.policy import Role
from bailiwick.ports import (
    ApiKey,
    Draft,
    GuardFailed,
    Identity,
    IdentityChange,
    Ledger,
    Tenant,
    Unit,
    Views,
    World,
)
from bailiwick.service.core.changes import Record
from bailiwick.service.core.refusals import NotFound

MAX_NAME = 64
MAX_GROUPS = 64
MAX_GROUP = 128
_ATTEMPTS = 8
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class InvalidIdentity(Refusal, code="invalid_identity", category=Category.INVALID):
    """A name, a group, an expiry or a role that no identity can have."""

    field: str
    reason: str
    says = "{field}: {reason}"
    remedy = (
        "names are of a-z, 0-9, '.', '_' and '-', begin with a letter or digit, and have at most 64 "
        "characters"
    )


class NameTaken(Refusal, code="name_taken", category=Category.CONFLICT):
    """A name belongs to one identity for good; also a disabled one keeps it."""

    def __init__(self, kind: str, name: str) -> None:
        remedy = (
            f"for another key of the same identity: bailiwick keys create --identity {name}; else choose another name"
            if kind == "identity"
            else "choose another name"
        )
        super().__init__(f"there is {kind} {name} already", remedy=remedy, kind=kind, name=name)


class LastAdmin(Refusal, code="last_admin", category=Category.CONFLICT):
    """Without this one, no admin key of the tenant would be left that never expires."""

    tenant: str
    says = "this would leave {tenant} without an admin key that never expires"
    remedy = "make another admin first: bailiwick keys create --name NAME --role admin"


class Roll(msgspec.Struct, frozen=True):
    """A tenant as it stands: its row, its identities and its keys."""

    tenant: Tenant
    identities: tuple[Identity, ...] = ()
    keys: tuple[ApiKey, ...] = ()

    def named(self, name: str) -> Identity:
        """Find an identity by its name or id.

        Raises:
            NotFound: There is none.
        """
        for identity in self.identities:
            if name in (identity.name, identity.id):
                return identity
        raise NotFound("identity", name)

    def key(self, id: str) -> ApiKey:
        """Find a key.

        Raises:
            NotFound: There is none.
        """
        for key in self.keys:
            if key.id == id:
                return key
        raise NotFound("key", id)

    @property
    def lasting_admins(self) -> int:
        """Count the keys by which an admin can act, for ever."""
        admins = {one.id for one in self.identities if one.role == Role.ADMIN and not one.disabled_at}
        return sum(key.identity in admins and not key.revoked_at and not key.expires_at for key in self.keys)


class Edit(msgspec.Struct, frozen=True):
    """What changes of a roll: rows, who changed what, and the events of it (kind and fields)."""

    identities: tuple[Identity, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    changes: tuple[IdentityChange, ...] = ()
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    tenant: Tenant | None = None

    def __bool__(self) -> bool:
        return bool(self.identities or self.keys or self.tenant)

    def of(self, roll: Roll) -> Roll:
        """Apply it."""
        return Roll(
            self.tenant if self.tenant is not None else roll.tenant,
            _put(roll.identities, self.identities),
            _put(roll.keys, self.keys),
        )


def _put(rows: Iterable[Any], new: Iterable[Any]) -> tuple[Any, ...]:
    return tuple({row.id: row for row in (*rows, *new)}.values())


class Editor:
    """Changes rolls: read, decided and committed against the tenant's edition, and again when another was faster."""

    def __init__(self, *, ledger: Ledger, views: Views, world: World) -> None:
        self._ledger = ledger
        self._views = views
        self._world = world

    async def read(self, tenant: str) -> Roll | None:
        """Read a tenant's roll as it is committed; None when there is no such tenant."""
        known = {row.id: row for row in await self._views.tenants()}
        if tenant not in known:
            return None
        identities = tuple(await self._views.identities(tenant))
        return Roll(known[tenant], identities, tuple(await self._views.keys(tenant)))

    async def edit(
        self, tenant: str, record: Record, decide: Callable[[Roll], Edit], *, found: bool = True
    ) -> Edit:
        """Decide an edit on the newest roll and commit it, with its events in the tenant's stream.

        Args:
            tenant: Whose roll.
            record: Who does it.
            decide: Looks at the roll; it may be asked again when another process was faster.
            found: Whether a tenant that does not exist is founded with it.

        Raises:
            NotFound: There is no such tenant, and none is to be founded.
            LastAdmin: No lasting admin key would be left.
            Refusal: What `decide` refuses; nothing was written.
        """
        for attempt in range(_ATTEMPTS):
            roll = await self.read(tenant)
            if roll is None and not found:
                raise NotFound("tenant", tenant)
            before = roll if roll is not None else Roll(Tenant(tenant, self._world.now(), record.identity))
            edit = decide(before)
            if not edit:
                return edit
            after = edit.of(before)
            if before.lasting_admins and not after.lasting_admins:
                raise LastAdmin(tenant)
            try:
                await self._ledger.commit(self._unit(after, edit, record, new=roll is None))
            except GuardFailed as failed:
                if failed.facts["guard"] not in ("tenant", "identity") or attempt + 1 == _ATTEMPTS:
                    raise
                continue
            return edit
        raise AssertionError("the loop returns or raises")

    def _unit(self, after: Roll, edit: Edit, record: Record, *, new: bool) -> Unit:
        tenant = after.tenant if new else replace(after.tenant, edition=after.tenant.edition + 1)
        stream = f"tenant:{tenant.id}"
        now = self._world.now()
        drafts = [
            (stream, Draft({"kind": kind, "at": now, **record.fields, **fields}))
            for kind, fields in edit.events
        ]
        if new:
            made = {"kind": "tenant.created", "at": now, **record.fields, "tenant": tenant.id}
            drafts.insert(0, (stream, Draft(made)))
        return Unit(
            tenant=tenant.id,
            others=tuple(drafts),
            tenants=(tenant,),
            identities=edit.identities,
            keys=edit.keys,
            identity_changes=edit.changes,
        )


def check_name(name: str, field: str = "name") -> str:
    """Let a name pass that reads the same to everybody.

    Raises:
        InvalidIdentity: It is empty, too long, or holds anything but a-z, 0-9, `.`, `_` and `-`.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidIdentity(field, f"{name[:80]!r} is no name")
    return name


def check_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """Let groups pass that a policy may ask: each once, in the given order.

    Raises:
        InvalidIdentity: There are more than 64, or one is empty, longer than 128 characters or not printable ASCII.
    """
    each = tuple(dict.fromkeys(groups))
    if len(each) > MAX_GROUPS:
        raise InvalidIdentity("groups", f"there are {len(each)}, and {MAX_GROUPS} are the most")
    for group in each:
        if not 0 < len(group) <= MAX_GROUP or not group.isascii() or not group.isprintable():
            raise InvalidIdentity("groups", f"{group[:80]!r} is no name of a group")
    return each


def check_expiry(expires_at: Instant, now: Instant) -> Instant:
    """Let an expiry pass that lies ahead; 0: never.

    Raises:
        InvalidIdentity: It has passed.
    """
    if expires_at and expires_at <= now:
        raise InvalidIdentity("expires_at", "it has passed")
    return expires_at


def changed(
    world: World, identity: Identity, record: Record, what: str, detail: str, key: str = ""
) -> IdentityChange:
    """Write down who changed what of an identity."""
    return IdentityChange(
        world.new_id("chg"),
        identity.tenant,
        identity.id,
        what,
        detail,
        world.now(),
        key=key,
        by_identity=record.identity,
        by_key=record.key,
    )


def told(identity: Identity) -> dict[str, Any]:
    """What an event says of the identity that it is about."""
    return {
        "subject": identity.id,
        "name": identity.name,
        "type": identity.kind,
        "role": identity.role,
        "groups": list(identity.groups),
    }


def platform(name: str) -> Record:
    """Say that the platform itself did it."""
    return Record(f"platform:{name}")
