"""The views on SQLite: what lists and pages read, without ever reading events."""

from collections.abc import Sequence
from typing import Final

from bailiwick.ports import (
    MAX_LINES,
    ApiKey,
    Approval,
    Budget,
    Identity,
    IdentityChange,
    Posting,
    RunHead,
    Spending,
    Tenant,
)
from bailiwick.stores.rows import to_approval, to_identity, to_identity_change, to_key, to_run
from bailiwick.stores.sqlite.reading import Reads

_ABOVE_ALL_IDS: Final = "\U0010ffff"


class SqliteViews:
    """Implements `ports.Views`."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def run(self, tenant: str, run: str) -> RunHead | None:
        """Find one run of a tenant."""
        return self._reads.one("select_run", (tenant, run), to_run)

    async def runs(self, tenant: str, *, status: str, app: str, before: str, limit: int) -> Sequence[RunHead]:
        """List runs, newest id first, ids below `before` (empty: from the newest); empty filters match all."""
        below = before or _ABOVE_ALL_IDS
        if status:
            return await self._reads.scan(
                "select_runs_in_status", (tenant, status, below, app, limit), to_run
            )
        return await self._reads.scan("select_runs", (tenant, below, app, limit), to_run)

    async def count_unfinished(self, tenant: str, most: int, requested_by: str = "") -> int:
        """Count a tenant's runs that are not in a terminal state, up to `most`."""
        given = (tenant, requested_by, most)
        return (await self._reads.scan("count_unfinished", given, lambda row: int(row[0])))[0]

    async def late_runs(self, limit: int) -> Sequence[RunHead]:
        """List runs that are not in a terminal state and past their deadline, by the database's clock."""
        return [to_run(row) for row in self._reads.few("select_late_runs", (limit,))]

    async def approval(self, tenant: str, approval: str) -> Approval | None:
        """Find one approval of a tenant."""
        return self._reads.one("select_approval", (tenant, approval), to_approval)

    async def approvals(
        self, tenant: str, *, state: str, run: str, limit: int, after: tuple[int, str] = (0, "")
    ) -> Sequence[Approval]:
        """List approvals, oldest first; tenant empty: of all tenants (for the keeper), from the first on."""
        if not tenant and state:
            return await self._reads.scan("select_approvals_in_state", (state, run, limit), to_approval)
        if not tenant:
            return await self._reads.scan("select_approvals_of_all", (run, limit), to_approval)
        if run:
            return await self._reads.scan(
                "select_approvals_of_run", (tenant, run, state, *after, limit), to_approval
            )
        return await self._reads.scan("select_approvals", (tenant, state, *after, limit), to_approval)

    async def outdated_approvals(self, version: str, *, after: str, limit: int) -> Sequence[Approval]:
        """List pending approvals of all tenants whose policy version is another, by id, ids above `after`."""
        return await self._reads.scan("select_outdated_approvals", (version, after, limit), to_approval)

    async def postings(
        self, tenant: str, run: str, *, limit: int = MAX_LINES, after: tuple[int, str] = (0, "")
    ) -> Sequence[Posting]:
        """List the cost ledger of a run, oldest first."""
        return await self._reads.scan(
            "select_postings", (tenant, run, *after, limit), lambda row: Posting(*row)
        )

    async def costs(self, tenant: str, run: str) -> Sequence[Spending]:
        """Sum up the cost ledger of a run, by role."""
        return await self._reads.scan("select_costs", (tenant, run), lambda row: Spending(*row))

    async def budgets(self, tenant: str) -> Sequence[Budget]:
        """List a tenant's shared budgets, by id."""
        return [Budget(*row) for row in self._reads.few("select_budgets", (tenant,))]

    async def keys(self, tenant: str) -> Sequence[ApiKey]:
        """List API keys, revoked ones too; tenant empty: of all tenants (for the door)."""
        return await self._reads.scan("select_keys", (tenant,), to_key)

    async def identities(self, tenant: str) -> Sequence[Identity]:
        """List identities by name, disabled ones too; tenant empty: of all tenants (for the door)."""
        return await self._reads.scan("select_identities", (tenant,), to_identity)

    async def identity_changes(self, tenant: str, identity: str, limit: int) -> Sequence[IdentityChange]:
        """List who changed what of an identity, the newest first."""
        wanted = (tenant, identity, limit)
        return await self._reads.scan("select_identity_changes", wanted, to_identity_change)

    async def tenants(self) -> Sequence[Tenant]:
        """List the tenants, disabled ones too."""
        return await self._reads.scan("select_tenants", (), lambda row: Tenant(*row))
