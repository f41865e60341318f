"""Exports: a log as a folder of files that anybody can check without us, how it is written and read."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from bailiwick.audit.merkle import HASH_BYTES
from bailiwick.base import canonical, parse_canonical

CHECKPOINT: Final = "checkpoint"
PUBKEY: Final = "pubkey"
LEAVES: Final = "leaves"
ENTRIES: Final = "entries.jsonl"
ROTATIONS: Final = "rotations"
WITNESSED: Final = "witnessed"
VERIFIER: Final = "verify.py"

EXPORT_FILES: Final = (CHECKPOINT, PUBKEY, LEAVES, ENTRIES, ROTATIONS, WITNESSED, VERIFIER)
"""All files of an export. `build_export` makes the first five (`rotations` only for a log whose key was rotated);
`witnessed`, heads that witnesses cosigned, and `standalone.py` as the last are added by the caller.
"""

VERIFIERS: Final = frozenset(
    {
        "09e8421a264d8d3b2869a450be344c0fb5c901634b386fac79b1ed82f9782d2f",
        "fce215e2dd1f0d164555328116320932d386125be4dceb6a1b6ad4a116401e0c",
    }
)
"""SHA-256 of every stand-alone verifier ever shipped; only added to, so that old exports still check."""

_RECORD: Final = 2 * HASH_BYTES + 1
_LEAF: Final = re.compile(rb"[0-9a-f]{64}\n")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")


class Entry(msgspec.Struct, frozen=True):
    """One event of an export: its leaf's index, the exact header, and the payload as far as it is kept.

    An erased payload is None with an empty salt, and so is one that never was; the header tells which.
    """

    index: int
    header: bytes
    salt: bytes
    payload: bytes | None


def build_export(
    entries: Sequence[Entry], leaves: Sequence[bytes], note: str, vkey: str, rotations: str = ""
) -> dict[str, bytes]:
    """Write the files of an export; the stand-alone verifier is added by the caller.

    Args:
        entries: One for each leaf, in leaf order; whatever else a log that was changed holds behind them.
        leaves: The leaf hashes up to the checkpoint's size.
        note: The signed checkpoint over these leaves.
        vkey: The verifier key of the note.
        rotations: The statements that link this key to earlier ones, one below the other.
    """
    told = {ROTATIONS: rotations.encode()} if rotations else {}
    return {
        **told,
        CHECKPOINT: note.encode(),
        PUBKEY: f"{vkey}\n".encode(),
        LEAVES: b"".join(leaf.hex().encode() + b"\n" for leaf in leaves),
        ENTRIES: b"".join(write_entry(entry) + b"\n" for entry in entries),
    }


def write_entry(entry: Entry) -> bytes:
    """Write an entry as one canonical line, without the newline."""
    return canonical(
        {
            "index": entry.index,
            "header": entry.header.decode(errors="replace"),
            "salt": entry.salt.hex(),
            "payload": None if entry.payload is None else entry.payload.decode(errors="replace"),
        }
    )


def read_entry(line: bytes) -> Entry | None:
    """Read a line back; None for anything but the one spelling that `write_entry` gives an entry."""
    try:
        said = parse_canonical(line)
    except ValueError:
        return None
    match said:
        case {"index": int(index), "header": str(header), "salt": str(salt), "payload": str() | None}:
            if not _HEX.fullmatch(salt):
                return None
            payload = said["payload"]
        case _:
            return None
    entry = Entry(
        index=index,
        header=header.encode(),
        salt=bytes.fromhex(salt),
        payload=None if payload is None else payload.encode(),
    )
    return entry if write_entry(entry) == line else None


def read_leaves(body: bytes) -> list[bytes | None]:
    """Read the leaf hashes, None for one that is not spelled as such.

    Records have a fixed width, so that a damaged one does not shift those behind it.
    """
    records = [body[start : start + _RECORD] for start in range(0, len(body), _RECORD)]
    return [bytes.fromhex(record[:-1].decode()) if _LEAF.fullmatch(record) else None for record in records]
