"""Refusing: what people and programs asked for with a key of theirs and were refused, noted in their tenant's stream."""

import functools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
import structlog

from bailiwick.base import Category, Json, Refusal, canonical
from bailiwick.policy import Principal
from bailiwick.ports import Draft, Ledger, Unit, World
from bailiwick.service.core.attempting import MAX_NAME, tried_of
from bailiwick.service.core.changes import record_of

NOTED_PER_HOUR = 100
"""So many refused requests of a key have an event each in an hour; further ones are counted, in events that grow rarer."""
KIND = "request.refused"
INTENT = "intent.refused"
MAX_REASON = 2_000
_HOUR = 3_600_000_000
_KEYS = 10_000
_FREE = (Category.UNAVAILABLE, Category.UNAUTHENTICATED, Category.LIMITED)
log = structlog.get_logger("bailiwick.refusing")

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Governed")


class Tally(msgspec.Struct):
    """What a key was refused in one hour (since 1970): how many events there are, for how many beyond the bound, and
    how many have none yet.
    """

    hour: int
    events: int = 0
    beyond: int = 0
    pending: int = 0


class Refusing:
    """Notes refused requests, bounded by key and hour, in each process by itself.

    A refusal that cannot be written is logged and not raised: whoever is refused hears of the refusal.
    """

    def __init__(self, *, ledger: Ledger, world: World) -> None:
        self._ledger = ledger
        self._world = world
        self._tallies: OrderedDict[tuple[str, str], Tally] = OrderedDict()

    async def note(
        self,
        principal: Principal,
        act: str,
        refusal: Refusal,
        tried: dict[str, Json],
        *,
        kind: str = KIND,
        **more: Json,
    ) -> None:
        """Record that a request was refused, once, however many layers tell of it.

        Args:
            principal: Who asked; its key bounds how much is written.
            act: What was asked: a use case such as `approvals.decide`, or a route.
            refusal: The refusal; what only the state of the server caused is no attempt.
            tried: What was asked for; kept in an erasable payload as far as it is short, and named by its digest.
            kind: The event's kind.
            more: Further fields of the event.
        """
        if refusal.noted or refusal.category in _FREE:
            return
        refusal.noted = True
        tally = self._tally(principal)
        tally.pending += 1
        if tally.events >= NOTED_PER_HOUR and tally.pending < max(tally.beyond, 1):
            return
        count, tally.pending = tally.pending, 0
        tally.beyond += count if tally.events >= NOTED_PER_HOUR else 0
        tally.events += 1
        kept, digest = tried_of(tried)
        fields: dict[str, Any] = {
            "kind": kind,
            "at": self._world.now(),
            **record_of(principal).fields,
            "role": principal.role or "",
            "act": act[:MAX_NAME],
            "code": refusal.code,
            "digest": digest,
            **({"count": count} if count > 1 else {}),
            **more,
        }
        body = canonical({"tried": kept, "reason": refusal.message[:MAX_REASON]})
        stream = f"tenant:{principal.tenant}"
        draft = Draft(fields, body, self._world.salt())
        try:
            await self._ledger.commit(Unit(tenant=principal.tenant, others=((stream, draft),)))
        except Refusal as failed:
            log.warning("refusal.lost", act=act, code=refusal.code, identity=principal.id, reason=failed.code)

    def _tally(self, principal: Principal) -> Tally:
        """Find what a key was refused in this hour; what was only counted in an earlier one goes on the next event."""
        place, hour = (principal.tenant, principal.key or principal.id), self._world.now() // _HOUR
        known = self._tallies.pop(place, None)
        if known is None or known.hour != hour:
            known = Tally(hour, pending=known.pending if known is not None else 0)
        self._tallies[place] = known
        if len(self._tallies) > _KEYS:
            self._tallies.popitem(last=False)
        return known


class Governed:
    """A family of use cases whose refusals are on record; `refusing` is set by the platform."""

    refusing: Refusing | None = None


def governed(
    act: str,
) -> Callable[
    [Callable[Concatenate[S, Principal, P], Awaitable[R]]],
    Callable[Concatenate[S, Principal, P], Coroutine[Any, Any, R]],
]:
    """Have every refusal of a use case noted; its first argument says who asks."""

    def noting(
        use: Callable[Concatenate[S, Principal, P], Awaitable[R]],
    ) -> Callable[Concatenate[S, Principal, P], Coroutine[Any, Any, R]]:
        async def noted(self: S, principal: Principal, /, *args: P.args, **named: P.kwargs) -> R:
            try:
                return await use(self, principal, *args, **named)
            except Refusal as refusal:
                if self.refusing is not None:
                    tried = {"given": [_plain(each) for each in args]} if args else {}
                    tried |= {name: _plain(value) for name, value in named.items()}
                    subject = next((each for each in args if isinstance(each, str)), "")
                    await self.refusing.note(principal, act, refusal, tried, subject=subject[:MAX_NAME])
                raise

        functools.update_wrapper(noted, use)
        return noted

    return noting


def _plain(value: Any) -> Any:
    """Write an argument down as JSON; what is none, such as a bundle of policies, by its type."""
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        return type(value).__name__
