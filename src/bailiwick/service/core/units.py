"""Units: a decided change as what the ledger commits: sealed-to-be events, queue entries, the run's head."""

from typing import Any

import msgspec

from bailiwick.contract import EffectClass
from bailiwick.ports import Draft, Taking, Unit, World
from bailiwick.run import CallMoved, Fund, Run, moved_in
from bailiwick.service.core.changes import Extra, Record
from bailiwick.service.core.lineage import Decided, lineage_of
from bailiwick.service.core.rows import head_row, task_rows

_WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)


def unit_of(
    decided: Decided, extra: Extra, record: Record, body: bytes | None, world: World, law: str = ""
) -> Unit:
    """Put together what is committed.

    Args:
        decided: What was decided.
        extra: What goes beside the events.
        record: Who and what caused it.
        body: The canonical payload of the first event.
        world: Where salts come from.
        law: The digest of the contracts that decided, where they are not those that the run began with.
    """
    before, after = decided.before, decided.after
    new, moved = task_rows(before, after, decided.plan, moved_in(decided.events))
    return Unit(
        tenant=after.tenant,
        run=after.id,
        expected=before.version if before is not None else 0,
        drafts=_drafts(decided, record, body, world, law),
        others=extra.others,
        head=head_row(after),
        new_tasks=new,
        moved_tasks=moved,
        new_approvals=extra.new_approvals,
        moved_approvals=extra.moved_approvals,
        postings=extra.postings,
        submission=extra.submission,
        taken=_takings(before, after, taken=True),
        returned=_takings(before, after, taken=False),
    )


def _takings(before: Run | None, after: Run, *, taken: bool) -> tuple[Taking, ...]:
    """Name what a change takes from shared budgets, or gives back to them."""
    known = before.funds if before is not None else ()
    found: list[Taking] = []
    for at, fund in enumerate(after.funds):
        earlier = known[at] if at < len(known) else Fund(fund.budget, fund.day, 0)
        amount = fund.taken - earlier.taken if taken else fund.returned - earlier.returned
        if amount:
            found.append(Taking(after.tenant, fund.budget, fund.day, amount))
    return tuple(found)


def _drafts(
    decided: Decided, record: Record, body: bytes | None, world: World, law: str
) -> tuple[Draft, ...]:
    drafts: list[Draft] = []
    before, said = decided.before, record.fields
    for at, event in enumerate(decided.events):
        fields: dict[str, Any] = msgspec.to_builtins(event)
        fields.update(said)
        if at == 0 and decided.command:
            fields["command"] = decided.command
        if at == len(decided.events) - 1:
            fields["status"] = decided.after.status.value
            if law:
                fields["law"] = law
        fields |= lineage_of(decided, event, first=at == 0, said=said)
        if before is not None and isinstance(event, CallMoved) and event.call.effect in _WRITES:
            fields["evidence"] = evidence_of(before)
        own = body if at == 0 else None
        drafts.append(Draft(fields, own, world.salt() if own is not None else b""))
    return tuple(drafts)


def evidence_of(run: Run) -> list[str]:
    """Name the outputs that a decision about a write rests on, by their digests."""
    return [step.output_digest for step in run.steps.values() if step.output_digest]
