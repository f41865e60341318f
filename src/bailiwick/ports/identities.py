"""Who may act: tenants, their identities, the keys of these, and who changed what of them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from bailiwick.base import Instant


class Tenant(msgspec.Struct, frozen=True):
    """An owner of data and budget. `id` is its name; a disabled one's keys are refused and nothing of it runs.

    `edition` counts the changes of the tenant, its identities and its keys: a unit that writes one also writes the
    tenant's row under the next edition, so that of two changes at once one is refused and decided again.
    """

    id: str
    created_at: Instant
    created_by: str = ""
    disabled_at: Instant = Instant(0)
    edition: int = 0


class Identity(msgspec.Struct, frozen=True):
    """Who may act in a tenant: a person or a service. `name` is the tenant's own, for good, also once it is disabled.

    `created_by` is the identity that made it ("": the platform). `formerly` is the name that its key bore before there
    were identities; several may have had one.
    """

    id: str
    tenant: str
    name: str
    kind: str
    role: str
    groups: tuple[str, ...]
    created_at: Instant
    created_by: str = ""
    disabled_at: Instant = Instant(0)
    formerly: str = ""


class ApiKey(msgspec.Struct, frozen=True):
    """A key of an identity; `mac` is HMAC-SHA-256 of the secret under the deployment's pepper, hex.

    `created_by` is the identity that minted it ("": the platform); `expires_at` 0: never.
    """

    id: str
    tenant: str
    identity: str
    mac: str
    created_at: Instant
    created_by: str = ""
    expires_at: Instant = Instant(0)
    revoked_at: Instant = Instant(0)


class IdentityChange(msgspec.Struct, frozen=True):
    """Who changed what of an identity, with which key; `what`: created, role, groups, state, or key (then `key` names it)."""

    id: str
    tenant: str
    identity: str
    what: str
    detail: str
    at: Instant
    key: str = ""
    by_identity: str = ""
    by_key: str = ""


class Able(msgspec.Struct, frozen=True):
    """What lets an identity decide, and who gave it: its making, role, groups, or the key that it came with.

    `what`: created, role, groups or key; `by` names the giver, `by_identity` is its id ("": the platform itself).
    """

    what: str
    detail: str
    by: str
    by_identity: str
    at: Instant


class Rolls(Protocol):
    """What is read of who may act."""

    async def keys(self, tenant: str) -> Sequence[ApiKey]:
        """List API keys, revoked ones too; tenant empty: of all tenants (for the door)."""
        ...

    async def identities(self, tenant: str) -> Sequence[Identity]:
        """List identities by name, disabled ones too; tenant empty: of all tenants (for the door)."""
        ...

    async def identity_changes(self, tenant: str, identity: str, limit: int) -> Sequence[IdentityChange]:
        """List who changed what of an identity, the newest first."""
        ...

    async def tenants(self) -> Sequence[Tenant]:
        """List the tenants, disabled ones too."""
        ...
