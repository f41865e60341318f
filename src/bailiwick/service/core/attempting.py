"""Attempting: what agents asked for and were refused before it became an action, noted in their run."""

from typing import Any

import msgspec
import structlog

from bailiwick.base import Category, Json, Refusal, canonical, digest_of
from bailiwick.plan import Plan
from bailiwick.ports import Proposal, Recorded
from bailiwick.run import LeaseLost, NotAllowed, Note, Run, Step, may_note
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.runs import Runs

MAX_KEPT_BYTES = 16_384
MAX_NAME = 200
log = structlog.get_logger("bailiwick.attempting")


_PLACES = 10_000
"""Steps whose attempts are counted in memory; what a step had counted that left its worker unheard goes at the latest then."""


class Unfit(msgspec.Struct, frozen=True):
    """A proposal that did not become an action: what the agent is told, and the code of why."""

    answer: Recorded
    code: str


class Attempting:
    """Turns refused proposals into events of the run: twenty of a step instance each, then counted.

    What is counted and not yet written is in memory alone; a crash loses less than half of what was counted.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._counted: dict[tuple[str, str], int] = {}

    def noted(self, step: Step, proposal: Proposal, unfit: Unfit, session: str) -> Change | None:
        """Say what to commit of a refused proposal; None where it is only counted."""
        count = self._counted.get((proposal.run, step.name), 0) + 1
        if not may_note(step.refused, count):
            return None
        tried, digest = tried_of({"capability": proposal.capability, "arguments": proposal.arguments})
        known = proposal.capability[:MAX_NAME] if proposal.capability.isprintable() else ""
        command = Note(step.name, step.epoch, unfit.code, capability=known, digest=digest, count=count)
        payload = {"attempt": tried, "reason": unfit.answer.reason}
        return Change(command, Record(f"worker:{session}"), Extra(payload=payload))

    def answered(self, proposal: Proposal, *, written: bool) -> None:
        """A refused proposal was answered: it has an event, with those counted before it, or is counted itself."""
        place = (proposal.run, proposal.step)
        count = self._counted.pop(place, 0)
        if not written:
            self._counted[place] = count + 1
        while len(self._counted) > _PLACES:
            self._counted.pop(next(iter(self._counted)))

    async def left(self, tenant: str, run: str, step: str, epoch: int, session: str) -> None:
        """Write what was only counted of a step that is about to leave its holder; it never keeps the step from that."""
        count = self._counted.pop((run, step), 0)
        if not count:
            return

        async def consider(seen: Run, plan: Plan) -> Change | None:
            command = Note(step, epoch, "counted", count=count, last=True)
            return Change(command, Record(f"worker:{session}"))

        try:
            await self._runs.change(tenant, run, consider)
        except (LeaseLost, NotAllowed):
            return  # whoever holds it now counts anew
        except Refusal as refusal:
            log.warning("attempts.lost", run_id=run, step=step, count=count, code=refusal.code)
            if refusal.category is Category.UNAVAILABLE:
                self._counted[(run, step)] = count


def tried_of(content: dict[str, Any]) -> tuple[Json, str]:
    """Keep what was tried, or its size where it is long; and name all of it by its digest, "" where it is no JSON."""
    try:
        body = canonical(content)
    except TypeError:
        return {"unreadable": True}, ""
    return (content if len(body) <= MAX_KEPT_BYTES else {"bytes": len(body)}), digest_of(body)
