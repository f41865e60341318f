"""Accepting a break: a named act on the host, by which a log that was changed goes on, and says so itself."""

import msgspec

from bailiwick.audit import Checkpoint, Frontier, Joined, LogBroken, hold_joining, sign_note
from bailiwick.base import Category, Instant, Refusal
from bailiwick.ports import Draft, Seen, TreeHead, Unit
from bailiwick.service import Breaks, Scrutiny, Signer
from bailiwick.stores import Store
from bailiwick.wiring.beside import refuse_beside_servers
from bailiwick.wiring.clocks import learn, new_clock
from bailiwick.wiring.embedded import open_ledger
from bailiwick.wiring.remembering import RememberedHeads
from bailiwick.wiring.settings import Settings
from bailiwick.wiring.trust import HEADS, keys_of_ledger
from bailiwick.wiring.world import SystemWorld

_ACTOR = "operator:host"
_PAGE = 512
_EVERYTHING = 1 << 62


class NotBroken(Refusal, code="log_not_broken", category=Category.CONFLICT):
    """A log has no break that somebody could answer for."""

    log: str
    says = "the log {log} is what was signed of it"
    remedy = "nothing is to be done; a log is named as the refusal log_broken names it"


class Accepted(msgspec.Struct, frozen=True):
    """What was found, and the size of the log that was signed anew."""

    log: str
    event: str
    found: str
    size: int


async def accept_break(settings: Settings, log: str, reason: str) -> Accepted:
    """Sign a log as it lies in the tables, while no server runs; what was found and who answers for it is its event.

    Whoever witnessed the log before still convicts it: an accepted break does not become unbroken.

    Args:
        settings: Which deployment.
        log: `tenant:ID` or `platform`.
        reason: Why, in the open for ever.

    Raises:
        DataDirInUse, ServersRunning: A server holds the data directory, or works on the database.
        NotBroken: There is nothing to accept.
        KeyMissing, KeyUnusable, KeyWrong: See `keys_of_ledger`.
    """
    store = open_ledger(settings)
    try:
        await store.begin([])
        await refuse_beside_servers(store)
        keys = await keys_of_ledger(settings, store)
        store.blobs.unlock(keys.blob_key)
        signer = keys.signer(settings.deployment)
        remembered = RememberedHeads(settings.shared_folder / HEADS)
        scrutiny = Scrutiny(audit=store.audit, signer=signer, breaks=Breaks(), remembered=remembered)
        broken = await _break_of(store, scrutiny, log)
        if broken is None:
            raise NotBroken(log)
        clock = new_clock()
        await learn(clock, store)
        await _record(store, broken, reason, SystemWorld(clock).now())
        frontier = await _sign_as_it_lies(store, signer, log)
        remembered.keep(log, Seen(frontier.size, frontier.root(), frontier))
        return Accepted(log, str(broken.facts["event"]), str(broken.facts["reason"]), frontier.size)
    finally:
        await store.end()


async def _break_of(store: Store, scrutiny: Scrutiny, log: str) -> LogBroken | None:
    try:
        await scrutiny.head(log, at_once=_EVERYTHING)
        hold_joining(log, await store.audit.pending_leaves(log, _PAGE))
    except LogBroken as broken:
        return broken
    return None


async def _record(store: Store, broken: LogBroken, reason: str, at: Instant) -> None:
    log = str(broken.facts["log"])
    fields = {
        "kind": "log.break_accepted",
        "at": at,
        "actor": _ACTOR,
        "event": str(broken.facts["event"]),
        "found": str(broken.facts["reason"]),
        "reason": reason,
    }
    await store.ledger.commit(Unit(tenant="", others=((log, Draft(fields)),)))


async def _sign_as_it_lies(store: Store, signer: Signer, log: str) -> Frontier:
    """Number what lies there from 0 on, let join what waits, and sign both."""
    while await store.feed.place(_PAGE):
        pass
    rows: list[Joined] = []
    reach, _ = await store.audit.reach(log)
    for after in range(-1, reach - 1, _PAGE):
        rows += await store.audit.joined(log, after, _PAGE)
    frontier = Frontier().extend([row.leaf for row in rows])
    named = [(row.tenant, row.stream, row.seq) for row in rows]
    await store.audit.relay(_head(signer, log, frontier), named)
    while pending := await store.audit.pending_leaves(log, _PAGE):
        frontier = frontier.extend([event.leaf for event in pending])
        await store.audit.integrate(
            _head(signer, log, frontier), [(event.stream, event.seq) for event in pending]
        )
    return frontier


def _head(signer: Signer, log: str, frontier: Frontier) -> TreeHead:
    checkpoint = Checkpoint(f"{signer.name}/{log}", frontier.size, frontier.root())
    note = sign_note(checkpoint, signer.name, signer.sign, signer.public)
    return TreeHead(log, frontier.size, frontier.subtrees, note)
