"""`bailiwick budgets`: the limits that runs share."""

from typing import Annotated, Any

import typer

from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_table

group = typer.Typer(help="Limits that runs share: set and show.", no_args_is_help=True, rich_markup_mode=None)


@group.command("set")
@connected
def set_budget(
    door: Door,
    scope: Annotated[str, typer.Argument(help="tenant, app or feature.")],
    limit_usd: Annotated[str, typer.Option(help="US dollars, at most six decimals.")],
    name: Annotated[
        str, typer.Argument(help="Which app or feature; not for the tenant.", show_default=False)
    ] = "",
    per: Annotated[str, typer.Option(help="day (UTC) or total.")] = "day",
) -> None:
    """Set a limit. Runs take their budgets from it when they are submitted, and give back what they do not need."""
    given = {"scope": scope, "name": name, "period": per, "limit_usd": limit_usd}
    made = door.client.post("/v1/budgets", given)
    door.show(made, lambda it: say(f"{it['id']}: ${it['left']['usd']} of ${it['limit']['usd']} is left"))


@group.command()
@connected
def show(door: Door) -> None:
    """Show the limits, what is taken of them, and what is left."""
    door.show(door.client.pages("/v1/budgets", "budgets"), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    columns = ("BUDGET", "LIMIT", "TAKEN", "LEFT", "SET BY", "SET AT")
    show_table(columns, [_row(budget) for budget in page["budgets"]])


def _row(it: dict[str, Any]) -> tuple[str, ...]:
    amounts = (f"${it[name]['usd']}" for name in ("limit", "taken", "left"))
    return (it["id"], *amounts, it["set_by"], it["set_at"])
