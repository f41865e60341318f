"""Witnesses that the settings name: a file on storage that is not ours, or a server that speaks C2SP tlog-witness."""

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.audit import (
    COSIGNATURE,
    Checkpoint,
    Growth,
    HistoryRewritten,
    NoteMalformed,
    NoteUnverified,
    WitnessBehind,
    consider,
    notes_in,
    open_note,
    parse_verifier_key,
    verifier_key,
    write_growth,
)
from bailiwick.http import Cosigner, create_witness
from bailiwick.ports import Witness, WitnessUnavailable
from bailiwick.stores import write_private
from bailiwick.wiring.keyfiles import KeyWrong, fingerprint, make_key, read_key

_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
_SECONDS = 20.0
_MAX_ANSWER = 16_384
_SEEN = re.compile(r"[0-9]{1,19}")

Keys = Callable[[], tuple[str, ...]]
"""Tells the log's verifier keys: the current one and those that rotations link to it."""


Application = Callable[..., Awaitable[None]]
"""An ASGI application."""


class FileWitness:
    """Appends each head to a file, if it grew out of the last one there; nothing is ever taken away.

    The file is worth as much as the place where it lies: storage that the operator of the log cannot rewrite.
    """

    def __init__(self, path: Path, keys: Keys) -> None:
        self.name = str(path)
        self._path = path
        self._keys = keys

    async def add(self, origin: str, growth: Growth) -> str:
        """Keep a head; see `ports.Witness`."""
        await asyncio.to_thread(self.keep, origin, growth)
        return ""

    def keep(self, origin: str, growth: Growth) -> Checkpoint:
        """Keep a head, and sync it.

        Raises:
            WitnessBehind, HistoryRewritten, NoteUnverified: See `consider`.
            WitnessUnavailable: The file cannot be read or written, or a note of this log in it does not open.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                # Two at once could each be shown another history, and both would be kept.
                fcntl.flock(file, fcntl.LOCK_EX)
                text = file.read().decode()
                head = consider(self._last(origin, text), growth, self._keys())
                gap = "" if text.endswith("\n") or not text else "\n"
                file.write(f"{gap}{growth.note}".encode())
                file.flush()
                os.fsync(file.fileno())
        except (OSError, UnicodeDecodeError) as error:
            raise WitnessUnavailable(self.name, str(error)) from error
        return head

    def _last(self, origin: str, text: str) -> Checkpoint | None:
        notes = [note for note in notes_in(text) if note.startswith(f"{origin}\n")]
        if not notes:
            return None
        try:
            return open_note(notes[-1], self._keys())
        except (NoteMalformed, NoteUnverified) as refusal:
            raise WitnessUnavailable(self.name, f"its last note of {origin}: {refusal.message}") from refusal


class HttpWitness:
    """Asks a server to cosign each head."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._url = f"{url.rstrip('/')}/add-checkpoint"

    async def add(self, origin: str, growth: Growth) -> str:
        """Have a head cosigned; see `ports.Witness`."""
        try:
            async with (
                asyncio.timeout(_SECONDS),
                httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client,
                client.stream("POST", self._url, content=write_growth(growth)) as response,
            ):
                text = await _beginning(response)
        except (httpx2.RequestError, TimeoutError) as error:
            raise WitnessUnavailable(self.name, str(error) or type(error).__name__) from error
        match response.status_code:
            case 200:
                return text
            case 409 if _SEEN.fullmatch(text.strip()):
                raise WitnessBehind(seen=int(text.strip()), assumed=growth.old)
            case 400 | 422 if response.status_code == 422 or growth.old > _size(growth.note):
                raise HistoryRewritten(origin=origin, seen=growth.old, size=_size(growth.note))
            case status:
                raise WitnessUnavailable(self.name, f"it answered {status}")


def witness_at(place: str, keys: Keys) -> Witness:
    """Find the witness that a setting or an argument names: an http(s) address, or a path."""
    if place.startswith(("http://", "https://")):
        return HttpWitness(place)
    return FileWitness(Path(place).expanduser(), keys)


def known_logs(said: Sequence[str]) -> dict[str, str]:
    """Read `ORIGIN=VKEY` pairs.

    Raises:
        VerifierKeyMalformed: A key is none.
    """
    pairs = [text.partition("=") for text in said]
    for _, _, vkey in pairs:
        parse_verifier_key(vkey)
    return {origin: vkey for origin, _, vkey in pairs}


def witness_app(folder: Path, name: str, logs: Mapping[str, str]) -> tuple[Application, str]:
    """Make a witness whose key and memory lie in a folder; answer its application and its verifier key.

    Raises:
        KeyMissing, KeyUnusable, KeyWrong: Its key is not there any more, or is another.
    """
    secret = Ed25519PrivateKey.from_private_bytes(_witness_key(folder))
    own = verifier_key(name, secret.public_key().public_bytes_raw(), COSIGNATURE)
    cosigner = Cosigner(parse_verifier_key(own), secret.sign)
    memories = {
        origin: FileWitness(folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.notes", _always(vkey))
        for origin, vkey in logs.items()
    }
    return create_witness(memories, cosigner), own


def _witness_key(folder: Path) -> bytes:
    """Read the witness's key; one is made for a folder alone in which nothing was cosigned yet.

    Raises:
        KeyMissing, KeyUnusable, KeyWrong: It is not the one by which this witness is known.
    """
    path, known = folder / "witness.key", folder / "witness.fingerprint"
    begun = known.exists() or any(folder.glob("*.notes"))
    if not begun:
        make_key(path)
    secret = read_key(path)
    seen = fingerprint(path.name, secret)
    if not known.exists():
        write_private(known, seen.encode())
    elif known.read_text("utf-8") != seen:
        raise KeyWrong(path, "its fingerprint is not the one on record")
    return secret


def _always(vkey: str) -> Keys:
    return lambda: (vkey,)


async def _beginning(response: httpx2.Response) -> str:
    """Read as much of an answer as one may have; the other side is another party's."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= _MAX_ANSWER:
            break
    return bytes(body[:_MAX_ANSWER]).decode(errors="replace")


def _size(note: str) -> int:
    return int(note.split("\n")[1])
