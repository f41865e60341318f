"""Scrutiny: a log's signed head is checked before it is extended, and what lies below it again and again."""

from collections import deque
from collections.abc import Sequence

from bailiwick.audit import Frontier, Joined, LogBroken, hold_joined, open_head
from bailiwick.ports import AuditLog, Remembered, Seen, StoreUnavailable, TreeHead
from bailiwick.service.core.breaks import Breaks
from bailiwick.service.proof.signer import Signer

AT_ONCE = 65_536
"""Events that are read before the first head of a process is signed; of a longer log the rest is read beside the work."""

_PAGE = 512
_TURN = 256
_FIRST_TURN = 4_096
_READINGS = 5


class HeadMoves(StoreUnavailable, code="log_head_moves"):
    """A log's head was replaced again and again while it was read; nothing is wrong with it."""

    log: str
    says = "the head of {log} changes faster than it can be read"
    remedy = "repeat; others are signing it"


class Pass:
    """One reading of a log from its beginning to a signed head."""

    def __init__(self, head: TreeHead, seen: Seen | None) -> None:
        self.head = head
        self.frontier = seen.base if seen is not None else Frontier()
        roots = {head.size: Frontier(head.size, head.frontier).root()}
        if seen is not None and self.frontier.size < seen.size:
            roots[seen.size] = seen.root
        self.roots = roots

    @property
    def left(self) -> int:
        """How many events are still to be read."""
        return self.head.size - self.frontier.size


class Scrutiny:
    """Looks at logs as they lie in the tables; what a process signed last, it knows without them.

    Args:
        remembered: What earlier processes signed last, beside the database; None: nothing is known of them.
    """

    def __init__(
        self, *, audit: AuditLog, signer: Signer, breaks: Breaks, remembered: Remembered | None = None
    ) -> None:
        self._audit = audit
        self._signer = signer
        self._breaks = breaks
        self._remembered = remembered
        self._known: dict[str, TreeHead] = {}
        self._looked: set[str] = set()
        self._passes: dict[str, Pass] = {}
        self._turns: deque[str] = deque()

    async def head(self, log: str, *, at_once: int = AT_ONCE) -> TreeHead | None:
        """Read a log's newest head, held to what was signed; None while it has none.

        Raises:
            LogBroken: It is not what was signed last, or what lies below it is not.
            HeadMoves: Others sign so fast that it could not be read whole.
        """
        # Before anything is waited for: what another task signs meanwhile is newer than the head that is read here.
        seen = self._seen(log)
        head = await self._newest(log, seen)
        if head is None:
            return None
        if head != self._known.get(log):
            self._hold(head, seen)
            self._known[log] = head
        if log not in self._looked and head.size <= at_once:
            await self._read(log, head, at_once)
        return head

    async def _newest(self, log: str, seen: Seen | None) -> TreeHead | None:
        """Read the head and how far indices are given, as of one moment."""
        for _ in range(_READINGS):
            head = await self._audit.head(log)
            reach, straight = await self._audit.reach(log)
            if head == await self._audit.head(log):
                break
        else:
            raise HeadMoves(log)
        if head is None:
            if reach or (seen is not None and seen.size):
                raise LogBroken(log, "", "its signed head is gone")
            return None
        if reach != head.size:
            raise LogBroken(log, "", f"{reach} events have an index, {head.size} were signed")
        if not straight:
            raise LogBroken(log, "", "the mark behind its last event was moved")
        return head

    def _hold(self, head: TreeHead, seen: Seen | None) -> None:
        try:
            frontier = Frontier(head.size, head.frontier)
        except ValueError as error:
            raise LogBroken(head.log, "", f"its stored tree is none: {error}") from error
        opened = open_head(head.log, head.note, frontier, self._signer.vkeys_of(head.log, head.note))
        if seen is not None and (
            opened.size < seen.size or (opened.size == seen.size and opened.root != seen.root)
        ):
            reason = f"{seen.size} events were signed, and the tables hold another log of {opened.size}"
            raise LogBroken(head.log, "", reason)

    def signed(self, head: TreeHead) -> None:
        """Know a head that was just signed and stored."""
        known = self._known.get(head.log)
        if known is not None and known.size >= head.size:
            return
        self._known[head.log] = head
        if self._remembered is not None:
            seen = self._remembered.read(head.log)
            root = Frontier(head.size, head.frontier).root()
            base = seen.base if seen is not None else Frontier()
            self._remembered.keep(head.log, Seen(head.size, root, base))

    def _seen(self, log: str) -> Seen | None:
        return self._remembered.read(log) if self._remembered is not None else None

    async def look(self) -> int:
        """Look at one log, the longest not looked at: at its head, and at a few of its events; answer 0."""
        if not self._turns:
            names = {head.log for head in await self._audit.heads()}
            names |= set(self._remembered.logs()) if self._remembered is not None else set()
            self._turns.extend(sorted(names))
        if self._turns:
            await self.look_at(self._turns.popleft())
        return 0

    async def look_at(self, log: str) -> None:
        """Look at a log, and report what is broken."""
        if self._breaks.of(log):
            return
        try:
            head = await self.head(log)
            if head is not None:
                await self._read(log, head, _TURN if log in self._looked else _FIRST_TURN)
        except LogBroken as broken:
            self._breaks.report(broken)

    async def look_at_all(self) -> None:
        """Look at every log, before the first change of this process."""
        names = {head.log for head in await self._audit.heads()}
        for log in sorted(names | set(self._remembered.logs() if self._remembered is not None else ())):
            await self.look_at(log)

    async def _read(self, log: str, head: TreeHead, most: int) -> None:
        """Read on in a log, at most so many events; a pass that reached its head is followed by the next."""
        reading = self._passes.setdefault(log, Pass(head, self._seen(log)))
        while most > 0 and reading.left:
            size = reading.frontier.size
            stop = min(at for at in reading.roots if at > size)
            count = min(_PAGE, most, stop - size)
            rows = await self._audit.joined(log, size - 1, count)
            self._hold_rows(log, size, count, rows)
            if reading is not self._passes.get(log) or reading.frontier.size != size:
                return  # another caller read on meanwhile
            reading.frontier = reading.frontier.extend([row.leaf for row in rows])
            most -= count
            self._hold_root(log, reading)
        if not reading.left:
            self._passes.pop(log, None)
            self._looked.add(log)

    def _hold_rows(self, log: str, first: int, count: int, rows: Sequence[Joined]) -> None:
        hold_joined(log, first, rows)
        if len(rows) < count:
            raise LogBroken(log, "", f"the event of leaf {first + len(rows)} is gone")

    def _hold_root(self, log: str, reading: Pass) -> None:
        size = reading.frontier.size
        root = reading.roots.get(size)
        if root is not None and root != reading.frontier.root():
            before = max((at for at in reading.roots if at < size), default=0)
            reason = f"its first {size} events are not those that were signed; the first that differs has an index from {before} on"
            raise LogBroken(log, "", reason)
