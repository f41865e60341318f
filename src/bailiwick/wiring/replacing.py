"""Replacing a key that is lost for good: a named act on the host, on the record, after which work can honestly go on."""

import secrets
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.audit import Checkpoint, Frontier, sign_note
from bailiwick.base import Category, Digest, Refusal, parse_canonical
from bailiwick.ports import Draft, TreeHead, Unit
from bailiwick.stores import Store, make_folder, write_private
from bailiwick.wiring.beside import refuse_beside_servers
from bailiwick.wiring.clocks import learn, new_clock
from bailiwick.wiring.embedded import open_ledger
from bailiwick.wiring.keyfiles import (
    KEY_FILES,
    PEPPER,
    SECRET_BYTES,
    SIGNING,
    KeyMissing,
    KeyUnusable,
    read_key,
)
from bailiwick.wiring.keys import fingerprint_of
from bailiwick.wiring.settings import Settings
from bailiwick.wiring.trust import KEYS, hold_key_to, plans_of

_ACTOR = "operator:host"
_PLATFORM = "platform"
_ALL = 1_000_000
_PAGE = 500
_REPLACED = "key.replaced"


class KeyNotLost(Refusal, code="key_not_lost", category=Category.CONFLICT):
    """A key that is said to be lost is there, or there is nothing that it was needed for."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} need not be replaced: {reason}",
            remedy="start the server; to replace the signing key on purpose: bailiwick audit rotate-key",
            file=str(path),
            reason=reason,
        )


class Replaced(msgspec.Struct, frozen=True):
    """What was done: the logs whose newest event says so, the new key's fingerprint, and what follows, in words."""

    logs: tuple[str, ...]
    fingerprint: str
    follows: str


async def replace_lost_key(settings: Settings, name: str, reason: str) -> Replaced:
    """Make another key in place of one that is lost, while no server runs; the break is an event of every log.

    What is cut off in the middle is finished by the same act, with the key that it had made: until its end no server
    starts.

    Args:
        settings: Which deployment.
        name: The file of the key, one of `KEY_FILES`.
        reason: Why; it stands in the open for ever.

    Raises:
        DataDirInUse, ServersRunning: A server holds the data directory, or works on the database.
        KeyNotLost: It is there.
        KeyMissing, KeyUnusable, KeyWrong: Another one is lost as well.
    """
    store = open_ledger(settings)
    try:
        await store.begin([])
        await refuse_beside_servers(store)
        folder = settings.shared_folder / KEYS
        recorded = dict(await store.fingerprints.read())
        secret = await _begun(store, name, folder / name, recorded)
        _lost_alone(folder, name, recorded, begun=bool(secret))
        tenants = sorted({key.tenant for key in await store.views.keys("")})
        if not tenants:
            raise KeyNotLost(folder / name, "nothing is recorded here yet")
        if secret:
            made, logs = fingerprint_of(name, secret), _streams(tenants)
        else:
            secret = secrets.token_bytes(SECRET_BYTES)
            made = fingerprint_of(name, secret)
            said = {"key": name, "was": recorded.get(name, ""), "now": made, "reason": reason}
            logs = await _record(store, tenants, said)
            make_folder(folder)
            write_private(folder / name, secret)
        follows = await _follow(settings, store, name, secret)
        await store.fingerprints.adopt({name: made})
        await store.fingerprints.replace({name: made})
        return Replaced(logs, made, follows)
    finally:
        await store.end()


def _lost_alone(folder: Path, name: str, recorded: dict[str, str], *, begun: bool) -> None:
    for other in KEY_FILES:
        if other != name:
            hold_key_to(folder / other, recorded)
    if begun:
        return
    try:
        seen = fingerprint_of(name, read_key(folder / name))
    except (KeyMissing, KeyUnusable):
        return
    if recorded.get(name, seen) == seen:
        raise KeyNotLost(folder / name, "it is there, and is the one that this ledger was written with")


async def _begun(store: Store, name: str, path: Path, recorded: dict[str, str]) -> bytes:
    """Read the key that an act which was cut off has announced and written; empty if no act was cut off there."""
    try:
        secret = read_key(path)
    except (KeyMissing, KeyUnusable):
        return b""
    made = fingerprint_of(name, secret)
    if recorded.get(name) == made:
        return b""
    announced, after = "", 0
    while events := await store.ledger.events("", _PLATFORM, after, _PAGE):
        after = events[-1].seq
        headers = [parse_canonical(event.header) for event in events]
        told = [each["now"] for each in headers if each["kind"] == _REPLACED and each["key"] == name]
        announced = told[-1] if told else announced
    return secret if announced == made else b""


def _streams(tenants: list[str]) -> tuple[str, ...]:
    return (_PLATFORM, *(f"tenant:{tenant}" for tenant in tenants))


async def _record(store: Store, tenants: list[str], said: dict[str, str]) -> tuple[str, ...]:
    """Write the break into the platform's log and every tenant's."""
    clock = new_clock()
    await learn(clock, store)
    fields = {"kind": _REPLACED, "at": clock.now(), "actor": _ACTOR, **said}
    streams = _streams(tenants)
    await store.ledger.commit(Unit(tenant="", others=tuple((stream, Draft(fields)) for stream in streams)))
    return streams


async def _follow(settings: Settings, store: Store, name: str, secret: bytes) -> str:
    """Do what goes with the new key; say what else is to be done."""
    if name == SIGNING:
        await _sign_again(settings, store, secret)
        return "no statement links it to the key before: hand the new verifier key to auditors and witnesses by another way"
    if name == PEPPER:
        return "every API key is void: make an admin's with bailiwick keys recover, and then the others anew"
    return await _find_again(store, secret)


async def _sign_again(settings: Settings, store: Store, secret: bytes) -> None:
    """Sign the newest heads with the new key, as they stand."""
    key = Ed25519PrivateKey.from_private_bytes(secret)
    for head in await store.audit.heads():
        origin = f"{settings.deployment}/{head.log}"
        checkpoint = Checkpoint(origin, head.size, Frontier(head.size, head.frontier).root())
        note = sign_note(checkpoint, settings.deployment, key.sign, key.public_key().public_bytes_raw())
        await store.audit.integrate(TreeHead(head.log, head.size, head.frontier, note), [])


async def _find_again(store: Store, secret: bytes) -> str:
    """Name all blobs anew: their content tells their digests, and the plans among them whose they are.

    The plans go last, so that what was cut off in the middle can still tell whose the rest is.
    """
    store.blobs.unlock(secret)
    plans: dict[str, set[Digest]] = {}
    async for tenant, plan in plans_of(store, _ALL):
        plans.setdefault(tenant, set()).add(plan)
    own = {store.blobs.space(tenant): tenant for tenant in plans}
    found = left = 0
    for space in store.blobs.spaces():
        contents = store.blobs.contents(space)
        marked = (tenant for tenant, digests in plans.items() if digests & contents.keys())
        owner = own.get(space) or next(marked, "")
        if owner:
            last = plans[owner]
            store.blobs.rename(
                owner, {each: contents[each] for each in sorted(contents, key=last.__contains__)}
            )
            found += len(contents)
        else:
            left += len(contents)
    told = f"{found} blob(s) were found again by their content"
    return (
        f"{told}; of {left} nothing tells whose they are, and they are left where they lie" if left else told
    )
