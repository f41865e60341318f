"""Sequencing: leaves join their tenant's Merkle log in batches, and a signed head vouches for them."""

from collections.abc import Callable
from importlib import resources

import msgspec

from bailiwick.audit import (
    VERIFIER,
    WITNESSED,
    Checkpoint,
    Entry,
    Frontier,
    InclusionProof,
    build_export,
    linked,
    notes_in,
    prove,
    sign_note,
    unexplained,
    verifier_key,
)
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import AuditLog, Feed, GuardFailed, StoredEvent, TreeHead
from bailiwick.service.refusals import NotFound

PLACED = 1024
SLICE = 256
_READINGS = 3
_PAGE = 1000
_VERIFIER = "bailiwick.audit.standalone"  # carried in every export; imported by nobody


class Signer(msgspec.Struct, frozen=True):
    """The deployment's signing key, held elsewhere: its name, its public half, and a way to use it.

    `rotations` are the statements that link it to the keys before it, one signed note below the other.
    """

    name: str
    public: bytes
    sign: Callable[[bytes], bytes]
    rotations: str = ""

    @property
    def vkey(self) -> str:
        """The verifier key that auditors are handed."""
        return verifier_key(self.name, self.public)

    @property
    def vkeys(self) -> tuple[str, ...]:
        """This key and those before it."""
        return linked([self.vkey], notes_in(self.rotations))


class Sequencing:
    """Integrates leaves, hands out proofs and exports; `cosigned` holds the newest head of each log that a witness cosigned."""

    def __init__(self, *, audit: AuditLog, feed: Feed, signer: Signer) -> None:
        self._audit = audit
        self._feed = feed
        self.signer = signer
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
        pending = await self._audit.pending_leaves(log, SLICE)
        if not pending:
            return 0
        head = await self._audit.head(log)
        frontier = Frontier(head.size, head.frontier) if head is not None else Frontier()
        frontier = frontier.extend([leaf for _, _, leaf in pending])
        checkpoint = Checkpoint(self.origin(log), frontier.size, frontier.root())
        note = sign_note(checkpoint, self.signer.name, self.signer.sign, self.signer.public)
        new = TreeHead(log, frontier.size, frontier.subtrees, note)
        try:
            await self._audit.integrate(new, [(stream, seq) for stream, seq, _ in pending])
        except GuardFailed:
            return 0  # another sequencer was faster
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
        """
        require(principal, Permission.AUDIT_READ)
        await self.catch_up()
        head = await self._audit.head(f"tenant:{principal.tenant}")
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
        """Write out the tenant's whole log, to be verified offline."""
        for _ in range(_READINGS):
            head = await self.checkpoint(principal)
            entries = await self._entries(head)
            if not unexplained(entries):
                break  # else it may have been erased meanwhile, by an act behind this head
        leaves = await self._audit.leaves(head.log, head.size)
        files = build_export(entries, leaves, head.note, self.signer.vkey, self.signer.rotations)
        package, _, module = _VERIFIER.rpartition(".")
        verifier = resources.files(package) / f"{module}.py"
        cosigned = self.cosigned.get(head.log, "")
        told = {WITNESSED: cosigned.encode()} if cosigned else {}
        return {**files, **told, VERIFIER: verifier.read_bytes()}

    async def _entries(self, head: TreeHead) -> list[Entry]:
        entries: list[Entry] = []
        for after in range(-1, head.size - 1, _PAGE):
            page = await self._audit.entries(head.log, after, min(_PAGE, head.size - 1 - after))
            # Where events are gone from under the signed head, the export shows what is left.
            entries.extend(_entry(at, stored) for at, stored in enumerate(page, len(entries)))
        return entries


def _entry(index: int, stored: StoredEvent) -> Entry:
    return Entry(index=index, header=stored.header, salt=stored.salt, payload=stored.payload)
