"""Rotation: a log's old and new key both sign that the one follows the other, so that who trusts one can trust both."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from bailiwick.audit.note import (
    NoteMalformed,
    NoteUnverified,
    VerifierKeyMalformed,
    open_text,
    parse_verifier_key,
    sign_text,
    signature_line,
)

_TITLE: Final = "bailiwick key rotation v1"
_NOTE: Final = re.compile("(?:[^\n\u2014][^\n]*\n)+\n(?:\u2014 [^\n]*\n)+")

Sign = Callable[[bytes], bytes]


class Rotation(msgspec.Struct, frozen=True):
    """The verifier keys before and after."""

    old: str
    new: str


def sign_rotation(rotation: Rotation, sign_old: Sign, sign_new: Sign) -> str:
    """Write the statement, vouched for by both keys.

    Raises:
        NoteUnverified: A signing key is not the one of its verifier key.
    """
    text = f"{_TITLE}\n{rotation.old}\n{rotation.new}\n"
    signed = sign_text(text, parse_verifier_key(rotation.old), sign_old)
    new = parse_verifier_key(rotation.new)
    if not new.vouches(text.encode(), signature := sign_new(text.encode())):
        raise NoteUnverified("the new signing key is not the one of the verifier key", signers=[new.name])
    return signed + signature_line(new, signature)


def open_rotation(note: str) -> Rotation:
    """Read a statement that both of its keys vouch for; whether either is trusted is the caller's to say.

    Raises:
        NoteMalformed: It is no statement of a rotation.
        NoteUnverified: One of the two did not sign it.
    """
    lines = note.rpartition("\n\n")[0].split("\n")
    if len(lines) != 3 or lines[0] != _TITLE:
        raise NoteMalformed("it is no statement of a key rotation")
    rotation = Rotation(lines[1], lines[2])
    for vkey in (rotation.old, rotation.new):
        try:
            open_text(note, [parse_verifier_key(vkey)])
        except VerifierKeyMalformed as refusal:
            raise NoteMalformed(refusal.message) from refusal
    return rotation


def notes_in(text: str) -> list[str]:
    """Split a file of signed notes, one below the other; what is no whole note (a torn last one) is left out."""
    return _NOTE.findall(text)


def linked(keys: Sequence[str], notes: Iterable[str]) -> tuple[str, ...]:
    """List all keys that rotations link to the given ones, in either direction; statements that do not hold link nothing."""
    rotations: list[Rotation] = []
    for note in notes:
        try:
            rotations.append(open_rotation(note))
        except (NoteMalformed, NoteUnverified):
            continue
    found = list(keys)
    for _ in rotations:
        for rotation in rotations:
            if (rotation.old in found) != (rotation.new in found):
                found.append(rotation.new if rotation.old in found else rotation.old)
    return tuple(found)
