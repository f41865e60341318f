"""Budgets: the limits that runs share: what they are, what is taken, set one."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import BudgetPage, BudgetView, budget_view
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, link, page_of

router = APIRouter(tags=["budgets"])


class BudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose limit: tenant, app or feature, and its name; per day (UTC) or in total; in US dollars, as text."""

    scope: str
    limit_usd: str
    name: str = ""
    period: str = "day"


@router.get("/v1/budgets", **answers(BudgetPage))
async def list_budgets(
    door: Door, caller: Caller, limit: Limit = MAX_LISTED, cursor: Cursor = ""
) -> Response:
    """List the tenant's shared budgets by id, with what is taken and what is left."""
    shown, following = page_of(await door.budgets.show(caller), lambda budget: budget.id, limit, cursor)
    page = BudgetPage([budget_view(budget, door.budgets.today()) for budget in shown], following)
    return answer(page, 200, link("/v1/budgets", following, limit=limit))


@router.post("/v1/budgets", **answers(BudgetView), openapi_extra=takes(BudgetBody))
async def set_budget(door: Door, caller: Caller, body: Body) -> Response:
    """Set a limit that runs share; what they have taken of it stays."""
    given = shaped(body, BudgetBody)
    made = await door.budgets.set(caller, given.scope, given.name, given.period, given.limit_usd)
    return answer(budget_view(made, door.budgets.today()))
