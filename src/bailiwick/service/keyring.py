"""The keyring: API keys of people and programs; only a keyed hash of each is kept."""

import hashlib
import hmac

from msgspec.structs import replace

from bailiwick.policy import Permission, Principal, PrincipalKind, Role, require
from bailiwick.ports import ApiKey, Draft, Ledger, Unit, Views, World
from bailiwick.service.refusals import NotFound, Unauthenticated

PREFIX = "bwk"


class Keyring:
    """Makes, lists, revokes and recognises keys.

    Args:
        pepper: The deployment's secret under which keys are hashed; not in the database.
    """

    def __init__(self, *, ledger: Ledger, views: Views, world: World, pepper: bytes) -> None:
        self._ledger = ledger
        self._views = views
        self._world = world
        self._pepper = pepper
        self._by_mac: dict[str, ApiKey] = {}
        self._turns = 0
        self._known_since = 0  # the turn of what `_by_mac` tells

    async def load(self) -> None:
        """Read the keys that are in force.

        What was read before a change of this process was done, or before a later look, is old: it is read again.
        """
        while True:
            turn = self._turn()
            keys = await self._views.keys("")
            if turn > self._known_since:
                self._known_since = turn
                self._by_mac = {key.mac: key for key in keys if not key.revoked_at}
                return

    def _turn(self) -> int:
        self._turns += 1
        return self._turns

    def _mac(self, secret: str) -> str:
        return hmac.new(self._pepper, secret.encode(), hashlib.sha256).hexdigest()

    def authenticate(self, secret: str) -> Principal:
        """Find whose key this is.

        Raises:
            Unauthenticated: Nobody's.
        """
        key = self._by_mac.get(self._mac(secret))
        if key is None:
            raise Unauthenticated
        return Principal(key.id, key.name, PrincipalKind.USER, key.tenant, Role(key.role), key.groups)

    async def create(
        self, principal: Principal, *, name: str, role: Role, groups: tuple[str, ...] = ()
    ) -> tuple[ApiKey, str]:
        """Make a key in the principal's tenant; the secret is shown this once."""
        require(principal, Permission.KEYS_MANAGE)
        return await self.issue(principal.tenant, name=name, role=role, groups=groups, by=principal.name)

    async def issue(
        self, tenant: str, *, name: str, role: Role, groups: tuple[str, ...], by: str
    ) -> tuple[ApiKey, str]:
        """Make a key for any tenant: the platform's own act, at first start."""
        secret = f"{PREFIX}_{(self._world.salt() + self._world.salt()).hex()}"
        key = ApiKey(
            self._world.new_id("key"), tenant, name, role, groups, self._mac(secret), self._world.now()
        )
        await self._write(key, "key.created", by)
        self._by_mac[key.mac] = key
        self._known_since = self._turn()
        return key, secret

    async def list(self, principal: Principal) -> list[ApiKey]:
        """List the tenant's keys, revoked ones too."""
        require(principal, Permission.KEYS_MANAGE)
        return list(await self._views.keys(principal.tenant))

    async def revoke(self, principal: Principal, id: str) -> ApiKey:
        """End a key at once.

        Raises:
            NotFound: The tenant has no such key.
        """
        require(principal, Permission.KEYS_MANAGE)
        for key in await self._views.keys(principal.tenant):
            if key.id == id:
                revoked = replace(key, revoked_at=self._world.now())
                self._by_mac.pop(key.mac, None)
                try:
                    await self._write(revoked, "key.revoked", principal.name)
                finally:
                    self._by_mac.pop(key.mac, None)  # it may have been read again before it was written
                    self._known_since = self._turn()
                return revoked
        raise NotFound("key", id)

    async def _write(self, key: ApiKey, kind: str, by: str) -> None:
        fields = {
            "kind": kind,
            "at": self._world.now(),
            "actor": f"user:{by}",
            "key": key.id,
            "name": key.name,
            "role": key.role,
            "groups": list(key.groups),
        }
        stream = f"tenant:{key.tenant}"
        await self._ledger.commit(Unit(tenant=key.tenant, others=((stream, Draft(fields)),), keys=(key,)))
