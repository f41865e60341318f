"""Comparing: the projections of runs that have not ended are held to their logs, so that none lies for long."""

import structlog

from bailiwick.base import Refusal
from bailiwick.ports import Views
from bailiwick.run import TERMINAL, Status
from bailiwick.service.core.runs import Runs

log = structlog.get_logger("bailiwick.comparing")
FOLDED = 64
"""How many runs that are not in memory one round folds; the next one goes on behind them."""
_PAGE = 200


class Comparing:
    """Looks over all unfinished runs, in rounds; may run any number of times."""

    def __init__(self, *, runs: Runs, views: Views) -> None:
        self._runs = runs
        self._views = views
        self._compared = ("", "")

    async def compare(self) -> int:
        """Compare every run in memory, and the next ones that are not; answer how many went into quarantine."""
        known = [(run.tenant, run.id) for run in self._runs.memory.remembered()]
        others = sorted(set(await self._unfinished()).difference(known))
        later = [each for each in others if each > self._compared]
        chosen = (later or others)[:FOLDED]
        self._compared = chosen[-1] if chosen else ("", "")
        return sum([await self._compare(tenant, run) for tenant, run in (*known, *chosen)])

    async def _compare(self, tenant: str, run: str) -> bool:
        try:
            return await self._runs.compare(tenant, run)
        except Refusal as refusal:
            log.warning("comparing.refused", run_id=run, code=refusal.code, reason=refusal.message)
            return False

    async def _unfinished(self) -> list[tuple[str, str]]:
        known = await self._views.tenants()
        tenants = sorted({*(tenant.id for tenant in known), *self._runs.memory.tenants()})
        found: list[tuple[str, str]] = []
        for tenant in tenants:
            for status in Status:
                if status not in TERMINAL:
                    found += await self._listed(tenant, status)
        return found

    async def _listed(self, tenant: str, status: Status) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        before = ""
        while True:
            page = await self._views.runs(tenant, status=status, app="", before=before, limit=_PAGE)
            found += [(head.tenant, head.id) for head in page]
            if len(page) < _PAGE:
                return found
            before = page[-1].id
