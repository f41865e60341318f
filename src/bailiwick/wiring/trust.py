"""Trust: the keys beside the data are held to what the ledger says of them, before anything is done with either."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from bailiwick.audit import NoteMalformed, NoteUnverified, Rotation, linked, notes_in, open_note, verifier_key
from bailiwick.base import Digest
from bailiwick.run import Created, decode_event
from bailiwick.stores import (
    Address,
    DirectoryLock,
    Store,
    inspect_postgres,
    make_folder,
    open_inspector,
    open_postgres,
)
from bailiwick.wiring.beside import refuse_beside_servers
from bailiwick.wiring.keyfiles import BLOBS, PEPPER, SIGNING, KeyWrong, read_key
from bailiwick.wiring.keys import DeploymentKeys, fingerprint_of
from bailiwick.wiring.settings import Settings

KEYS = "keys"
HEADS = "keys/heads"
_LOOKED_AT = 5
_SECRETS = "*.key"


async def keys_of_ledger(settings: Settings, store: Store) -> DeploymentKeys:
    """Read the keys and hold them to the ledger; those of a ledger without anything in it are made.

    A ledger that is older than fingerprints adopts the keys, if they fit what is recorded there.

    Raises:
        KeyMissing, KeyUnusable, KeyWrong: They are not those of this ledger. Nothing was changed.
    """
    folder = settings.shared_folder / KEYS
    recorded: Mapping[str, str] = await store.fingerprints.read()
    begun = bool(recorded) or bool(await store.views.keys(""))
    keys = DeploymentKeys(folder) if begun else DeploymentKeys.made(folder)
    own = keys.fingerprints
    new = {name: own[name] for name in own if name not in recorded}
    if new and begun:
        await _vouched(settings, store, keys)
    if new:
        await store.fingerprints.adopt(new)
        recorded = await store.fingerprints.read()  # another process may have been faster, with other keys
    if keys.hold_to(recorded):
        await store.fingerprints.replace({SIGNING: own[SIGNING]})
    return keys


async def fingerprints_beside(settings: Settings) -> Mapping[str, str]:
    """Read the fingerprints of the ledger that the settings name, without opening it to write.

    Raises:
        NoLedger: There is none.
    """
    if settings.store:
        async with inspect_postgres(Address(settings.store)) as inspector:
            return await inspector.fingerprints()
    with open_inspector(settings.folder) as found:
        return await found.fingerprints()


async def rotate_signing_key(settings: Settings) -> Rotation:
    """Rotate the signing key of a data directory that no server holds; the next start signs with the new one.

    Raises:
        DataDirInUse, ServersRunning: A server holds it, or works on the database.
        NoLedger: There is none whose key it could be.
        KeyMissing, KeyUnusable, KeyWrong: The keys are not those of the ledger; nothing was changed.
    """
    if settings.store:
        await _alone_on(settings)
    make_folder(settings.shared_folder)
    lock = DirectoryLock(settings.shared_folder)
    try:
        recorded = await fingerprints_beside(settings)
        keys = DeploymentKeys(settings.shared_folder / KEYS)
        keys.hold_to(recorded)
        return keys.rotate(settings.deployment)
    finally:
        lock.release()


async def _alone_on(settings: Settings) -> None:
    """Refuse while a server, of another host perhaps, works on the database: it would go on signing with the old key."""
    store = open_postgres(Address(settings.store), settings.folder, shared_dir=settings.shared_folder)
    try:
        await store.begin([])
        await refuse_beside_servers(store)
    finally:
        await store.end()


def hold_key_to(path: Path, recorded: Mapping[str, str]) -> None:
    """Hold one key to its fingerprint.

    Raises:
        KeyMissing, KeyUnusable, KeyWrong: It is not the one.
    """
    seen = fingerprint_of(path.name, read_key(path))
    if recorded.get(path.name, seen) != seen:
        raise KeyWrong(path, "its fingerprint is not the one on record")


async def _vouched(settings: Settings, store: Store, keys: DeploymentKeys) -> None:
    """Hold keys that were never recorded against what was written with them.

    Raises:
        KeyWrong: A key did not write what lies there.
    """
    folder = settings.shared_folder / KEYS
    for head in await store.audit.heads():
        name = head.note.partition("\n")[0].removesuffix(f"/{head.log}")
        try:
            own = verifier_key(name, bytes.fromhex(keys.fingerprints[SIGNING]))
            open_note(head.note, linked([own], notes_in(keys.rotations)))
        except (NoteMalformed, NoteUnverified) as refusal:
            raise KeyWrong(folder / SIGNING, f"it did not sign the head of {head.log}") from refusal
    known = {key.mac for key in await store.views.keys("")}
    secrets = [secret for path in settings.folder.glob(_SECRETS) if (secret := _secret_in(path))]
    if secrets and not any(_mac(keys.pepper, secret) in known for secret in secrets):
        raise KeyWrong(folder / PEPPER, f"it knows no API key of {settings.folder / _SECRETS}")
    if not await _names_blobs(store, keys):
        raise KeyWrong(folder / BLOBS, "nothing that the ledger names is found under it")


async def _names_blobs(store: Store, keys: DeploymentKeys) -> bool:
    """Whether a plan that the ledger names is found under the key; also where it names none."""
    store.blobs.unlock(keys.blob_key)
    plans = [plan async for plan in plans_of(store)]
    return not plans or any([await store.blobs.has(tenant, digest) for tenant, digest in plans])


async def plans_of(store: Store, each: int = _LOOKED_AT) -> AsyncIterator[tuple[str, Digest]]:
    """Name plans that lie in the blobs: of the newest runs of every tenant, at most `each` of one."""
    for tenant in sorted({key.tenant for key in await store.views.keys("")}):
        for head in await store.views.runs(tenant, status="", app="", before="", limit=each):
            for stored in await store.ledger.events(tenant, head.id, 0, 1):
                event = decode_event(stored.header)
                if isinstance(event, Created):
                    yield tenant, event.plan


def _secret_in(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.startswith("bwk_") else ""


def _mac(pepper: bytes, secret: str) -> str:
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()
