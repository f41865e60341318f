"""Standing: who is able to decide as the ledger says it now, and who made that person able to."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from bailiwick.base import Category, Instant, Refusal, format_instant
from bailiwick.policy import Principal, Requester, Role
from bailiwick.ports import Able, IdentityChange, Views, World
from bailiwick.service.core.refusals import Unauthenticated
from bailiwick.service.people.keyring import PERSON

DAY_HOURS = 24.0
_HOUR = 3_600_000_000
_MOST = 1_000
_SHOWN = ("created", "role", "groups", "state", "key")


class MadeByRequester(Refusal, code="made_by_requester", category=Category.FORBIDDEN):
    """The key, role or groups that would decide were given by the requester, directly or through others, and lately."""

    def __init__(self, principal: Principal, chain: Sequence[str], hours: float) -> None:
        super().__init__(
            f"{principal.name} cannot decide this: {'; '.join(chain)}",
            remedy="ask a member of the group whose key, role and groups the requester has not touched, "
            f"directly or through others, since {hours:g} h before the request",
            principal=principal.id,
            chain=list(chain),
            hours=f"{hours:g}",
        )


class Standing(msgspec.Struct, frozen=True):
    """A principal as the ledger knows it now. `formerly` is the name of its key before there were identities."""

    principal: Principal
    formerly: str = ""
    able: tuple[Able, ...] = ()


class Standings:
    """Looks up who may decide, and holds four eyes to be of two people.

    Args:
        hours: How long before a request the requester must have kept off whoever decides it; 0: it is not looked at.
    """

    def __init__(self, *, views: Views, world: World, hours: float = DAY_HOURS) -> None:
        self._views = views
        self._world = world
        self.hours = hours

    async def of(self, principal: Principal) -> Standing:
        """Read what the ledger says of a principal now; one that it does not know is a program's own and stays.

        Raises:
            Unauthenticated: The identity or the key has ended meanwhile.
        """
        identities = {one.id: one for one in await self._views.identities(principal.tenant)}
        identity = identities.get(principal.id)
        if identity is None:
            return Standing(principal)
        if identity.disabled_at or not await self._in_force(principal):
            raise Unauthenticated
        now = replace(
            principal,
            role=Role(identity.role),
            groups=identity.groups,
            person=identity.kind == PERSON,
        )
        names = {id: one.name for id, one in identities.items()}
        changes = await self._views.identity_changes(principal.tenant, principal.id, _MOST)
        return Standing(now, identity.formerly, _able(changes, principal.key, names))

    async def _in_force(self, principal: Principal) -> bool:
        if not principal.key:
            return True
        for key in await self._views.keys(principal.tenant):
            if key.id == principal.key:
                expired = key.expires_at and key.expires_at <= self._world.now()
                return key.identity == principal.id and not key.revoked_at and not expired
        return False

    async def untouched(self, principal: Principal, requester: Requester, requested_at: Instant) -> None:
        """Let a principal decide whom the requester has not made able to.

        Looked at is every change of the identity, and the minting of the key that was shown, since `hours` before
        the request; where another made it, that one's own changes in the `hours` before, and so on.

        Raises:
            MadeByRequester: A chain of such changes leads back to the requester.
        """
        if not self.hours:
            return
        span = round(self.hours * _HOUR)
        names = {one.id: one for one in await self._views.identities(principal.tenant)}
        since = min(requested_at, self._world.now()) - span
        open_: list[tuple[str, str, int, int, tuple[str, ...]]] = [
            (principal.id, principal.key, since, 2**62, ())
        ]
        seen: set[tuple[str, str, int]] = set()
        while open_:
            identity, key, after, until, chain = open_.pop()
            if (identity, key, until) in seen:
                continue
            seen.add((identity, key, until))
            for change in await self._changes(principal, identity, chain, after):
                if not after <= change.at <= until or change.key not in ("", key) or not change.by_identity:
                    continue
                giver = names.get(change.by_identity)
                told = (*chain, _told(change, names[identity].name, giver.name if giver else "somebody"))
                if giver is not None and requester.is_(
                    replace(principal, id=giver.id, name=giver.name), giver.formerly
                ):
                    raise MadeByRequester(principal, told, self.hours)
                open_.append((change.by_identity, change.by_key, change.at - span, change.at, told))

    async def _changes(
        self, principal: Principal, identity: str, chain: tuple[str, ...], after: int
    ) -> Sequence[IdentityChange]:
        """Read an identity's changes, the newest first; who changed more often than is read is not believed."""
        changes = await self._views.identity_changes(principal.tenant, identity, _MOST)
        if len(changes) == _MOST and changes[-1].at >= after:
            raise MadeByRequester(principal, (*chain, f"{identity} was changed {_MOST} times"), self.hours)
        return changes


def _able(changes: Sequence[IdentityChange], key: str, names: dict[str, str]) -> tuple[Able, ...]:
    """Say who gave what lasts: the newest change of each sort, and the minting of the key that was shown."""
    newest: dict[str, IdentityChange] = {}
    for change in changes:
        if change.key in ("", key):
            newest.setdefault(change.what, change)
    return tuple(
        Able(
            what,
            newest[what].detail,
            names.get(newest[what].by_identity, newest[what].by_identity or "the platform"),
            newest[what].by_identity,
            newest[what].at,
        )
        for what in _SHOWN
        if what in newest
    )


def _told(change: IdentityChange, name: str, giver: str) -> str:
    what = {
        "created": "made",
        "role": "gave a role to",
        "groups": "gave groups to",
        "state": "enabled or disabled",
        "key": "minted a key for",
    }[change.what]
    return f"{giver} {what} {name} at {format_instant(change.at)}"
