"""Witnessing: each log's newest head is shown to parties outside our reach, who keep it or cosign it."""

import structlog

from bailiwick.audit import Growth, HistoryRewritten, WitnessBehind, prove_consistency
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import AuditLog, Draft, Ledger, TreeHead, Unit, Views, Witness, WitnessUnavailable, World
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.proof.sequencing import Sequencing

log = structlog.get_logger("bailiwick.audit")
_TENANT = "tenant:"


class Witnessing:
    """Shows heads to the witnesses, and remembers how far each has seen."""

    def __init__(
        self,
        *,
        audit: AuditLog,
        ledger: Ledger,
        views: Views,
        sequencing: Sequencing,
        witnesses: tuple[Witness, ...],
        world: World,
    ) -> None:
        self._audit = audit
        self._ledger = ledger
        self._views = views
        self._sequencing = sequencing
        self._witnesses = witnesses
        self._world = world
        self._seen: dict[tuple[str, str], int] = {}
        self._refused: dict[tuple[str, str], int] = {}

    async def show(self) -> int:
        """Show every log that grew to every witness; answer 0, for nothing is left to do at once."""
        if self._witnesses:
            for tenant in sorted(tenant.id for tenant in await self._views.tenants()):
                head = await self._audit.head(f"{_TENANT}{tenant}")
                if head is not None and not self._sequencing.breaks.of(head.log):
                    for witness in self._witnesses:
                        await self._show(witness, head)
        return 0

    async def growth(self, principal: Principal, old: int) -> Growth:
        """Prove that the tenant's log grew out of its first `old` events.

        Raises:
            NotFound: It never had that size.
        """
        require(principal, Permission.AUDIT_READ)
        head = await self._sequencing.checkpoint(principal)
        if old > head.size:
            raise NotFound("checkpoint", f"of size {old}")
        return await self._growth(head, old)

    async def _growth(self, head: TreeHead, old: int) -> Growth:
        leaves = await self._audit.leaves(head.log, head.size)
        return Growth(old, prove_consistency(leaves, old), head.note)

    async def _show(self, witness: Witness, head: TreeHead) -> None:
        place = (witness.name, head.log)
        if self._seen.get(place) == head.size or self._refused.get(place) == head.size:
            return
        origin = self._sequencing.origin(head.log)
        try:
            try:
                lines = await witness.add(origin, await self._growth(head, self._seen.get(place, 0)))
            except WitnessBehind as behind:
                seen = int(str(behind.facts["seen"]))
                if seen > head.size:
                    raise HistoryRewritten(origin=origin, seen=seen, size=head.size) from behind
                lines = await witness.add(origin, await self._growth(head, seen))
        except HistoryRewritten as refusal:
            self._refused[place] = head.size
            log.critical("audit.witness_refused", witness=witness.name, log=head.log, reason=refusal.message)
            await self._record(head, witness, refusal.message)
        except (WitnessBehind, WitnessUnavailable) as refusal:
            log.warning("audit.witness_failed", witness=witness.name, log=head.log, reason=refusal.message)
        else:
            self._seen[place] = head.size
            if lines:
                self._sequencing.cosigned[head.log] = head.note + lines

    async def _record(self, head: TreeHead, witness: Witness, reason: str) -> None:
        """Write into the log itself that a witness does not know it: whoever reads on must see that."""
        tenant = head.log.removeprefix(_TENANT)
        fields = {
            "kind": "witness.refused",
            "at": self._world.now(),
            "actor": "platform:witness",
            "witness": witness.name,
            "size": head.size,
            "reason": reason,
        }
        await self._ledger.commit(Unit(tenant=tenant, others=((head.log, Draft(fields)),)))
