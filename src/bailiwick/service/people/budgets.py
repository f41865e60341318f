"""Shared budgets: limits of a tenant, an app or a feature, from which runs take their allotments."""

import shlex
from collections.abc import Sequence
from typing import Any

from bailiwick.base import Category, Instant, Refusal
from bailiwick.budget import format_usd, parse_usd
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Budget, Draft, Ledger, Unit, Views, World
from bailiwick.run import Fund
from bailiwick.service.core.changes import record_of
from bailiwick.service.core.refusing import Governed, governed

SCOPES = ("tenant", "app", "feature")
PERIODS = ("day", "total")
MAX_NAME = 128
_DAY = 86_400_000_000


class InvalidScope(Refusal, code="invalid_budget_scope", category=Category.INVALID):
    """A shared budget names no scope that there is."""

    def __init__(self, scope: str, name: str, period: str) -> None:
        super().__init__(
            f"there is no budget of {scope[:40]!r} {name[:80]!r} per {period[:40]!r}",
            remedy=f"choose a scope of {', '.join(SCOPES)} (all but tenant with a name) and a period of "
            f"{', '.join(PERIODS)}",
            scope=scope[:40],
            name=name[:80],
            period=period[:40],
        )


class ScopeExhausted(Refusal, code="budget_exhausted", category=Category.EXHAUSTED):
    """A shared budget holds less than a run asks for; nothing was taken."""

    def __init__(self, budget: Budget, *, day: int, asked: int) -> None:
        left = max(budget.limit_micro_usd - taken_on(budget, day), 0)
        super().__init__(
            f"the budget {budget.id} has ${format_usd(left)} of ${format_usd(budget.limit_micro_usd)} left and "
            f"${format_usd(asked)} is asked for",
            remedy=f"ask for less, wait until other runs give back what they do not need, or let an admin raise it: "
            f"bailiwick budgets set {budget.scope} {shlex.quote(budget.name) if budget.name else ''}".rstrip()
            + f" --per {budget.period} --limit-usd AMOUNT",
            scope=budget.scope,
            name=budget.name,
            period=budget.period,
            limit=budget.limit_micro_usd,
            left=left,
            asked=asked,
        )


class Budgets(Governed):
    """Sets and shows shared budgets, and says from which of them a run takes its money."""

    def __init__(self, *, ledger: Ledger, views: Views, world: World) -> None:
        self._ledger = ledger
        self._views = views
        self._world = world

    @governed("budgets.set")
    async def set(self, principal: Principal, scope: str, name: str, period: str, limit_usd: str) -> Budget:
        """Set a limit; what runs have taken of it stays, and a limit below that lets nothing more in.

        Raises:
            Forbidden: The role does not include it.
            InvalidScope: There is no such scope or period, or the name is missing or superfluous.
            InvalidBudget: The limit is no amount of money.
        """
        require(principal, Permission.BUDGETS_SET)
        named = 0 < len(name) <= MAX_NAME
        if scope not in SCOPES or period not in PERIODS or named is (scope == "tenant"):
            raise InvalidScope(scope, name, period)
        budget = Budget(
            id=f"{scope}:{name}/{period}" if name else f"{scope}/{period}",
            tenant=principal.tenant,
            scope=scope,
            name=name,
            period=period,
            limit_micro_usd=parse_usd(limit_usd),
            set_by=principal.name,
            set_at=self._world.now(),
        )
        fields: dict[str, Any] = {
            "kind": "budget.set",
            "at": budget.set_at,
            **record_of(principal).fields,
            "budget": budget.id,
            "limit": budget.limit_micro_usd,
        }
        stream = f"tenant:{principal.tenant}"
        await self._ledger.commit(
            Unit(tenant=principal.tenant, others=((stream, Draft(fields)),), budgets=(budget,))
        )
        listed = await self._views.budgets(principal.tenant)
        return next(each for each in listed if each.id == budget.id)

    async def show(self, principal: Principal) -> Sequence[Budget]:
        """List the tenant's shared budgets, each with what is taken today, or in all."""
        require(principal, Permission.BUDGETS_READ)
        return await self._views.budgets(principal.tenant)

    async def funds(self, tenant: str, *, app: str, feature: str, amount: int) -> tuple[Fund, ...]:
        """Say from which shared budgets an allotment is taken; the unit that takes it makes sure of it.

        Raises:
            ScopeExhausted: One of them holds less.
        """
        names = {"tenant": "", "app": app, "feature": feature}
        funds: list[Fund] = []
        for budget in await self._views.budgets(tenant):
            if budget.name != names[budget.scope]:
                continue
            day = self.today() if budget.period == "day" else 0
            if taken_on(budget, day) + amount > budget.limit_micro_usd:
                raise ScopeExhausted(budget, day=day, asked=amount)
            funds.append(Fund(budget.id, day, amount))
        return tuple(funds)

    def today(self) -> int:
        """Number the present UTC day, since 1970."""
        return day_of(self._world.now())


def day_of(at: Instant) -> int:
    """Number the UTC day of an instant, since 1970."""
    return at // _DAY


def taken_on(budget: Budget, day: int) -> int:
    """Tell what is taken of a budget on a day, in micro-USD; an earlier day's takings no longer count."""
    return budget.taken_micro_usd if budget.day >= day else 0
