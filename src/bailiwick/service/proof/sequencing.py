"""Sequencing: leaves join their tenant's Merkle log in batches, and a signed head vouches for them."""

from importlib import resources

from bailiwick.audit import (
    VERIFIER,
    WITNESSED,
    Checkpoint,
    Entry,
    Frontier,
    InclusionProof,
    LogBroken,
    build_export,
    hold_joining,
    misfits,
    prove,
    sign_note,
    unexplained,
)
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import AuditLog, Feed, GuardFailed, Remembered, StoredEvent, TreeHead
from bailiwick.service.core.breaks import Breaks
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.proof.scrutiny import Scrutiny
from bailiwick.service.proof.signer import Signer

PLACED = 1024
SLICE = 256
_READINGS = 3
_PAGE = 1000
_VERIFIER = "bailiwick.audit.standalone"  # carried in every export; imported by nobody


class Sequencing:
    """Integrates leaves, hands out proofs and exports; `cosigned` holds the newest head of each log that a witness cosigned."""

    def __init__(
        self,
        *,
        audit: AuditLog,
        feed: Feed,
        signer: Signer,
        breaks: Breaks | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self._audit = audit
        self._feed = feed
        self.signer = signer
        self.breaks = breaks if breaks is not None else Breaks()
        self.scrutiny = Scrutiny(audit=audit, signer=signer, breaks=self.breaks, remembered=remembered)
        self.cosigned: dict[str, str] = {}

    async def place(self) -> int:
        """Give new events their place in the feed; answer how many."""
        return await self._feed.place(PLACED)

    async def integrate(self) -> int:
        """Let new leaves join their logs and sign the new heads; answer how many leaves."""
        count = 0
        for log in await self._audit.logs():
            count += await self._integrate(log)
        return count

    async def _integrate(self, log: str) -> int:
        if self.breaks.of(log):
            return 0
        pending = await self._audit.pending_leaves(log, SLICE)
        if not pending:
            return 0
        try:
            head = await self.scrutiny.head(log)
            hold_joining(log, pending)
        except LogBroken as broken:
            self.breaks.report(broken)
            return 0
        frontier = Frontier(head.size, head.frontier) if head is not None else Frontier()
        frontier = frontier.extend([event.leaf for event in pending])
        checkpoint = Checkpoint(self.origin(log), frontier.size, frontier.root())
        note = sign_note(checkpoint, self.signer.name, self.signer.sign, self.signer.public)
        new = TreeHead(log, frontier.size, frontier.subtrees, note)
        try:
            await self._audit.integrate(new, [(event.stream, event.seq) for event in pending])
        except GuardFailed:
            return 0  # another sequencer was faster
        self.scrutiny.signed(new)
        return len(pending)

    def origin(self, log: str) -> str:
        """Name a log in its checkpoints."""
        return f"{self.signer.name}/{log}"

    async def catch_up(self) -> None:
        """Place and integrate all that is committed by now; what comes meanwhile is not waited for."""
        while await self.place() == PLACED:
            pass
        for log in await self._audit.logs():
            while await self._integrate(log) == SLICE:
                pass

    async def checkpoint(self, principal: Principal) -> TreeHead:
        """Read the tenant's newest signed head, after all that is committed has joined.

        Raises:
            NotFound: Nothing was recorded yet.
            LogBroken: The log is not what was signed; its stored head is nothing to rely on.
        """
        head = await self._newest(principal)
        broken = self.breaks.of(head.log)
        if broken is not None:
            raise broken
        return head

    async def _newest(self, principal: Principal) -> TreeHead:
        require(principal, Permission.AUDIT_READ)
        await self.catch_up()
        log = f"tenant:{principal.tenant}"
        head = await self._audit.head(log)
        if head is None and self.breaks.of(log):
            return TreeHead(log, 0, (), "")
        if head is None:
            raise NotFound("checkpoint", principal.tenant)
        return head

    async def proof(self, principal: Principal, stream: str, seq: int, header: bytes) -> InclusionProof:
        """Prove that an event is in the tenant's log under its newest head."""
        head = await self.checkpoint(principal)
        index = await self._audit.leaf_index(head.log, stream, seq)
        if index is None:
            raise NotFound("event", f"{stream}.{seq}")
        leaves = await self._audit.leaves(head.log, head.size)
        return prove(header, index, leaves, head.note)

    async def export(self, principal: Principal) -> dict[str, bytes]:
        """Write out the tenant's whole log, to be verified offline; a broken one as it lies there, which convicts it."""
        for _ in range(_READINGS):
            head = await self._newest(principal)
            entries = await self._entries(head)
            if not unexplained(entries):
                break  # else it may have been erased meanwhile, by an act behind this head
        leaves = await self._audit.leaves(head.log, head.size)
        if self.breaks.of(head.log):
            leaves = leaves[: len(entries)]
            entries = [*entries[: len(leaves)], *await self._beyond(head, len(leaves))]
        files = build_export(entries, leaves, head.note, self.signer.vkey, self.signer.rotations)
        package, _, module = _VERIFIER.rpartition(".")
        verifier = resources.files(package) / f"{module}.py"
        cosigned = self.cosigned.get(head.log, "")
        told = {WITNESSED: cosigned.encode()} if cosigned else {}
        return {**files, **told, VERIFIER: verifier.read_bytes()}

    async def _beyond(self, head: TreeHead, after: int) -> list[Entry]:
        """Show what a broken log holds that is under no signature and does not fit; what merely waits is left out."""
        reach, _ = await self._audit.reach(head.log)
        page = await self._audit.joined(head.log, head.size - 1, max(min(reach - head.size, _PAGE), 0))
        headers = [row.header for row in page]
        waiting = await self._audit.pending_leaves(head.log, _PAGE)
        headers += [event.header for event, _ in misfits(head.log, waiting)]
        return [Entry(at, header, b"", None) for at, header in enumerate(headers, after)]

    async def _entries(self, head: TreeHead) -> list[Entry]:
        entries: list[Entry] = []
        for after in range(-1, head.size - 1, _PAGE):
            page = await self._audit.entries(head.log, after, min(_PAGE, head.size - 1 - after))
            # Where events are gone from under the signed head, the export shows what is left.
            entries.extend(_entry(at, stored) for at, stored in enumerate(page, len(entries)))
        return entries


def _entry(index: int, stored: StoredEvent) -> Entry:
    return Entry(index=index, header=stored.header, salt=stored.salt, payload=stored.payload)
