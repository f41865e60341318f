"""The tail: whether what is about to join a log, and the head that it joins, continue what was signed."""

from collections.abc import Iterator, Sequence

import msgspec

from bailiwick.audit.checkpoint import Checkpoint, open_note
from bailiwick.audit.leaf import leaf_hash
from bailiwick.audit.merkle import Frontier
from bailiwick.audit.note import NoteMalformed, NoteUnverified
from bailiwick.audit.placing import Said, read_header
from bailiwick.base import Category, Refusal

_PLATFORM = "platform"
_TENANT = "tenant:"


class LogBroken(Refusal, code="log_broken", category=Category.CONFLICT):
    """What lies in the tables of a log is not what was signed of it, or does not continue that."""

    def __init__(self, log: str, event: str, reason: str) -> None:
        whose = "every tenant" if log == _PLATFORM else log
        super().__init__(
            f"the log {log} was changed behind the platform's back{f', at {event}' if event else ''}: {reason}; "
            f"nothing more is signed of it, and {whose} is read-only",
            remedy=(
                "take the log away as evidence (bailiwick audit export, then audit verify) and find out who wrote to the "
                f"database; then, on the host: bailiwick audit accept-break {log} --reason TEXT"
            ),
            log=log,
            event=event,
            reason=reason,
        )


class Joining(msgspec.Struct, frozen=True, gc=False):
    """An event without an index, as it lies in the tables.

    `before` is the leaf of the event before it in its stream, None if there is none; `begun` tells whether that one
    has an index. `placed` and `overtaken` tell whether the event itself, or the one behind it, has one: neither may.
    """

    tenant: str
    stream: str
    seq: int
    leaf: bytes
    header: bytes
    before: bytes | None
    begun: bool
    placed: bool
    overtaken: bool


class Joined(msgspec.Struct, frozen=True, gc=False):
    """An event with an index, as it lies in the tables."""

    index: int
    tenant: str
    stream: str
    seq: int
    header: bytes
    leaf: bytes


def open_head(log: str, note: str, frontier: Frontier, vkeys: Sequence[str]) -> Checkpoint:
    """Read a stored head, and hold the frontier beside it to it.

    Raises:
        LogBroken: None of the keys signed it, or it says another size or root.
    """
    try:
        head = open_note(note, vkeys)
    except (NoteMalformed, NoteUnverified) as refusal:
        raise LogBroken(
            log, "", f"its stored head is not one that we signed ({refusal.message})"
        ) from refusal
    if not head.origin.endswith(f"/{log}"):
        raise LogBroken(log, "", f"its stored head is that of {head.origin}")
    if (head.size, head.root) != (frontier.size, frontier.root()):
        raise LogBroken(
            log, "", f"the tree of {frontier.size} leaves is not the one that was signed at size {head.size}"
        )
    return head


def hold_joining(log: str, events: Sequence[Joining]) -> None:
    """Hold events that are about to join a log to their streams: each continues an event that joined before.

    Raises:
        LogBroken: One does not; it is named.
    """
    for _, broken in misfits(log, events):
        raise broken


def misfits(log: str, events: Sequence[Joining]) -> Iterator[tuple[Joining, LogBroken]]:
    """List the events that do not continue what joined before, each with what is wrong with it."""
    joined: set[tuple[str, int]] = set()
    for event in events:
        try:
            fault = _fault_of_chain(event, _at_its_place(log, event), joined)
            if fault:
                yield event, LogBroken(log, f"{event.stream}.{event.seq}", fault)
        except LogBroken as broken:
            yield event, broken
        joined.add((event.stream, event.seq))


def hold_joined(log: str, first: int, events: Sequence[Joined]) -> None:
    """Hold events that joined a log, from the index `first` on, to their leaves and names.

    Raises:
        LogBroken: One was changed, moved or removed; it is named as far as something tells its name.
    """
    for index, event in enumerate(events, first):
        if event.index != index:
            raise LogBroken(log, "", f"the event of leaf {index} is gone")
        _at_its_place(log, event)


def _at_its_place(log: str, event: Joining | Joined) -> Said:
    """Read what a header says of its place, which is where it lies."""
    said = read_header(event.header)
    if leaf_hash(event.header) != event.leaf:
        fault = "its header does not hash to its leaf"
    elif said is None or said.seq != event.seq or said.stream != event.stream:
        fault = "its header names another place"
    elif (f"{_TENANT}{event.tenant}" if event.tenant else _PLATFORM) != log:
        fault = f"its stream lies with the tenant {event.tenant!r} now"
    else:
        return said
    raise LogBroken(log, f"{event.stream}.{event.seq}", fault)


def _fault_of_chain(event: Joining, said: Said, joined: set[tuple[str, int]]) -> str:
    if event.placed or event.overtaken:
        return "it, or the event behind it in its stream, has joined the log before"
    if event.before is None:
        return "" if event.seq == 1 and said.prev == "" else "the event before it is gone"
    if not event.begun and (event.stream, event.seq - 1) not in joined:
        return "the event before it never joined the log"
    return "" if said.prev == event.before.hex() else "it does not cite the event before it"
