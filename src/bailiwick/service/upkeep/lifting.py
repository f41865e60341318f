"""Lifting: steps that a halt blocked go on once it no longer stands; lifting it was the named act."""

import structlog

from bailiwick.base import Refusal
from bailiwick.plan import Plan
from bailiwick.ports import Halt, RunHead, Views
from bailiwick.run import (
    TERMINAL,
    NotAllowed,
    OutcomeUnknown,
    Resume,
    Run,
    StandingKind,
    Status,
    Step,
    StepStatus,
)
from bailiwick.service.core.changes import Change, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.halts import HALTED, Halts

_PAGE = 200
log = structlog.get_logger("bailiwick.lifting")


class Lifting:
    """Resumes what lifted halts have blocked; may run any number of times."""

    def __init__(self, *, runs: Runs, views: Views, halts: Halts) -> None:
        self._runs = runs
        self._views = views
        self._halts = halts

    async def release(self, lifted: Halt | None = None) -> int:
        """Resume the steps whose halt no longer stands, in all runs; answer how many runs."""
        count = 0
        own = [lifted.tenant] if lifted is not None else []
        for tenant in sorted({*await self._tenants(), *own}):
            for status in Status:
                if status not in TERMINAL:
                    count += await self._release(tenant, status)
        return count

    async def catch_up(self) -> int:
        """Resume what was blocked by a halt in the moment in which it was lifted; answer how many runs.

        A step may be parked after a lift has looked for such steps, and a lift may fail half-way. Whatever is
        forgotten so ends as a blocked run, so that only those are looked at.
        """
        await self._halts.confirm()
        return sum(
            [await self._release(tenant, Status.BLOCKED) for tenant in sorted({*await self._tenants()})]
        )

    async def _tenants(self) -> list[str]:
        known = await self._views.tenants()
        return [*(tenant.id for tenant in known), *self._runs.memory.tenants()]

    async def _release(self, tenant: str, status: Status) -> int:
        count = 0
        before = ""
        while True:
            page = await self._views.runs(tenant, status=status, app="", before=before, limit=_PAGE)
            for head in page:
                # What a list says of the run only spares loading it; the state of its steps decides.
                if status is not Status.BLOCKED or HALTED in head.waiting_for:
                    count += await self._resume(head)
            if len(page) < _PAGE:
                return count
            before = page[-1].id

    async def _resume(self, head: RunHead) -> bool:
        released: list[str] = []

        async def consider(run: Run, plan: Plan) -> Change | None:
            released[:] = [
                step.name
                for step in run.steps.values()
                if step.status is StepStatus.BLOCKED and self._is_over(step)
            ]
            if not released:
                return None
            return Change(Resume("platform", released[0]), Record("platform:halts"))

        try:
            while True:
                await self._runs.change(head.tenant, head.id, consider)
                if not released:
                    return False
                if len(released) == 1:
                    return True
        except (NotAllowed, OutcomeUnknown):
            return False  # the run has ended, or an outcome must be resolved first
        except Refusal as refusal:
            # One run that cannot be read must not keep the others blocked, nor the server from starting.
            log.warning("lifting.refused", run_id=head.id, code=refusal.code, reason=refusal.message)
            return False

    def _is_over(self, step: Step) -> bool:
        stands = step.stands
        halted = stands is not None and stands.kind is StandingKind.HALT
        return halted and stands is not None and not self._halts.in_force(stands.ref)
